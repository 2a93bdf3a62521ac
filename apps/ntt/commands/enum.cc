#include <fmt/format.h>

#include "base/ids.h"
#include "ingest/enumeration.h"
#include "ingesting.h"
#include "report/json.h"

namespace ntt::cli {
namespace {

const Page kPage = {
    "enum",
    "list an image or a folder into a file",
    "SOURCE HASH OUT_FILE [--format ntt|ntt-raw]",
    "Lists every name as ingest does, and writes it down instead of into a catalog; ntt load takes it from there, on this machine or another. "
    "Nothing is copied. The file says which medium it lists, and whether it is whole; one that is there is never written over.\n\n"
    "ntt-raw writes the records of the predecessor, one for each name: type, device, inode, links, size, seconds of the last change, path. "
    "They have no place for more than one volume, nor for anything else that ntt knows.",
    {
        {"ntt enum disk.img f95834a4b718f54edc7b549ca854aef8 disk.enum", "an image"},
        {"ntt enum /mnt/disk 00112233445566778899aabbccddeeff disk.raw --format ntt-raw", "a mounted tree, as records of the predecessor"},
    },
    {
        {Exit::done, "the file is there, and whole"},
        {Exit::failed, "the source cannot be listed, or OUT_FILE is there already"},
    },
};

class EnumCommand final : public Command {
public:
    const Page& page() const override { return kPage; }

    void declare(CLI::App& app) override {
        app.add_option("SOURCE", request_.source, "an image file or a folder")->required();
        app.add_option("HASH", request_.medium_hash, "the medium's identity: 16 to 64 lowercase hexadecimal digits")
            ->required()
            ->check([](const std::string& text) { return is_medium_hash(text) ? std::string() : "no medium hash: " + to_terminal_text(text); });
        app.add_option("OUT_FILE", request_.out_file, "the file to write")->required();
        app.add_option("--format", format_, "how it is written")->check(CLI::IsMember({"ntt", "ntt-raw"}))->type_name("ntt|ntt-raw");
        app.add_option("--name", name_, "the operator's label of the medium (default: the file's name)")->type_name("LABEL");
        app.add_option("--map", map_, "the ddrescue mapfile (default: found beside the image)")->type_name("FILE");
    }

    Result<Exit> run(Session& session) override {
        request_.format = format_ == "ntt" ? EnumerationAs::ntt : EnumerationAs::ntt_raw;
        CopyingOptions copying;
        copying.engine = "image";
        TRY_ASSIGN(IngestOptions options, copying.resolve(session, worker_name("")));
        options.name = name_;
        options.map_path = map_;
        TRY_ASSIGN(const std::unique_ptr<Ingesting> ingesting, Ingesting::open(session, IngestGoal::enumerate, Keep::nothing));
        TRY_ASSIGN(const EntryCounts counts, enumerate_to_file(ingesting->context(), request_, options));
        if (session.json())
            TRY(session.out().json({{"type", "enum"}, {"medium_hash", request_.medium_hash}, {"file", to_display_utf8(request_.out_file)}, {"names", counts.names}, {"inodes", counts.inodes}, {"findings", counts.findings}}));
        else
            TRY(session.out().text(fmt::format("{}: {} names\n", to_terminal_text(request_.out_file), counts.names)));
        return Exit::done;
    }

private:
    EnumerateRequest request_;
    std::string format_ = "ntt";
    std::optional<std::string> name_, map_;
};

}  // namespace

std::unique_ptr<Command> make_enum_command() { return std::make_unique<EnumCommand>(); }

}  // namespace ntt::cli

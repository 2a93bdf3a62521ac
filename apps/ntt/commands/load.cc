#include "base/ids.h"
#include "ingest/enumeration.h"
#include "ingesting.h"

namespace ntt::cli {
namespace {

const Page kPage = {
    "load",
    "take a listing from a file into the catalog",
    "FILE HASH [--image IMAGE] [--root DIR]",
    "Loads what ntt enum wrote, or the raw records of the predecessor (told by the content). A file that is damaged, cut short, of an older "
    "format, or of another medium is refused, with the record and the place. Names and records that are doubled are kept apart and "
    "reported; they fail nothing.\n\n"
    "A load never replaces: of a medium that is known what is new is added, and what differs is reported (finding load_differs).\n\n"
    "With --image the verdicts are made by that image and its rescue map, and ntt copy reads contents from it. Without, contents are read from "
    "the folder that was listed.",
    {
        {"ntt load disk.enum f95834a4b718f54edc7b549ca854aef8 --image disk.img", "a listing and its image"},
        {"ntt load disk.raw 00112233445566778899aabbccddeeff --root /mnt/ntt/00112233445566778899aabbccddeeff", "records of the predecessor"},
    },
    {
        {Exit::done, "loaded, and nothing of it is left to copy"},
        {Exit::failed, "the file is refused, or it lists another medium or image"},
        {Exit::damaged, "loaded; files are damaged or unreadable, or a filesystem could not be read"},
        {Exit::work_left, "loaded; files are left to copy"},
    },
};

class LoadCommand final : public Command {
public:
    const Page& page() const override { return kPage; }

    void declare(CLI::App& app) override {
        app.add_option("FILE", request_.file, "a listing")->required();
        app.add_option("HASH", request_.medium_hash, "the medium's identity, as the listing has it")
            ->required()
            ->check([](const std::string& text) { return is_medium_hash(text) ? std::string() : "no medium hash: " + to_terminal_text(text); });
        app.add_option("--image", request_.image, "the image that was listed")->type_name("IMAGE");
        app.add_option("--map", map_, "its ddrescue mapfile (default: found beside the image)")->type_name("FILE");
        app.add_option("--root", request_.root, "raw records: the mount point in front of their paths")->type_name("DIR");
        app.add_option("--name", name_, "the operator's label of the medium")->type_name("LABEL");
    }

    Result<Exit> run(Session& session) override {
        CopyingOptions copying;
        copying.engine = "image";
        TRY_ASSIGN(IngestOptions options, copying.resolve(session, worker_name("")));
        options.name = name_;
        options.map_path = map_;
        options.goal = IngestGoal::enumerate;
        TRY_ASSIGN(const std::unique_ptr<Ingesting> ingesting, Ingesting::open(session, IngestGoal::enumerate, Keep::everything));
        TRY_ASSIGN(const Exit exit, ingesting->tell(request_.file, load_enumeration(ingesting->context(), request_, options)));
        return ingesting->close(exit, 1);
    }

private:
    LoadRequest request_;
    std::optional<std::string> map_, name_;
};

}  // namespace

std::unique_ptr<Command> make_load_command() { return std::make_unique<LoadCommand>(); }

}  // namespace ntt::cli

#include <fmt/format.h>

#include "base/ids.h"
#include "ingesting.h"
#include "report/json.h"
#include "report/summary.h"

namespace ntt::cli {
namespace {

const Page kPage = {
    "ingest",
    "take images of media, and folders, into the store and the catalog",
    "SOURCE… [--name LABEL] [--medium-hash H] [--map FILE] [--enumerate-only] [--exclude-from FILE] [--dry-run]",
    "Finds the filesystems in each image, lists every name, decides for each file which of its bytes can be had, and puts each content "
    "once into the store. A file whose bytes fall on unread sectors or beyond the image's end is damaged or unreadable, with the exact "
    "ranges and the cause; what can be had of it is kept apart and never passes for a whole file.\n\n"
    "An image is raw, split raw (.000 .001 …), EWF, VMDK or VHD, told by its content. A GNU ddrescue mapfile beside it (IMAGE.map, "
    "IMAGE.mapfile, IMAGE.log, or with the suffix replaced) is used. Images are opened read-only, always.\n\n"
    "A medium is named by --medium-hash, else by a file name of 32 to 64 hexadecimal digits, else by the BLAKE3 of the whole image. "
    "Ingesting the same image again continues where the last run ended and adds nothing that is there. An image that changed since it was "
    "enumerated is refused.\n\n"
    "A folder (carved files, a mounted disk, a network share) is a medium of its own, named by the filesystem it is on and its place there, so "
    "that two mounts of it are one. Nothing is followed out of it. Listed again it gives what is new or changed; what is gone stays recorded. A "
    "file that fails to be read waits and is tried again while others go on; --diagnostics says what that may lead to.",
    {
        {"ntt ingest floppy.img", "one image, with floppy.img.map if it is there"},
        {"ntt ingest --name 'box 12, disk 3' disk3.E01", "with the label of the object"},
        {"ntt ingest images/*.img --json", "many, one summary a line"},
        {"ntt ingest --enumerate-only disk.img", "list and judge, copy nothing yet"},
        {"ntt ingest --name 'PhotoRec, disk 3' recup_dir.1", "a folder"},
    },
    {
        {Exit::done, "every file of every filesystem is in the store"},
        {Exit::failed, "a source could not be ingested; the others were"},
        {Exit::damaged, "done, but files are damaged or unreadable, a filesystem could not be read, or one may not have been found"},
        {Exit::work_left, "files are left to copy"},
    },
};

class IngestCommand final : public Command {
public:
    const Page& page() const override { return kPage; }

    void declare(CLI::App& app) override {
        app.add_option("SOURCE", sources_, "image files and folders")->required();
        app.add_option("--name", name_, "the operator's label of the medium (default: the file's name)")->type_name("LABEL");
        app.add_option("--medium-hash", medium_hash_, "the medium's identity: 16 to 64 lowercase hexadecimal digits")
            ->check([](const std::string& text) { return is_medium_hash(text) ? std::string() : "no medium hash: " + to_terminal_text(text); })
            ->type_name("H");
        app.add_option("--map", map_, "the ddrescue mapfile (default: found beside the image)")->type_name("FILE");
        app.add_option("--exclude-from", exclude_from_, "file of regular expressions; names that match are recorded but not copied")->type_name("FILE");
        app.add_flag("--enumerate-only", enumerate_only_, "everything up to and including the verdicts, no copying");
        app.add_flag("--dry-run", dry_run_, "say what would be found; nothing is kept");
        app.add_flag("--no-repair", no_repair_, "read filesystems as they are: nothing lost is replaced by backups or evidence, not even in memory");
        copying_.declare(app);
    }

    Result<Exit> run(Session& session) override {
        if (sources_.size() > 1 && (name_ || medium_hash_ || map_))
            return usage(session, "--name, --medium-hash and --map go with one source");
        TRY_ASSIGN(IngestOptions options, copying_.resolve(session, worker_name("")));
        options.name = name_;
        options.medium_hash = medium_hash_;
        options.map_path = map_;
        if (no_repair_) options.reader.repairs = Repairs::none;
        options.goal = enumerate_only_ || dry_run_ ? IngestGoal::enumerate : IngestGoal::copy;
        if (exclude_from_) {
            TRY_ASSIGN(const std::string text, session.io().env.read_file(*exclude_from_, kMaxPatternBytes));
            TRY_ASSIGN(options.exclude, ExcludePatterns::parse(text));
        }
        const Keep keep = dry_run_ ? Keep::nothing : Keep::everything;

        TRY_ASSIGN(const std::unique_ptr<Ingesting> ingesting, Ingesting::open(session, options.goal, keep));
        if (options.goal == IngestGoal::copy) TRY(ingesting->join(options));
        Exit exit = Exit::done;
        uint64_t done = 0;
        for (const std::string& source : sources_) {
            TRY_ASSIGN(const Exit one, ingesting->tell(source, ingest_source(ingesting->context(), source, options)));
            exit = worst(exit, one);
            ++done;
            if (session.io().cancel.cancelled()) break;
        }
        return ingesting->close(exit, done);
    }

private:
    static Result<Exit> usage(Session& session, const char* words) {
        session.say(words);
        if (session.json()) {
            TRY(session.out().json(json_of(make_error(ErrorCode::invalid_argument, words), std::nullopt)));
            TRY(session.out().json(result_json(Exit::usage, 0)));
        }
        return Exit::usage;
    }

    static constexpr uint64_t kMaxPatternBytes = uint64_t{1} << 20;

    std::vector<std::string> sources_;
    std::optional<std::string> name_, medium_hash_, map_, exclude_from_;
    bool enumerate_only_ = false, dry_run_ = false, no_repair_ = false;
    CopyingOptions copying_;
};

}  // namespace

std::unique_ptr<Command> make_ingest_command() { return std::make_unique<IngestCommand>(); }

}  // namespace ntt::cli

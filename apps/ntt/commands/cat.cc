// ntt cat: the bytes of one file on stdout.
#include <fmt/format.h>

#include "base/bytes.h"
#include "command.h"
#include "contents.h"
#include "target.h"

namespace ntt::cli {
namespace {

const Page kPage = {
    "cat",
    "write the content of a file to standard output",
    "MEDIUM PATH|INO | BLOBID",
    "Writes the bytes of a file, or of a content named by its BLAKE3 in 64 hexadecimal digits, to standard output, as they are. "
    "The hash "
    "is checked on the way: when it is not right, the exit code is 5 and the bytes are not to be trusted.\n\n"
    "A damaged file is refused, so that no damage passes for good. With --damaged its salvaged part is written, with zeros in "
    "place of "
    "what is missing; ntt why tells where they are.",
    {{"ntt cat f95834a4 DOS/FILE.TXT > FILE.TXT", "a whole file"},
     {"ntt cat --damaged f95834a4 AliciaMainList.xls > part.xls", "what could be read of a damaged one"},
     {"ntt cat af1349b9f5f9a1a6a0404dea36dcc9499bcb25c9adc112b7cc9a93cae41f3262", "by content"}},
    {{Exit::done, "written"},
     {Exit::failed,
      "there is no such file, or it is damaged and --damaged was not given, or there is nothing of it in the store"},
     {Exit::store_damaged, "the content in the store is missing or not what its name says"}},
};

struct Blob {
    BlobKind kind = BlobKind::whole;
    BlobId id;
};

class CatCommand final : public Command {
public:
    const Page& page() const override { return kPage; }
    void declare(CLI::App& app) override {
        app.add_option("MEDIUM", first_, "a medium; or alone: the BLAKE3 of a content")->required();
        app.add_option("FILE", file_, "a path of the medium, or an inode number");
        app.add_flag("--damaged", damaged_, "take the salvaged part of a damaged file as well");
        declare_volume(app, volume_);
    }

    Result<Exit> run(Session& session) override {
        TRY_ASSIGN(const auto store, session.open_store());
        TRY_ASSIGN(const Blob blob, file_ ? blob_of_file(session) : blob_of_text(*store));
        const auto take = [&](ByteView bytes) { return session.out().text(as_text(bytes)); };
        const auto size = read_blob(session.io().env, *store, blob.kind, blob.id, session.io().cancel, take);
        if (size.ok()) return Exit::done;
        if (size.error().code != ErrorCode::not_found) return size.error();
        return make_error(ErrorCode::store_damaged, fmt::format("the content {} is not in the store", blob.id.hex()),
                          "ntt verify looks for all that is lost");
    }

private:
    Result<Blob> blob_of_text(Store& store) const {
        const auto id = BlobId::from_hex(first_);
        if (!id)
            return make_error(ErrorCode::invalid_argument, "which file of the medium? A content alone has 64 hexadecimal digits",
                              "ntt cat MEDIUM PATH");
        if (store.open_blob(BlobKind::whole, *id).ok()) return Blob{BlobKind::whole, *id};
        if (!store.open_blob(BlobKind::partial, *id).ok())
            return make_error(ErrorCode::not_found, "there is no content " + first_ + " in the store");
        if (!damaged_) return refusal("the content is what was salvaged of a damaged file");
        return Blob{BlobKind::partial, *id};
    }

    Result<Blob> blob_of_file(Session& session) const {
        TRY_ASSIGN(const auto catalog, session.open_catalog());
        TRY_ASSIGN(const MediumView medium, MediumView::resolve(*catalog, first_));
        TRY_ASSIGN(const auto files, medium.files_named(*catalog, *file_, volume_));
        TRY_ASSIGN(const FileRow file, only_one(files, *file_));
        const InodeRow& inode = file.inode;
        if (inode.blobid) return Blob{BlobKind::whole, *inode.blobid};
        const std::string name = to_terminal_text(medium.shown_path(file));
        const std::string why = fmt::format("ntt why {} {} --volume {} tells more", medium.hash(), inode.ino, inode.volume);
        if (!inode.partial_blobid)
            return make_error(ErrorCode::not_found,
                              fmt::format("{} is {}: the store has nothing of it", name, to_string(inode.counted_as())), why);
        if (!damaged_)
            return refusal(fmt::format("{} is damaged: {} of {} bytes are missing", name, with_commas(inode.missing_bytes),
                                       with_commas(inode.size)));
        return Blob{BlobKind::partial, *inode.partial_blobid};
    }

    static Error refusal(std::string message) {
        return make_error(ErrorCode::invalid_argument, std::move(message), "--damaged writes it, with zeros for what is missing");
    }

    std::string first_;
    std::optional<std::string> file_;
    std::optional<int> volume_;
    bool damaged_ = false;
};

}  // namespace

std::unique_ptr<Command> make_cat_command() { return std::make_unique<CatCommand>(); }

}  // namespace ntt::cli

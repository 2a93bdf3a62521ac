#include "world.h"

#include <set>
#include <sstream>

namespace ntt::test {

std::vector<nlohmann::json> Ran::lines() const {
    std::vector<nlohmann::json> out_lines;
    std::istringstream in(out);
    for (std::string line; std::getline(in, line);) {
        out_lines.push_back(nlohmann::json::parse(line, nullptr, false));
        EXPECT_FALSE(out_lines.back().is_discarded()) << line;
    }
    return out_lines;
}

Ran Shell::run(const std::vector<std::string>& args) {
    char* out = nullptr;
    char* err = nullptr;
    size_t out_size = 0, err_size = 0;
    cli::Io io{.out = open_memstream(&out, &out_size),
               .err = open_memstream(&err, &err_size),
               .out_is_terminal = false,
               .err_is_terminal = false,
               .variable =
                   [this](const std::string& name) {
                       const auto found = variables.find(name);
                       if (found != variables.end()) return std::optional(found->second);
                       return name == "NTT_READER" ? std::optional(reader_program()) : std::nullopt;
                   },
               .cancel = cancel,
               .env = Env::host(),
               .clock = clock};
    Ran ran;
    ran.exit = cli::run(args, io);
    std::fclose(io.out);
    std::fclose(io.err);
    ran.out.assign(out, out_size);
    ran.err.assign(err, err_size);
    std::free(out);
    std::free(err);
    return ran;
}

MissingRow missing(uint64_t offset, uint64_t length, std::optional<uint64_t> image_offset, Cause cause) {
    return {offset, length, image_offset, cause};
}

World::World() { std::filesystem::create_directory(home()); }

std::unique_ptr<Catalog> World::catalog() const {
    auto opened = open_catalog(Env::host(), Clock::system(), "sqlite:" + home() + "/catalog.db");
    NTT_CHECK(opened.ok(), "the test's catalog does not open");
    return std::move(opened).value();
}

Ran World::ntt(std::vector<std::string> args) {
    args.insert(args.begin() + 1, {"--home", home()});
    return shell.run(args);
}

std::string World::blob_path(const std::string& content, const std::string& folder) const {
    const std::string hex = blake3_of(as_bytes(content)).hex();
    return home() + "/" + folder + "/" + hex.substr(0, 2) + "/" + hex;
}

void World::add_medium(const std::vector<FileSpec>& files, const std::string& hash, const std::string& label) {
    const std::string at = iso8601_utc(shell.clock.wall_us());
    const auto open = catalog();
    MediumRow medium;
    medium.medium_hash = hash;
    medium.medium_human = label;
    medium.image_path = "/images/" + hash + ".img";
    medium.map_path = medium.image_path + ".map";
    medium.size_bytes = 430'592;
    medium.health = "corrupt";
    medium.added_at = medium.enum_done.emplace(at);
    ASSERT_OK_ASSIGN(const MediumKey key, open->add_medium(medium));
    ImageRow image;
    image.medium_hash = hash;
    image.path = medium.image_path;
    image.format = "raw";
    image.size_bytes = medium.size_bytes;
    image.digest = std::string(64, 'a');
    image.added_at = at;
    ASSERT_OK_ASSIGN(const int64_t image_id, open->add_image(image));

    std::set<int> volumes;
    std::set<std::pair<int, int64_t>> inodes;
    ASSERT_OK_ASSIGN(const auto transaction, open->begin());
    for (const FileSpec& file : files) {
        if (volumes.insert(file.volume).second) {
            VolumeRow volume;
            volume.medium_hash = hash;
            volume.volume = file.volume;
            volume.image_id = image_id;
            volume.offset_bytes = static_cast<uint64_t>(file.volume - 1) * 512;
            volume.view = volume.fs_type = "fat12";
            volume.role = "filesystem";
            volume.outcome = "read";
            ASSERT_OK(open->put_volume(volume));
        }
        if (inodes.emplace(file.volume, file.ino).second) {
            InodeRow inode;
            inode.volume = file.volume;
            inode.ino = file.ino;
            inode.image_id = image_id;
            inode.fs_type = file.fs_type;
            inode.nlink = file.nlink;
            inode.size = file.content.size();
            inode.mtime = file.mtime;
            if (file.fs_type == 'l') inode.target = file.target;
            if (file.fs_type != 'f') {
                inode.status = Status::nonfile;
                inode.copied = true;
                inode.claimed_by = "NON_FILE";
            }
            for (const MissingRow& range : file.missing) {
                inode.missing_bytes += range.length;
                inode.cause = range.cause;
            }
            if (inode.cause) inode.evidence = R"({"missing_ranges":[{"map_line":7,"map":"0x400 0x200 -"}]})";
            ASSERT_OK(open->add_inode(key, inode, file.missing));
        }
        PathRow path;
        path.volume = file.volume;
        path.entry = 1 + (&file - files.data());
        path.ino = file.ino;
        path.path = file.path;
        path.exclude_reason = file.exclude_reason;
        ASSERT_OK(open->add_path(key, path));
    }
    ASSERT_OK(open->mark_excluded(key));
    ASSERT_OK(transaction->commit());

    ASSERT_OK_ASSIGN(const auto store, Store::open(Env::host(), home()));
    ASSERT_OK_ASSIGN(const auto rows, open->pending_rows(key));
    ASSERT_OK_ASSIGN(const auto items, open->work_items(key, rows));
    for (const WorkItem& item : items) {
        const FileSpec* file = nullptr;
        for (const FileSpec& spec : files)
            if (spec.volume == item.volume && spec.ino == item.ino && file == nullptr) file = &spec;
        ASSERT_NE(file, nullptr);
        if (!file->copied) continue;
        CopyOutcome outcome;
        outcome.row = item.row;
        outcome.volume = item.volume;
        outcome.ino = item.ino;
        const bool whole = file->missing.empty();
        outcome.status = whole ? Status::stored : file->salvaged ? Status::damaged : Status::unreadable;
        if (!whole) outcome.cause = item.cause;
        if (!whole) outcome.claimed_by = claimed_by_of(*item.cause);
        if (whole || file->salvaged) {
            const BlobKind kind = whole ? BlobKind::whole : BlobKind::partial;
            const BlobId id = blake3_of(as_bytes(file->content));
            (whole ? outcome.blobid : outcome.partial_blobid) = id;
            outcome.blob_size = file->content.size();
            ASSERT_OK_ASSIGN(auto staged, store->stage(kind, id, as_bytes(file->content)));
            std::vector<StagedBlob> group;
            group.push_back(std::move(staged));
            ASSERT_OK(store->commit(std::move(group)));
        }
        ASSERT_OK(open->commit_outcomes(key, store->id(), {&outcome, 1}, {}, at));
    }
}

}  // namespace ntt::test

// A listing as the tests look at it, and the content of its files read through the extents.
#pragma once

#include <algorithm>
#include <filesystem>
#include <map>
#include <memory>
#include <string>
#include <vector>

#include "fs/fs_reader.h"
#include "support/support.h"
#include "volume/volume.h"

namespace ntt::test {

struct Listing : EntrySink {
    std::unique_ptr<ByteSource> source;
    std::unique_ptr<FsReader> reader;
    Volume volume;
    FindingList findings;
    std::map<int64_t, InodeEntry> inodes;
    std::multimap<std::string, int64_t> names;
    std::vector<DirectoryPlace> directories;

    void add(Finding finding) override { findings.add(std::move(finding)); }
    Result<void> add_inode(InodeEntry inode) override {
        EXPECT_TRUE(accounts_for_every_byte(inode)) << inode.fs_ino;
        const int64_t ino = inode.ino;
        EXPECT_TRUE(inodes.emplace(ino, std::move(inode)).second) << "inode twice: " << ino;
        return {};
    }
    Result<void> add_name(NameEntry name) override {
        EXPECT_EQ(inodes.count(name.ino), 1u) << "a name before its inode: " << name.path;
        names.emplace(std::move(name.path), name.ino);
        return {};
    }

    void add_directory(DirectoryPlace place) override { directories.push_back(std::move(place)); }

    bool has(const std::string& path) const { return names.count(path) != 0; }
    // Of the first finding with this code; empty if there is none.
    std::string evidence(std::string_view code) const {
        for (const Finding& finding : findings.findings)
            if (finding.code == code) return finding.evidence;
        return "";
    }
    const InodeEntry& at(const std::string& path) const {
        static const InodeEntry none;
        const auto found = names.find(path);
        EXPECT_NE(found, names.end()) << path;
        return found == names.end() ? none : inodes.at(found->second);
    }
    std::vector<std::string> paths() const {
        std::vector<std::string> out;
        for (const auto& [path, ino] : names) out.push_back(path);
        return out;
    }
    std::string content(const std::string& path) const { return content(at(path)); }
    std::string content(const InodeEntry& inode) const {
        if (inode.access == ContentAccess::through_reader) {
            std::string out(inode.size + 10, '\0');
            const auto done =
                reader->read_content(inode.fs_ino, inode.stream, 0, {reinterpret_cast<uint8_t*>(out.data()), out.size()});
            EXPECT_TRUE(done.ok()) << why(done);
            out.resize(done.ok() ? *done : 0);
            return out;
        }
        std::string out(inode.size, '\0');
        for (const Extent& e : inode.extents)
            if (e.kind == ExtentKind::data) {
                const auto read =
                    source->read(e.image_offset, {reinterpret_cast<uint8_t*>(out.data()) + e.file_offset, e.length});
                EXPECT_TRUE(read.ok()) << why(read);
            }
        return out;
    }

    // Data and holes do not overlap, and every byte is under one of them or under a fault.
    static bool accounts_for_every_byte(const InodeEntry& inode) {
        if (inode.access == ContentAccess::none) return inode.extents.empty() && inode.faults.empty();
        std::vector<std::pair<uint64_t, uint64_t>> pieces;
        uint64_t mapped = 0;
        for (const Extent& e : inode.extents) {
            if (e.kind == ExtentKind::opaque) continue;
            if (e.length == 0 || e.file_offset < mapped || e.file_offset + e.length > inode.size) return false;
            mapped = e.file_offset + e.length;
            pieces.emplace_back(e.file_offset, mapped);
        }
        if (!std::is_sorted(inode.extents.begin(), inode.extents.end(),
                            [](auto& a, auto& b) { return a.file_offset < b.file_offset; }))
            return false;
        if (inode.access == ContentAccess::through_reader) return true;
        for (const ContentFault& f : inode.faults) {
            if (f.length == 0 || f.file_offset + f.length > inode.size) return false;
            pieces.emplace_back(f.file_offset, f.file_offset + f.length);
        }
        std::sort(pieces.begin(), pieces.end());
        uint64_t reached = 0;
        for (const auto& [begin, end] : pieces) {
            if (begin > reached) return false;
            reached = std::max(reached, end);
        }
        return reached == inode.size;
    }
};

// Lists the first readable volume, or volume `number` of the image. Fails the test unless it can be opened.
inline std::unique_ptr<Listing> list_bytes(std::string image, int number = 0, const ReaderOptions& options = {}) {
    auto out = std::make_unique<Listing>();
    out->source = memory_image(std::move(image));
    FindingList detection_findings;
    const auto detection = detect_volumes(*out->source, detection_findings);
    EXPECT_TRUE(detection.ok()) << why(detection);
    if (!detection.ok()) return out;
    for (const Volume& volume : detection->volumes)
        if (volume.readable && (number == 0 || volume.number == number)) {
            out->volume = volume;
            break;
        }
    EXPECT_TRUE(out->volume.readable) << "nothing to read in this image";
    auto reader = open_reader(*out->source, out->volume, options, *out);
    EXPECT_TRUE(reader.ok()) << why(reader);
    if (!reader.ok()) return out;
    out->reader = *std::move(reader);
    const auto listed = out->reader->list(*out, CancelToken());
    EXPECT_TRUE(listed.ok()) << why(listed);
    return out;
}

// Lists with a rescue map that says `cause` of these bytes.
inline std::unique_ptr<Listing> list_with_unread(std::string image, std::vector<ByteRange> lost, Cause cause = Cause::BAD_SECTOR) {
    auto unread = std::make_shared<std::vector<UnreadRange>>();
    std::sort(lost.begin(), lost.end());
    for (const ByteRange& range : lost) unread->push_back({range, cause});
    ReaderOptions options;
    options.unread = unread;
    return list_bytes(std::move(image), 0, options);
}

inline std::unique_ptr<Listing> list_file(const std::string& path, int number = 0) { return list_bytes(read_file(path), number); }


// A file of `count` blocks of 1 KiB with as many holes between them: it is laid down in pieces.
inline void make_pieces(const std::string& path, int count) {
    write_file(path, "");
    for (int i = 0; i < count; ++i) {
        std::string block = std::to_string(i);
        block.resize(1024, ' ');
        std::filesystem::resize_file(path, static_cast<uint64_t>(2 * i + 1) * 1024);
        patch_file(path, static_cast<uint64_t>(2 * i) * 1024, block);
    }
}

// dir/t: folders, an empty, a small and a large file, a link.
inline void make_tree(const TempDir& dir) {
    must("mkdir -p t/sub/deep && ln -s small t/link", dir.path().string());
    write_file(dir / "t/empty", "");
    write_file(dir / "t/small", "hello\n");
    write_file(dir / "t/sub/medium", chosen_bytes(5, 70'000));
    write_file(dir / "t/sub/deep/large", chosen_bytes(6, 1'500'003));
}

inline void expect_tree(const TempDir& dir, const Listing& list) {
    for (const auto& entry : std::filesystem::recursive_directory_iterator(dir / "t")) {
        const std::string path = entry.path().lexically_relative(dir / "t").string();
        SCOPED_TRACE(path);
        if (entry.is_symlink())
            EXPECT_EQ(list.at(path).target, std::filesystem::read_symlink(entry.path()).string());
        else if (entry.is_regular_file())
            EXPECT_EQ(list.content(path), read_file(entry.path().string()));
        else
            EXPECT_EQ(list.at(path).fs_type, 'd');
    }
}

}  // namespace ntt::test

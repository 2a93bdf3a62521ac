// A listing as the tests look at it, and the content of its files read through the extents.
#pragma once

#include <algorithm>
#include <map>
#include <memory>
#include <string>
#include <vector>

#include "fs/tsk/tsk_reader.h"
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
inline std::unique_ptr<Listing> list_bytes(std::string image, int number = 0) {
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
    auto reader = open_tsk(*out->source, out->volume, {}, *out);
    EXPECT_TRUE(reader.ok()) << why(reader);
    if (!reader.ok()) return out;
    out->reader = *std::move(reader);
    const auto listed = out->reader->list(*out, CancelToken());
    EXPECT_TRUE(listed.ok()) << why(listed);
    return out;
}

inline std::unique_ptr<Listing> list_file(const std::string& path, int number = 0) { return list_bytes(read_file(path), number); }

}  // namespace ntt::test

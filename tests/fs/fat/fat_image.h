// FAT images for tests: made by mtools and mkfs.fat, listed by the reader, patched by hand. What is read or patched here
// knows the layout from its own few lines, not from the code under test.
#pragma once

#include <nlohmann/json.hpp>

#include <map>
#include <string>
#include <string_view>
#include <vector>

#include "fs/fat/fat_reader.h"
#include "support/support.h"

namespace ntt::test {

// What a listing gave.
struct Listing : EntrySink {
    std::vector<InodeEntry> inodes;
    std::vector<NameEntry> names;
    std::vector<Finding> findings;
    nlohmann::json detail;
    Result<void> outcome;

    Result<void> add_inode(InodeEntry inode) override;
    Result<void> add_name(NameEntry name) override;
    void add(Finding finding) override { findings.push_back(std::move(finding)); }

    std::vector<std::string> paths() const;
    // The first entry of that path; fails the test and gives an empty one if there is none.
    const InodeEntry& at(const std::string& path) const;
    const NameEntry& name(const std::string& path) const;
    size_t count(std::string_view code) const;
    // Evidence of the first finding with that code.
    nlohmann::json evidence(std::string_view code) const;
    std::string all_findings() const;  // for messages
};

struct Where {
    uint64_t offset_bytes = 0;
    ReaderOptions options = {};
};
// Opens and lists the FAT volume in `image`; the volume ends where the image ends. A failure to open is the outcome.
Listing list_fat(const std::string& image, Where where = {});
// The same of an image whose map says that `unread` are bad sectors.
Listing list_with_unread(const std::string& image, ByteRange unread);

// The bytes that the extents of an inode give.
std::string content(const std::string& image, const InodeEntry& inode);
// Fails the test unless every byte of [0, size) is under exactly one extent or fault, in order, and the number of extents is
// bounded by the clusters of the volume.
void expect_covered(const Listing& listing);

// Makes an image with mtools or mkfs.fat and puts files into it.
class FatMaker {
public:
    explicit FatMaker(const std::string& make_command);  // with IMG as the image's name
    static FatMaker floppy() { return FatMaker("mformat -C -f 1440 -i IMG ::"); }

    void run(const std::string& command);  // a shell command, with IMG as the image's name
    void make_dir(const std::string& path) { run("mmd -i IMG " + shell_quoted("::" + path)); }
    void put(const std::string& path, std::string_view bytes);
    std::string image() const { return read_file(image_path_); }
    // Every file of the image as mtools reads it.
    std::map<std::string, std::string> oracle();

private:
    TempDir dir_;
    std::string image_path_;
};

// The volume at the beginning of an image, for reading and patching.
class FatPatch {
public:
    FatPatch(std::string& image, int fat_bits);

    uint32_t entry(uint32_t cluster) const { return entry_in_copy(cluster, 0); }
    uint32_t entry_in_copy(uint32_t cluster, int copy) const;
    void set(uint32_t cluster, uint32_t value);  // in both copies
    void set_in_copy(uint32_t cluster, uint32_t value, int copy);
    // Offset of the directory entry with these 11 bytes; npos if there is none.
    size_t find(std::string_view eleven, size_t from = 0) const;
    uint32_t start_of(std::string_view eleven) const;
    std::vector<uint32_t> chain_of(std::string_view eleven) const;
    void put16(size_t offset, uint16_t value);
    void put32(size_t offset, uint32_t value);
    uint32_t get(size_t offset, int bytes) const;

    size_t cluster_size() const { return cluster_size_; }
    size_t cluster_offset(uint32_t cluster) const { return data_offset_ + (cluster - 2) * cluster_size_; }
    size_t fat_offset(int copy) const { return fat_offset_ + static_cast<size_t>(copy) * fat_length_; }
    size_t root_offset() const { return fat_offset(2); }

private:
    std::string& image_;
    int fat_bits_;
    size_t cluster_size_, fat_offset_, fat_length_, data_offset_;
};

}  // namespace ntt::test

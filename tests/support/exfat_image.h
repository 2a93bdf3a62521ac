// An exFAT volume with files. No Debian tool writes into one, so mkfs.exfat makes it and the entries are made here;
// fsck.exfat says whether it is in order.
#pragma once

#include <cstdint>
#include <map>
#include <string>

namespace ntt::test {

class ExfatImage {
public:
    // Fails the test if mkfs.exfat does. Clusters of 4 KiB.
    explicit ExfatImage(uint64_t megabytes = 8);

    struct Entry {
        size_t at = 0;          // of its first directory entry, in the image
        uint64_t cluster = 0;   // its first
    };
    // A file in one piece, in the folder `in` (0: the root, else the first cluster of one that add_folder made).
    Entry add_file(const std::string& name, const std::string& content, uint64_t in = 0);
    // A folder of `clusters`, empty.
    Entry add_folder(const std::string& name, uint64_t clusters = 1);

    size_t place_of(uint64_t cluster) const { return heap_ + (cluster - 2) * kCluster; }
    // Sets bytes of the stream entry of `entry` as its offset and width in bytes say.
    void set_in_stream(const Entry& entry, size_t offset, uint64_t value, int width) { put(entry.at + 32 + offset, value, width); }
    void mend_checksum(const Entry& entry);
    void put(size_t at, uint64_t value, int width);
    uint64_t get(size_t at, int width) const;

    std::string bytes;
    static constexpr size_t kFirstCluster = 20, kLength = 24, kValidLength = 8;  // in the stream entry
    static constexpr size_t kCluster = 4096;

private:
    Entry add(const std::string& name, uint64_t size, uint64_t clusters, bool folder, uint64_t in);
    size_t next_entry(uint64_t in);

    size_t fat_ = 0, heap_ = 0, bitmap_ = 0;
    uint64_t root_ = 0, next_cluster_ = 100;
    struct Folder {
        size_t at = 0;           // the place of the next entry
        uint64_t cluster = 0;    // it is in
    };
    std::map<uint64_t, Folder> folders_;
};

}  // namespace ntt::test

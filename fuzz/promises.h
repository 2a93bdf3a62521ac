// What a reader and the detection of volumes promise, whatever the image holds; a broken promise ends the program, and
// the fuzzer has an input that breaks it.
#pragma once

#include <cstdint>
#include <cstdio>
#include <cstdlib>
#include <string>
#include <unordered_map>
#include <unordered_set>
#include <vector>

#include "base/finding.h"
#include "fs/fs_reader.h"
#include "volume/volume.h"

// Aborts with the broken promise in words.
#define NTT_PROMISE(condition, words)                                                  \
    do {                                                                               \
        if (!(condition)) ::ntt::fuzz::broken_promise(#condition, (words), __LINE__);  \
    } while (false)

namespace ntt::fuzz {

[[noreturn]] void broken_promise(const char* condition, const std::string& words, int line);

// A failed operation on an image in memory is never the fault of this computer: it would stop the run, and blame nothing.
void check_error(const Error& error);

// Numbered from 1, sorted, texts that are UTF-8, JSON that is JSON, and no number that the catalog cannot hold.
void check_detection(const Detection& detection);

// A listing that is checked entry by entry as fs_reader.h has it: each inode once and before its names; extents sorted,
// inside the file, without overlaps; every byte under an extent or a fault; names that stay below the root; an end.
class CheckingSink final : public EntrySink {
public:
    explicit CheckingSink(uint64_t image_bytes);

    void add(Finding finding) override;
    Result<void> add_inode(InodeEntry inode) override;
    Result<void> add_name(NameEntry name) override;
    void add_directory(DirectoryPlace place) override;

    const std::vector<InodeEntry>& files() const { return files_; }  // the first of them: contents are read for these

private:
    void count();

    uint64_t entries_left_;
    std::unordered_set<int64_t> inos_;
    std::vector<InodeEntry> files_;
};

// One inode by itself; `image_bytes` bounds nothing but the number of its extents.
void check_inode(const InodeEntry& inode);

struct NoFindings final : FindingSink {
    void add(Finding) override {}
};

}  // namespace ntt::fuzz

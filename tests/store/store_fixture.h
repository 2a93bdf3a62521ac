// What the store's tests share: the ways a filesystem can be, contents, and a check of a whole store.
#pragma once

#include <algorithm>
#include <cstdlib>
#include <filesystem>
#include <ostream>
#include <string>
#include <vector>

#include "base/hash.h"
#include "store/store.h"
#include "support/fault_env.h"
#include "support/support.h"

namespace ntt::test {

// What the filesystem below the store can do, and how many levels of folders the store has.
struct Terrain {
    std::string name;
    std::vector<std::pair<Op, int>> refused;
    int fanout_levels = 1;
};

inline void PrintTo(const Terrain& terrain, std::ostream* out) { *out << terrain.name; }

inline std::vector<Terrain> terrains() {
    const std::vector<Terrain> all = {
        {"unnamed", {}},
        {"unnamed_two_levels", {}, 2},
        {"no_unnamed_files", {{Op::open_unnamed, EOPNOTSUPP}}},
        {"unnamed_files_cannot_be_linked", {{Op::link_unnamed, ENOENT}}},
        {"named_two_levels", {{Op::open_unnamed, EOPNOTSUPP}}, 2},
        {"no_hard_links", {{Op::open_unnamed, EOPNOTSUPP}, {Op::link, EPERM}}},
        {"no_links_at_all_two_levels", {{Op::link_unnamed, EPERM}, {Op::link, EOPNOTSUPP}}, 2},
    };
    return all;
}

inline void settle(FaultEnv& env, const Terrain& terrain) {
    for (const auto& [op, sys_errno] : terrain.refused) env.refuse(op, sys_errno);
    if (!terrain.refused.empty()) env.ignore_sync_filesystem();  // what lacks the one is not to be trusted with the other
}

// For tests that make hundreds of stores: their folders go to memory where $TMPDIR does not say otherwise. A busy disk would
// make minutes of seconds, and proves nothing more, as FaultEnv plays the disk.
inline void use_memory_for_temporary_files() {
    std::error_code ignored;
    if (std::filesystem::is_directory("/dev/shm", ignored)) ::setenv("TMPDIR", "/dev/shm", 0);
}

inline BlobId id_of(std::string_view content) { return blake3_of(as_bytes(content)); }

// Contents of many sizes, all different.
inline std::vector<std::string> some_contents(uint32_t seed, size_t count) {
    std::vector<std::string> out;
    for (size_t i = 0; i < count; ++i) out.push_back(chosen_bytes(seed + static_cast<uint32_t>(i), 1 + (i * 977) % 9000));
    return out;
}

// Stages and commits all of `contents` as one group.
inline Result<std::vector<Published>> put(Store& store, const std::vector<std::string>& contents,
                                          BlobKind kind = BlobKind::whole) {
    std::vector<StagedBlob> group;
    for (const std::string& content : contents) {
        TRY_ASSIGN(StagedBlob blob, store.stage(kind, id_of(content), as_bytes(content)));
        group.push_back(std::move(blob));
    }
    return store.commit(std::move(group));
}

// The path that the contract gives a content.
inline std::string contract_path(const std::string& dir, std::string_view content, int levels,
                                 const std::string& folder = "by-hash") {
    const std::string hex = id_of(content).hex();
    return dir + "/" + folder + "/" + hex.substr(0, 2) + "/" + (levels == 2 ? hex.substr(2, 2) + "/" : "") + hex;
}

// Files below `dir`/`folder`, as paths.
inline std::vector<std::string> files_below(const std::string& dir, const std::string& folder) {
    std::vector<std::string> out;
    if (!std::filesystem::exists(dir + "/" + folder)) return out;
    for (const auto& entry : std::filesystem::recursive_directory_iterator(dir + "/" + folder))
        if (!entry.is_directory()) out.push_back(entry.path().string());
    std::sort(out.begin(), out.end());
    return out;
}

// Every file under by-hash/ and partial/ has the bytes that its name says.
inline void expect_sound(const std::string& dir) {
    for (const char* folder : {"by-hash", "partial"})
        for (const std::string& path : files_below(dir, folder))
            EXPECT_EQ(id_of(read_file(path)).hex(), std::filesystem::path(path).filename().string()) << path;
}

// Nothing but blobs: no temporary files, no trials.
inline void expect_tidy(const std::string& dir) {
    EXPECT_TRUE(files_below(dir, "tmp").empty()) << files_below(dir, "tmp").front();
    EXPECT_FALSE(std::filesystem::exists(dir + "/link-probe"));
    EXPECT_FALSE(std::filesystem::exists(dir + "/ntt-store.toml.new"));
}

}  // namespace ntt::test

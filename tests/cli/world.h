// A home of ntt that tests fill through the catalog's and the store's interfaces, and commands run in this process.
#pragma once

#include <map>
#include <memory>
#include <string>
#include <vector>

#include <nlohmann/json.hpp>

#include "base/cancel.h"
#include "catalog/catalog.h"
#include "cli.h"
#include "store/store.h"
#include "support/support.h"

namespace ntt::test {

// Wall time is what the test says.
struct SetClock final : Clock {
    int64_t now_us = Clock::system().wall_us();
    int64_t wall_us() const override { return now_us; }
    int64_t monotonic_us() const override { return now_us; }
};

// What a command left behind.
struct Ran {
    int exit = -1;
    std::string out, err;
    std::vector<nlohmann::json> lines() const;  // of --json; a line that is no JSON fails the test
};

// Runs commands without touching the real home or environment.
class Shell {
public:
    std::map<std::string, std::string> variables;
    SetClock clock;
    CancelToken cancel;
    Ran run(const std::vector<std::string>& args);
};

// One file of a medium. A content without missing ranges is whole.
struct FileSpec {
    std::string path;
    int64_t ino = 0;
    std::string content = {};  // salvaged, with zeros for what is missing, when there are missing ranges
    std::vector<MissingRow> missing = {};
    char fs_type = 'f';
    int volume = 1;
    std::optional<int64_t> mtime = 894'000'000;
    std::string target = {};  // of a symlink
    uint64_t nlink = 1;
    std::optional<std::string> exclude_reason = {};
    bool salvaged = true;  // false with missing ranges: unreadable
    bool copied = true;    // false: pending
};

class World : public ::testing::Test {
protected:
    static constexpr const char* kHash = "f95834a4b718f54edc7b549ca854aef8";

    World();
    // Adds a medium with these files, copies what is to be copied into the store.
    void add_medium(const std::vector<FileSpec>& files, const std::string& hash = kHash,
                    const std::string& label = "Alicia's disk");

    // With --home.
    Ran ntt(std::vector<std::string> args);
    std::string home() const { return dir / "home"; }
    std::string blob_path(const std::string& content, const std::string& folder = "by-hash") const;
    std::unique_ptr<Catalog> catalog() const;

    TempDir dir;
    Shell shell;
};

MissingRow missing(uint64_t offset, uint64_t length, std::optional<uint64_t> image_offset, Cause cause);

}  // namespace ntt::test

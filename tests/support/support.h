// What tests share: temporary folders, running the tools that make images and serve as oracles, chosen bytes.
#pragma once

#include <gtest/gtest.h>

#include <cstdint>
#include <filesystem>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "base/finding.h"
#include "base/result.h"

namespace ntt::test {

// A folder below $TMPDIR that goes when the object does.
class TempDir {
public:
    TempDir();
    ~TempDir();
    TempDir(const TempDir&) = delete;
    TempDir& operator=(const TempDir&) = delete;
    const std::filesystem::path& path() const { return path_; }
    std::string operator/(std::string_view name) const { return (path_ / name).string(); }

private:
    std::filesystem::path path_;
};

struct CommandResult {
    int exit = -1;       // 128 + signal when killed
    std::string out, err;
};
// Runs a shell command (sh -c) in `dir` with LC_ALL=C.UTF-8 and TZ=UTC.
CommandResult sh(const std::string& command, const std::string& dir = "/");
// As sh, and fails the test when the command does not exit with 0; returns its stdout.
std::string must(const std::string& command, const std::string& dir = "/");
bool have_tool(const std::string& name);
// 'text' quoted for sh.
std::string shell_quoted(std::string_view text);

void write_file(const std::string& path, std::string_view bytes);
std::string read_file(const std::string& path);
// Overwrites bytes inside an existing file (for making damage).
void patch_file(const std::string& path, uint64_t offset, std::string_view bytes);

// `size` bytes that look random and are the same for the same seed.
std::string chosen_bytes(uint32_t seed, size_t size);

// The folder of the project's sources.
std::filesystem::path source_dir();

// $NTT_TEST_CORPUS, else ../shared/corpus beside the project; nullopt if there is none.
std::optional<std::filesystem::path> corpus_dir();

// The ntt-reader of this build, for NTT_READER.
std::string reader_program();

// Collects findings.
struct FindingList : FindingSink {
    std::vector<Finding> findings;
    void add(Finding finding) override { findings.push_back(std::move(finding)); }
    bool has(std::string_view code) const;
    size_t count(std::string_view code) const;
};

// Message of a failed Result, for EXPECT_TRUE(r.ok()) << why(r).
template <typename T>
std::string why(const Result<T>& result) {
    return result.ok() ? std::string("ok") : result.error().text();
}

}  // namespace ntt::test

// Skips the test by name when a tool is missing, with the reason.
#define NTT_NEED_TOOL(name) \
    if (!::ntt::test::have_tool(name)) GTEST_SKIP() << "needs the tool " << (name)
// The value of a good Result; ends the test otherwise.
#define ASSERT_OK(expression)                                 \
    do {                                                      \
        const auto& ntt_ok = (expression);                    \
        ASSERT_TRUE(ntt_ok.ok()) << ::ntt::test::why(ntt_ok); \
    } while (false)
#define ASSERT_OK_ASSIGN(target, ...)                                                                              \
    auto NTT_CONCAT(ntt_assign_, __LINE__) = (__VA_ARGS__);                                                        \
    ASSERT_TRUE(NTT_CONCAT(ntt_assign_, __LINE__).ok()) << ::ntt::test::why(NTT_CONCAT(ntt_assign_, __LINE__));    \
    target = std::move(NTT_CONCAT(ntt_assign_, __LINE__)).value()

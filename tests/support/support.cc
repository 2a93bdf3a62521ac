#include "support/support.h"

#include <sys/wait.h>
#include <unistd.h>

#include <cstdlib>
#include <fstream>
#include <sstream>

namespace ntt::test {
namespace fs = std::filesystem;

TempDir::TempDir() {
    std::string pattern = (fs::temp_directory_path() / "ntt-test-XXXXXX").string();
    NTT_CHECK(mkdtemp(pattern.data()) != nullptr, "cannot make a temporary folder");
    path_ = pattern;
}

TempDir::~TempDir() {
    std::error_code ignored;
    fs::remove_all(path_, ignored);
}

CommandResult sh(const std::string& command, const std::string& dir) {
    const TempDir scratch;
    const std::string out = scratch / "out", err = scratch / "err";
    const std::string line = "cd " + shell_quoted(dir) + " && export LC_ALL=C.UTF-8 TZ=UTC && { " + command + "\n} >" + shell_quoted(out) +
                             " 2>" + shell_quoted(err) + " </dev/null";
    const int status = std::system(line.c_str());  // NOLINT(cert-env33-c): tests run the tools they name
    CommandResult result;
    result.exit = WIFEXITED(status) ? WEXITSTATUS(status) : 128 + WTERMSIG(status);
    result.out = read_file(out);
    result.err = read_file(err);
    return result;
}

std::string must(const std::string& command, const std::string& dir) {
    CommandResult result = sh(command, dir);
    EXPECT_EQ(result.exit, 0) << command << "\n" << result.out << result.err;
    return std::move(result.out);
}

bool have_tool(const std::string& name) { return sh("command -v " + shell_quoted(name) + " || test -x /usr/sbin/" + shell_quoted(name)).exit == 0; }

std::string shell_quoted(std::string_view text) {
    std::string out = "'";
    for (const char c : text) out += c == '\'' ? std::string("'\\''") : std::string(1, c);
    return out + "'";
}

void write_file(const std::string& path, std::string_view bytes) {
    std::ofstream out(path, std::ios::binary | std::ios::trunc);
    out.write(bytes.data(), static_cast<std::streamsize>(bytes.size()));
    out.close();
    NTT_CHECK(out.good(), "cannot write a file of the test");
}

std::string read_file(const std::string& path) {
    std::ifstream in(path, std::ios::binary);
    std::ostringstream out;
    out << in.rdbuf();
    return std::move(out).str();
}

void patch_file(const std::string& path, uint64_t offset, std::string_view bytes) {
    std::fstream file(path, std::ios::binary | std::ios::in | std::ios::out);
    file.seekp(static_cast<std::streamoff>(offset));
    file.write(bytes.data(), static_cast<std::streamsize>(bytes.size()));
    file.close();
    NTT_CHECK(file.good(), "cannot patch a file of the test");
}

std::string chosen_bytes(uint32_t seed, size_t size) {
    std::string out(size, '\0');
    uint64_t state = (uint64_t{seed} + 1) * 0xD1B54A32D192ED03u;  // far from the step: the next seed must not give this content from its second byte on
    for (char& c : out) {  // splitmix64, one byte a step
        state += 0x9E3779B97F4A7C15u;
        uint64_t z = (state ^ (state >> 30)) * 0xBF58476D1CE4E5B9u;
        c = static_cast<char>(z >> 56);
    }
    return out;
}

fs::path source_dir() { return NTT_SOURCE_DIR; }
std::string reader_program() { return NTT_READER_PROGRAM; }

std::optional<fs::path> corpus_dir() {
    if (const char* named = std::getenv("NTT_TEST_CORPUS"); named != nullptr && *named != '\0') return fs::path(named);
    const fs::path beside = source_dir() / ".." / "shared" / "corpus";
    std::error_code ignored;
    if (fs::is_directory(beside, ignored)) return beside;
    return std::nullopt;
}

bool FindingList::has(std::string_view code) const { return count(code) != 0; }

size_t FindingList::count(std::string_view code) const {
    size_t n = 0;
    for (const Finding& finding : findings) n += finding.code == code ? 1u : 0u;
    return n;
}

}  // namespace ntt::test

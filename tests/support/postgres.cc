#include "support/postgres.h"

#include <unistd.h>

#include <cstdlib>

namespace ntt::test {
namespace {

std::string script() { return shell_quoted((source_dir() / "tests/support/postgres_server.sh").string()); }

std::string trimmed(std::string text) {
    while (!text.empty() && text.back() == '\n') text.pop_back();
    return text;
}

// Ended at the end of this process, by the script's own watch if need be.
class OwnServer {
public:
    std::optional<std::string> start() {
        file_ = (std::filesystem::temp_directory_path() / ("ntt-pg-" + std::to_string(getpid()) + ".dir")).string();
        const CommandResult started = sh(script() + " start " + shell_quoted(file_) + " " + std::to_string(getpid()));
        if (started.exit == 77) return std::nullopt;
        EXPECT_EQ(started.exit, 0) << started.err;
        return started.exit == 0 ? std::optional(trimmed(started.out)) : std::nullopt;
    }
    ~OwnServer() {
        if (!file_.empty()) sh(script() + " stop " + shell_quoted(file_));
    }

private:
    std::string file_;
};

}  // namespace

std::optional<std::string> postgres_server() {
    static OwnServer own;
    static const std::optional<std::string> folder = [] {
        const char* file = std::getenv("NTT_TEST_POSTGRES");  // where the fixture wrote it
        if (file != nullptr && std::filesystem::exists(file)) return std::optional(trimmed(read_file(file)));
        return own.start();
    }();
    return folder;
}

CommandResult psql(const std::string& url, const std::string& sql) {
    return sh("psql -qXAt -v ON_ERROR_STOP=1 -d " + shell_quoted(url) + " -c " + shell_quoted(sql));
}

PsqlInSteps::PsqlInSteps(const std::string& url, const std::string& first, const std::string& second) {
    const std::string script = dir_ / "script.sql", reached = dir_ / "reached", go_on = dir_ / "go_on";
    write_file(script, first + ";\n\\! touch " + reached + "; while [ ! -e " + go_on + " ]; do sleep 0.05; done\n" + second + ";\n");
    thread_ = std::thread([this, url, script] { result_ = sh("psql -qXAt -v ON_ERROR_STOP=1 -d " + shell_quoted(url) + " -f " + shell_quoted(script)); });
    while (!std::filesystem::exists(reached)) std::this_thread::sleep_for(std::chrono::milliseconds(10));
}

CommandResult PsqlInSteps::finish() {
    write_file(dir_ / "go_on", "");
    thread_.join();
    return result_;
}

std::string postgres_url(const TempDir& dir) {
    const std::optional<std::string> folder = postgres_server();
    if (!folder) std::abort();
    std::string schema = "t";
    for (const char c : dir.path().filename().string())
        if (std::isalnum(static_cast<unsigned char>(c)) != 0) schema += "_" + std::to_string(static_cast<int>(c));
    const std::string url = "postgresql://ntt@/ntt?host=" + *folder;
    const CommandResult made = psql(url, "CREATE SCHEMA IF NOT EXISTS " + schema);
    EXPECT_EQ(made.exit, 0) << made.err;
    return url + "&options=-csearch_path%3D" + schema;
}

}  // namespace ntt::test

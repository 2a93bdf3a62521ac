// A PostgreSQL server for tests: that of the whole run (a fixture of ctest), else one of the test's own process.
#pragma once

#include <optional>
#include <string>
#include <thread>

#include "support/support.h"

namespace ntt::test {

// The folder of the server's socket; nullopt where PostgreSQL is not installed.
std::optional<std::string> postgres_server();

// The URL of an empty schema of its own that belongs to `dir`: the same folder gives the same schema. Ends the process
// when there is no server: ask postgres_server() first.
std::string postgres_url(const TempDir& dir);

// What psql answers, unaligned, without headings; with the exit code of psql.
CommandResult psql(const std::string& url, const std::string& sql);

// A psql session in two steps: what is between them happens between them.
class PsqlInSteps {
public:
    // Returns when `first` is done.
    PsqlInSteps(const std::string& url, const std::string& first, const std::string& second);
    // Lets it go on, and waits for its end.
    CommandResult finish();

private:
    TempDir dir_;
    std::thread thread_;
    CommandResult result_;
};

}  // namespace ntt::test

#define NTT_NEED_POSTGRES() \
    if (!::ntt::test::postgres_server()) GTEST_SKIP() << "needs PostgreSQL (Debian: postgresql)"

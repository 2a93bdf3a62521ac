// Runs `ntt` in the test's own process, on a home of its own.
#pragma once

#include <nlohmann/json.hpp>

#include <map>
#include <string>
#include <utility>
#include <vector>

#include "base/cancel.h"
#include "os/env.h"
#include "support/support.h"

namespace ntt::test {

using Json = nlohmann::json;

struct Ran {
    int exit = -1;
    std::string out, err;

    // The objects of --json output, one a line. Anything else on stdout fails the test.
    std::vector<Json> objects() const;
    // The first object of this type; fails the test when there is none.
    Json object(const std::string& type) const;
};

class Ntt {
public:
    explicit Ntt(Env& env = Env::host()) : env_(env) {}

    Ran run(const std::vector<std::string>& args);
    // run() with --json.
    Ran json(std::vector<std::string> args);

    // "file" objects of regular files in `ntt files MEDIUM` by path (path_hex decoded where there is one).
    std::map<std::pair<int, std::string>, Json> files_by_volume(const std::string& medium);
    // The same by path alone, where no path stands in two volumes.
    std::map<std::string, Json> files(const std::string& medium);
    std::string home() const { return home_.path().string(); }
    std::string blob_path(const std::string& blobid, const std::string& kind = "by-hash") const;
    // Runs a query on the catalog with the sqlite3 shell; the rows as it prints them.
    std::string sql(const std::string& query) const;

    CancelToken cancel;
    std::map<std::string, std::string> variables;

private:
    Env& env_;
    TempDir home_;
};

}  // namespace ntt::test

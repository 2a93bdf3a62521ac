#include "acceptance/ntt.h"

#include <cstdio>
#include <cstdlib>
#include <sstream>

#include "cli.h"

namespace ntt::test {

std::vector<Json> Ran::objects() const {
    std::vector<Json> out_objects;
    std::istringstream lines(out);
    for (std::string line; std::getline(lines, line);) {
        Json object = Json::parse(line, nullptr, false);
        EXPECT_FALSE(object.is_discarded()) << "not JSON on stdout: " << line;
        if (!object.is_discarded()) out_objects.push_back(std::move(object));
    }
    return out_objects;
}

Json Ran::object(const std::string& type) const {
    for (const Json& object : objects())
        if (object.value("type", "") == type) return object;
    ADD_FAILURE() << "no object of type " << type << " in:\n" << out << err;
    return Json::object();
}

Ran Ntt::run(const std::vector<std::string>& args) {
    char* out = nullptr;
    char* err = nullptr;
    size_t out_size = 0, err_size = 0;
    Ran ran;
    std::FILE* out_file = open_memstream(&out, &out_size);
    std::FILE* err_file = open_memstream(&err, &err_size);
    cli::Io io{out_file, err_file, false, false, [this](const std::string& name) -> std::optional<std::string> {
                   if (name == "NTT_HOME") return home();
                   const auto found = variables.find(name);
                   if (found != variables.end()) return found->second;
                   if (name == "NTT_READER") return reader_program();
                   return std::nullopt;
               },
               cancel, env_, Clock::system()};
    ran.exit = cli::run(args, io);
    std::fclose(out_file);
    std::fclose(err_file);
    ran.out.assign(out, out_size);
    ran.err.assign(err, err_size);
    std::free(out);
    std::free(err);
    return ran;
}

Ran Ntt::json(std::vector<std::string> args) {
    args.push_back("--json");
    return run(args);
}

std::map<std::pair<int, std::string>, Json> Ntt::files_by_volume(const std::string& medium) {
    std::map<std::pair<int, std::string>, Json> out;
    for (const Json& object : json({"files", medium}).objects()) {
        if (object.value("type", "") != "file") continue;
        if (object["kind"] != "f") continue;
        const std::string path = object["path_hex"].is_null() ? object["path"].get<std::string>() : from_hex(object["path_hex"].get<std::string>()).value();
        EXPECT_TRUE(out.emplace(std::pair(object["volume"].get<int>(), path), object).second) << "two rows with one path: " << path;
    }
    return out;
}

std::map<std::string, Json> Ntt::files(const std::string& medium) {
    std::map<std::string, Json> out;
    for (const auto& [place, file] : files_by_volume(medium))
        EXPECT_TRUE(out.emplace(place.second, file).second) << "two volumes with one path: " << place.second;
    return out;
}

std::string Ntt::blob_path(const std::string& blobid, const std::string& kind) const { return home() + "/" + kind + "/" + blobid.substr(0, 2) + "/" + blobid; }

std::string Ntt::sql(const std::string& query) const {
    return must("sqlite3 -readonly " + shell_quoted(home() + "/catalog.db") + " " + shell_quoted(query));
}

}  // namespace ntt::test

#include "layers/layers.h"

#include <algorithm>
#include <array>
#include <fstream>
#include <iterator>
#include <map>
#include <optional>
#include <set>
#include <sstream>
#include <string_view>
#include <utility>

namespace ntt::layers {
namespace {

namespace fs = std::filesystem;

// What each folder of src/ may include, besides itself. ARCHITECTURE.md has the picture.
const std::map<std::string, std::set<std::string>> kMayInclude = {
    {"base", {}},
    {"os", {"base"}},
    {"image", {"base", "os"}},
    {"volume", {"base", "os", "image"}},
    {"fs", {"base", "os", "image", "volume"}},
    {"diagnose", {"base", "os", "image", "volume", "fs"}},
    {"store", {"base", "os"}},
    {"catalog", {"base", "os"}},
    {"copy", {"base", "os", "image", "volume", "fs", "diagnose", "store", "catalog"}},
    {"report", {"base", "os", "image", "diagnose", "store", "catalog", "copy"}},
    {"ingest", {"base", "os", "image", "volume", "fs", "diagnose", "store", "catalog", "copy"}},
};

// Headers through which one makes system calls: these, and all below these folders.
const std::set<std::string_view> kSystemHeaders = {"unistd.h", "fcntl.h", "dirent.h",  "poll.h",  "signal.h", "spawn.h",
                                                   "mntent.h", "fstab.h", "pthread.h", "sched.h", "termios.h"};
const std::set<std::string_view> kSystemFolders = {"sys", "linux", "asm", "net", "netinet", "arpa"};

struct SystemHeaderException {
    std::string_view file, header, reason;
};
constexpr std::array kSystemHeaderExceptions = {
    SystemHeaderException{"src/store/layout.h", "sys/types.h", "mode_t, which Env's own signatures speak; a type, no calls"},
};

const std::set<std::string> kForbiddenNames = {"util", "utils", "common", "misc", "helper", "helpers", "manager", "managers"};

// Names that other programs and people rely on.
constexpr std::string_view kFixedName = "mount-helper";

struct Include {
    std::string header;
    bool quoted = false;
};

constexpr std::string_view kBlanks = " \t";

// `text` without the blanks before it and without `word`, or nothing if it does not begin so.
std::optional<std::string_view> after(std::string_view text, std::string_view word) {
    text.remove_prefix(std::min(text.find_first_not_of(kBlanks), text.size()));
    if (!text.starts_with(word)) return std::nullopt;
    return text.substr(word.size());
}

std::optional<Include> parse_include(std::string_view line) {
    std::optional<std::string_view> rest = after(line, "#");
    if (rest) rest = after(*rest, "include");
    if (!rest) return std::nullopt;
    for (const auto& [open, close] : {std::pair{"\"", '"'}, std::pair{"<", '>'}})
        if (const auto header = after(*rest, open))
            return Include{std::string(header->substr(0, header->find(close))), close == '"'};
    return std::nullopt;
}

std::vector<Include> includes_of(const fs::path& path) {
    std::vector<Include> includes;
    std::ifstream in(path);
    for (std::string line; std::getline(in, line);)
        if (std::optional<Include> include = parse_include(line)) includes.push_back(std::move(*include));
    return includes;
}

bool is_system_header(const std::string& header) {
    const size_t slash = header.find('/');
    if (slash == std::string::npos) return kSystemHeaders.contains(header);
    return kSystemFolders.contains(std::string_view(header).substr(0, slash));
}

bool is_source(const fs::path& path) { return path.extension() == ".cc" || path.extension() == ".c"; }
bool is_code(const fs::path& path) { return is_source(path) || path.extension() == ".h"; }

// Paths relative to root of everything below root/top, sorted; nothing when there is no such folder.
std::vector<fs::path> walk(const fs::path& root, const fs::path& top) {
    std::vector<fs::path> paths;
    if (!fs::exists(root / top)) return paths;
    for (auto it = fs::recursive_directory_iterator(root / top); it != fs::recursive_directory_iterator(); ++it) {
        const fs::path relative = it->path().lexically_relative(root);
        const std::string name = relative.filename();
        // Not ours: version control and build trees, which stand at the top only.
        if (!relative.has_parent_path() && (name == ".git" || name == "build")) {
            it.disable_recursion_pending();
            continue;
        }
        paths.push_back(relative);
    }
    std::sort(paths.begin(), paths.end());
    return paths;
}

std::vector<fs::path> code_below(const fs::path& root, const fs::path& top) {
    std::vector<fs::path> paths = walk(root, top);
    std::erase_if(paths, [](const fs::path& path) { return !is_code(path); });
    return paths;
}

// "src/fs/fat/x.cc" -> "fs"; a file that lies in src/ itself gives nothing.
std::string layer_of(const fs::path& relative) {
    return std::distance(relative.begin(), relative.end()) > 2 ? std::next(relative.begin())->string() : std::string();
}

// The CMakeLists.txt that is to name the source: of its folder or of the nearest folder above it.
std::optional<fs::path> cmake_file_for(const fs::path& root, const fs::path& source) {
    for (fs::path folder = source.parent_path(); !folder.empty(); folder = folder.parent_path())
        if (fs::exists(root / folder / "CMakeLists.txt")) return folder / "CMakeLists.txt";
    return std::nullopt;
}

// The words of a CMakeLists.txt, comments left out.
std::set<std::string> words_of(const fs::path& cmake_file) {
    std::set<std::string> words;
    std::ifstream in(cmake_file);
    for (std::string line; std::getline(in, line);) {
        line.erase(std::min(line.find('#'), line.size()));
        for (char& c : line)
            if (c == '(' || c == ')' || c == '"') c = ' ';
        std::istringstream parts(line);
        words.insert(std::istream_iterator<std::string>(parts), {});
    }
    return words;
}

// Whether these words name `source`; foreach(x ...) and ${x}.cc name x.cc.
bool names_source(const std::set<std::string>& words, const fs::path& source) {
    if (words.contains(source.string())) return true;
    const bool loops = std::any_of(words.begin(), words.end(), [&](const std::string& word) {
        return word.starts_with("${") && word.ends_with("}" + source.extension().string());
    });
    return loops && words.contains(source.stem().string());
}

}  // namespace

std::vector<Violation> check_include_directions(const fs::path& root) {
    std::vector<Violation> violations;
    for (const fs::path& file : code_below(root, "src")) {
        const std::string layer = layer_of(file);
        const auto allowed = kMayInclude.find(layer);
        if (allowed == kMayInclude.end()) {
            violations.push_back({file, "lies in no folder of the table in tests/layers/layers.cc"});
            continue;
        }
        for (const Include& include : includes_of(root / file)) {
            const std::string target = include.header.substr(0, include.header.find('/'));
            if (!include.quoted) continue;
            if (!fs::exists(root / "src" / include.header))
                violations.push_back({file, "includes \"" + include.header + "\", which is not a path below src/"});
            else if (target != layer && !allowed->second.contains(target))
                violations.push_back({file, layer + " may not include " + target + " (\"" + include.header + "\")"});
        }
    }
    return violations;
}

std::vector<Violation> check_system_headers(const fs::path& root) {
    std::vector<Violation> violations;
    std::set<size_t> used;
    for (const fs::path& file : code_below(root, "src")) {
        if (layer_of(file) == "os") continue;
        for (const Include& include : includes_of(root / file)) {
            if (!is_system_header(include.header)) continue;
            const auto exception = std::find_if(kSystemHeaderExceptions.begin(), kSystemHeaderExceptions.end(),
                                                [&](const auto& e) { return e.file == file && e.header == include.header; });
            if (exception == kSystemHeaderExceptions.end())
                violations.push_back({file, "includes <" + include.header + ">; only src/os makes system calls"});
            else
                used.insert(static_cast<size_t>(exception - kSystemHeaderExceptions.begin()));
        }
    }
    for (size_t i = 0; i < kSystemHeaderExceptions.size(); ++i)
        if (const SystemHeaderException& e = kSystemHeaderExceptions[i]; fs::exists(root / e.file) && !used.contains(i))
            violations.push_back({std::string(e.file), "no longer needs its exception for <" + std::string(e.header) + ">"});
    return violations;
}

std::vector<Violation> check_every_source_is_built(const fs::path& root) {
    std::vector<Violation> violations;
    for (const char* top : {"src", "apps", "tests", "bench", "fuzz"}) {
        for (const fs::path& source : code_below(root, top)) {
            if (!is_source(source)) continue;
            const std::optional<fs::path> cmake_file = cmake_file_for(root, source);
            if (!cmake_file) {
                violations.push_back({source, "no CMakeLists.txt in its folder or above"});
                continue;
            }
            if (!names_source(words_of(root / *cmake_file), source.lexically_relative(cmake_file->parent_path())))
                violations.push_back({source, "is not named in " + cmake_file->string()});
        }
    }
    return violations;
}

std::vector<Violation> check_names(const fs::path& root) {
    std::vector<Violation> violations;
    for (const fs::path& path : walk(root, "")) {
        std::string stem = path.stem();
        std::transform(stem.begin(), stem.end(), stem.begin(),
                       [](unsigned char c) { return static_cast<char>(std::tolower(c)); });
        // "string_util" and "path-helpers" are no better.
        const std::string last = stem.substr(stem.find_last_of("_-.") + 1);
        std::replace(stem.begin(), stem.end(), '_', '-');
        if (kForbiddenNames.contains(last) && !stem.ends_with(kFixedName)) violations.push_back({path, "is called \"" + last + "\"; say what it holds"});
    }
    return violations;
}

}  // namespace ntt::layers

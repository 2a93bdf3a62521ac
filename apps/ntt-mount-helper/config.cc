#include "config.h"

#include <sys/stat.h>

#include <algorithm>
#include <utility>

#include <fmt/format.h>

#define TOML_EXCEPTIONS 0
#include <toml++/toml.h>

#include "os/env.h"
#include "trusted_folder.h"

namespace ntt::mount_helper {
namespace {

constexpr const char* kFolder = "/etc/ntt";
constexpr const char* kName = "mount-helper.toml";
constexpr size_t kMaxBytes = 1 << 20;
constexpr int kMaxTimeoutSeconds = 3600;

Error at_line(const std::string& file, const toml::node& node, std::string_view what) {
    return make_error(ErrorCode::malformed, fmt::format("{}:{}: {}", file, node.source().begin.line, what));
}

bool is_absolute(const std::optional<std::string>& path) { return path && path->starts_with('/'); }

bool is_fs_type(std::string_view text) {
    return !text.empty() && text.size() <= 32 && std::all_of(text.begin(), text.end(), [](char c) {
        return (c >= 'a' && c <= 'z') || (c >= '0' && c <= '9') || c == '_' || c == '-';
    });
}

Result<void> read_roots(const std::string& file, const toml::node& node, std::vector<std::string>& out) {
    if (!node.is_array()) return at_line(file, node, "image_roots must be a list of absolute paths");
    for (const toml::node& item : *node.as_array()) {
        const auto path = item.value_exact<std::string>();
        if (!is_absolute(path)) return at_line(file, item, "image_roots must be a list of absolute paths");
        out.push_back(*path);
    }
    return {};
}

Result<void> read_fuse(const std::string& file, const toml::node& node, std::map<std::string, std::string>& out) {
    if (!node.is_table()) return at_line(file, node, "fuse must be a table");
    for (const auto& [name, item] : *node.as_table()) {
        const auto program = item.value_exact<std::string>();
        if (!is_fs_type(name.str())) return at_line(file, item, "fuse has a key that is no filesystem type");
        if (!is_absolute(program) && program != "")
            return at_line(file, item, fmt::format("fuse.{} must be the absolute path of a program, or empty", name.str()));
        out[std::string(name.str())] = *program;
    }
    return {};
}

}  // namespace

Result<std::string> Config::fuse_program(const std::string& fs_type) const {
    const auto found = fuse.find(fs_type);
    struct stat status {};
    if (found == fuse.end() || found->second.empty() || ::stat(found->second.c_str(), &status) != 0) return std::string();
    if (!S_ISREG(status.st_mode)) return make_error(ErrorCode::permission, found->second + " is no program");
    TRY(check_only_root_writes(status, found->second));
    return found->second;
}

Result<Config> parse_config(std::string_view text, const std::string& file) {
    const toml::parse_result parsed = toml::parse(text);
    if (!parsed)
        return make_error(ErrorCode::malformed,
                          fmt::format("{}:{}: {}", file, parsed.error().source().begin.line, parsed.error().description()));
    Config out;
    for (const auto& [name, node] : parsed.table()) {
        if (name == "image_roots") {
            TRY(read_roots(file, node, out.image_roots));
        } else if (name == "mount_root") {
            const auto path = node.value_exact<std::string>();
            if (!is_absolute(path) || *path == "/") return at_line(file, node, "mount_root must be an absolute path, and not /");
            out.mount_root = *path;
        } else if (name == "timeout_seconds") {
            const auto seconds = node.value_exact<int64_t>();
            if (!seconds || *seconds < 1 || *seconds > kMaxTimeoutSeconds)
                return at_line(file, node, fmt::format("timeout_seconds must be a number from 1 to {}", kMaxTimeoutSeconds));
            out.timeout_seconds = static_cast<int>(*seconds);
        } else if (name == "fuse_after_refusal") {
            const auto value = node.value_exact<bool>();
            if (!value) return at_line(file, node, "fuse_after_refusal must be true or false");
            out.fuse_after_refusal = *value;
        } else if (name == "fuse") {
            TRY(read_fuse(file, node, out.fuse));
        } else {
            return at_line(file, node, fmt::format("unknown key {}", name.str()));
        }
    }
    return out;
}

Result<Config> load_config() {
    const std::string file = fmt::format("{}/{}", kFolder, kName);
    Result<Fd> folder = open_trusted_folder(kFolder, Missing::fail);
    if (!folder.ok() && folder.error().code == ErrorCode::not_found) return Config();
    if (!folder.ok()) return std::move(folder).take_error();
    Env& env = Env::host();
    Result<Fd> opened = env.open_read_at(*folder, kName);
    if (!opened.ok() && opened.error().code == ErrorCode::not_found) return Config();
    if (!opened.ok()) return std::move(opened).take_error();
    TRY_ASSIGN(const struct stat status, env.stat_fd(*opened));
    if (!S_ISREG(status.st_mode)) return make_error(ErrorCode::permission, file + " is no regular file");
    TRY(check_only_root_writes(status, file));
    std::string text(kMaxBytes + 1, '\0');
    TRY_ASSIGN(const size_t size, env.read_at(*opened, {reinterpret_cast<uint8_t*>(text.data()), text.size()}, 0));
    if (size > kMaxBytes) return make_error(ErrorCode::limit, fmt::format("{} is longer than {} bytes", file, kMaxBytes));
    return parse_config(std::string_view(text).substr(0, size), file);
}

}  // namespace ntt::mount_helper

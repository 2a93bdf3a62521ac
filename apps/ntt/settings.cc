#include "settings.h"

#include <array>

#include <fmt/format.h>

#define TOML_EXCEPTIONS 0
#include <toml++/toml.h>

namespace ntt::cli {
namespace {

constexpr size_t kMaxConfigBytes = 1 << 20;

using Pairs = std::vector<std::pair<std::string, std::string>>;

// One key of the file and where its value goes; exactly one of the targets is set.
struct Key {
    std::string_view path;
    std::string* text = nullptr;
    int* number = nullptr;
    int least = 0, most = 0;
    Pairs* pairs = nullptr;  // a table of texts whose keys are free
};

Error at_line(const std::string& file, const toml::source_region& where, std::string_view what) {
    return make_error(ErrorCode::malformed, fmt::format("{}:{}: {}", file, where.begin.line, what));
}

Result<void> take(const std::string& file, const Key& key, const toml::node& node) {
    if (key.text != nullptr) {
        const auto value = node.value_exact<std::string>();
        if (!value || value->empty()) return at_line(file, node.source(), fmt::format("{} must be a text", key.path));
        *key.text = *value;
        return {};
    }
    if (key.pairs != nullptr) {
        if (!node.is_table()) return at_line(file, node.source(), fmt::format("{} must be a table of texts", key.path));
        for (const auto& [name, entry] : *node.as_table()) {
            const auto value = entry.value_exact<std::string>();
            if (!value || value->empty() || name.empty()) return at_line(file, entry.source(), fmt::format("{}.{} must be a text", key.path, name.str()));
            key.pairs->emplace_back(name.str(), *value);
        }
        return {};
    }
    const auto value = node.value_exact<int64_t>();
    if (!value || *value < key.least || *value > key.most)
        return at_line(file, node.source(), fmt::format("{} must be a number from {} to {}", key.path, key.least, key.most));
    *key.number = static_cast<int>(*value);
    return {};
}

template <size_t kSize>
Result<void> read_table(const std::string& file, const toml::table& table, const std::string& prefix,
                        const std::array<Key, kSize>& keys) {
    for (const auto& [name, node] : table) {
        const std::string path = prefix + std::string(name.str());
        const Key* known = nullptr;
        bool is_table = false;
        for (const Key& key : keys) {
            if (key.path == path) known = &key;
            is_table = is_table || key.path.substr(0, path.size() + 1) == path + ".";
        }
        if (known != nullptr) {
            TRY(take(file, *known, node));
        } else if (is_table && node.is_table()) {
            TRY(read_table(file, *node.as_table(), path + ".", keys));
        } else {
            return at_line(file, node.source(), fmt::format("unknown key {}", path));
        }
    }
    return {};
}

// The whole file; nullopt if there is none.
Result<std::optional<std::string>> read_config(Env& env, const std::string& path) {
    Result<std::string> text = env.read_file(path, kMaxConfigBytes);
    if (!text.ok() && text.error().code == ErrorCode::not_found) return std::optional<std::string>();
    if (!text.ok()) return std::move(text).take_error();
    return std::optional<std::string>(std::move(text).value());
}

// An empty variable is an unset one.
std::optional<std::string> non_empty(std::optional<std::string> value) {
    if (value && value->empty()) value.reset();
    return value;
}

// $XDG_…/ntt, else ~/fallback/ntt. The XDG rules take an absolute path only.
std::optional<std::string> xdg_dir(const Variable& variable, const std::string& name, std::string_view fallback) {
    if (const auto dir = non_empty(variable(name)); dir && dir->front() == '/') return *dir + "/ntt";
    if (const auto home = non_empty(variable("HOME"))) return fmt::format("{}/{}/ntt", *home, fallback);
    return std::nullopt;
}

// The first of: command line, environment, configuration file, default.
std::string chosen(const std::optional<std::string>& option, const std::optional<std::string>& from_environment,
                   const std::string& from_file, const std::string& fallback) {
    if (option && !option->empty()) return *option;
    if (from_environment) return *from_environment;
    return from_file.empty() ? fallback : from_file;
}

bool is_log_level(const std::string& text) {
    static constexpr std::array kLevels = {"trace", "debug", "info", "warn", "error", "off"};
    return std::find(kLevels.begin(), kLevels.end(), text) != kLevels.end();
}

}  // namespace

Result<Settings> load_settings(Env& env, const CommonOptions& options, const Variable& variable) {
    Settings out;
    std::string home, catalog, store, reader_program;
    const std::array keys = {
        Key{"paths.home", &home},
        Key{"paths.catalog", &catalog},
        Key{"paths.store", &store},
        Key{"fat_codepage", &out.fat_codepage},
        Key{"fat_timezone", &out.fat_timezone},
        Key{"checkpoint_retry", nullptr, &out.checkpoint_retry, 1, 1'000'000},
        Key{"max_retries", nullptr, &out.max_retries, 1, 1'000'000},
        Key{"remounts_per_medium", nullptr, &out.remounts_per_medium, 0, 1000},
        Key{"retry_wait_ms", nullptr, &out.retry_wait_ms, 1, 3'600'000},
        Key{"retry_wait_max_ms", nullptr, &out.retry_wait_max_ms, 1, 3'600'000},
        Key{"startup_error_limit", nullptr, &out.startup_error_limit, 1, 1'000'000},
        Key{"store.fanout_levels", nullptr, &out.store_fanout_levels, 1, 2},
        Key{"suspect_run_bytes", nullptr, &out.suspect_run_bytes, 0, 1 << 30},
        Key{"jobs", nullptr, &out.jobs, 0, 1024},
        Key{"engine", &out.engine},
        Key{"lease_seconds", nullptr, &out.lease_seconds, 1, 86'400},
        Key{"heartbeat_seconds", nullptr, &out.heartbeat_seconds, 1, 86'400},
        Key{"stall_seconds", nullptr, &out.stall_seconds, 1, 86'400},
        Key{"lease_files", nullptr, &out.lease_files, 1, 10'000'000},
        Key{"catalog_wait_seconds", nullptr, &out.catalog_wait_seconds, 0, 86'400},
        Key{"image_paths", nullptr, nullptr, 0, 0, &out.image_paths},
        Key{"reader.isolation", &out.reader_isolation},
        Key{"reader.program", &reader_program},
        Key{"reader.memory_mib", nullptr, &out.reader_memory_mib, 64, 1 << 20},
        Key{"reader.cpu_seconds", nullptr, &out.reader_cpu_seconds, 1, 1'000'000},
        Key{"reader.patience_seconds", nullptr, &out.reader_patience_seconds, 1, 86'400},
    };

    const auto config_dir = xdg_dir(variable, "XDG_CONFIG_HOME", ".config");
    if (options.config || config_dir) {
        const std::string path = options.config ? *options.config : *config_dir + "/ntt.toml";
        TRY_ASSIGN(const auto text, read_config(env, path));
        if (!text && options.config) return make_error(ErrorCode::not_found, "there is no configuration file " + path);
        if (text) {
            const toml::parse_result parsed = toml::parse(*text);
            if (!parsed) return at_line(path, parsed.error().source(), parsed.error().description());
            TRY(read_table(path, parsed.table(), "", keys));
        }
    }

    out.home = chosen(options.home, non_empty(variable("NTT_HOME")), home,
                      xdg_dir(variable, "XDG_DATA_HOME", ".local/share").value_or(""));
    // Without a home (no HOME either) these stay empty: help and manual pages need none.
    out.catalog_url = chosen(options.catalog, non_empty(variable("NTT_DB_URL")), catalog,
                             out.home.empty() ? "" : "sqlite:" + out.home + "/catalog.db");
    out.store_dir = chosen(options.store, non_empty(variable("NTT_STORE")), store, out.home);

    if (out.engine != "auto" && out.engine != "image" && out.engine != "mount")
        return make_error(ErrorCode::invalid_argument, "no such engine: " + out.engine, "auto, image or mount");
    if (out.heartbeat_seconds >= out.lease_seconds)
        return make_error(ErrorCode::invalid_argument, fmt::format("heartbeat_seconds ({}) must be less than lease_seconds ({})", out.heartbeat_seconds, out.lease_seconds));
    if (out.reader_isolation != "process" && out.reader_isolation != "none")
        return make_error(ErrorCode::invalid_argument, "no such reader.isolation: " + out.reader_isolation, "process or none");
    out.reader_program = chosen(std::nullopt, non_empty(variable("NTT_READER")), reader_program, "");

    out.log_file = non_empty(options.log_file);
    out.log_level = chosen(options.log_level, non_empty(variable("NTT_LOG_LEVEL")), "", out.log_level);
    if (!is_log_level(out.log_level))
        return make_error(ErrorCode::invalid_argument, "no such log level: " + out.log_level,
                          "trace, debug, info, warn, error or off");
    out.json = options.json;
    out.progress = !options.no_progress;
    return out;
}

}  // namespace ntt::cli

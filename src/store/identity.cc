#include "store/identity.h"

#include <optional>
#include <thread>

#include <fmt/format.h>

#include "store/layout.h"

#define TOML_EXCEPTIONS 0
#include <toml++/toml.h>

namespace ntt {
namespace {

constexpr int64_t kFormat = 1;
constexpr size_t kMaxIdentityBytes = 64 * 1024;
constexpr int kLockAttempts = 1000;
constexpr std::chrono::milliseconds kLockPause{10};

Result<StoreIdentity> parse_identity(const std::string& path, std::string_view text) {
    const auto damaged = [&](std::string_view what) {
        return make_error(ErrorCode::store_damaged, fmt::format("{}: {}", path, what));
    };
    const toml::parse_result parsed = toml::parse(text);
    if (!parsed) return damaged(parsed.error().description());
    const toml::table& table = parsed.table();
    const auto format = table["format"].value<int64_t>();
    if (!format) return damaged("has no format");
    if (*format != kFormat)
        return make_error(ErrorCode::unsupported, fmt::format("{}: format {} is not known", path, *format), "use a newer ntt");
    const auto id = table["id"].value<std::string>();
    if (!id || id->size() != 32 || !is_medium_hash(*id)) return damaged("has no id of 32 hexadecimal digits");
    const auto levels = table["fanout_levels"].value<int64_t>();
    if (!levels || *levels < 1 || *levels > kMaxFanoutLevels) return damaged("fanout_levels is not 1 or 2");
    return StoreIdentity{*id, static_cast<int>(*levels)};
}

// not_found when there is no identity yet.
Result<StoreIdentity> read_identity(Env& env, const std::string& dir) {
    const std::string path = dir + "/" + kIdentityName;
    TRY_ASSIGN(const Fd file, env.open_read(path));
    std::string text(kMaxIdentityBytes, '\0');
    TRY_ASSIGN(const size_t size, env.read_at(file, {reinterpret_cast<uint8_t*>(text.data()), text.size()}, 0));
    text.resize(size);
    return parse_identity(path, text);
}

// How many levels of folders an existing by-hash/ has; nullopt if there is nothing to tell by.
Result<std::optional<int>> existing_levels(Env& env, const std::string& dir) {
    const std::string root = dir + "/" + folder_of(BlobKind::whole);
    const auto branches = env.list_dir(root);
    if (!branches.ok()) {
        if (branches.error().code == ErrorCode::not_found) return std::optional<int>();
        return branches.error();
    }
    for (const DirEntry& branch : *branches) {
        if (!branch.is_directory || !is_fanout_name(branch.name)) continue;
        TRY_ASSIGN(const auto entries, env.list_dir(root + "/" + branch.name));
        for (const DirEntry& entry : entries) {
            if (entry.is_directory && is_fanout_name(entry.name)) return std::optional<int>(2);
            if (entry.is_regular && BlobId::from_hex(entry.name)) return std::optional<int>(1);
        }
    }
    return std::optional<int>();
}

// Under the store's lock, so that two processes which make a store at once agree on one id.
Result<StoreIdentity> make_identity(Env& env, const std::string& dir, const StoreOptions& options) {
    TRY_ASSIGN(const FileLock lock, lock_store(env, dir));
    Result<StoreIdentity> other = read_identity(env, dir);
    if (other.ok() || other.error().code != ErrorCode::not_found) return other;

    TRY_ASSIGN(const auto levels, existing_levels(env, dir));
    const StoreIdentity identity{random_hex(16), levels.value_or(options.fanout_levels)};
    const std::string text = fmt::format(
        "# A store of ntt: every content once, under its BLAKE3. See docs/formats/store.md.\n"
        "id = \"{}\"\nformat = {}\nfanout_levels = {}\n",
        identity.id, kFormat, identity.fanout_levels);
    const std::string temporary = std::string(kIdentityName) + ".new";
    TRY_ASSIGN(const Fd folder, env.open_dir(dir));
    TRY_ASSIGN(const Fd file, env.open_create_at(folder, temporary, 0644, Existing::open));
    TRY(env.truncate(file, 0));
    TRY(env.write_at(file, as_bytes(text), 0));
    TRY(env.set_mode(file, 0644));
    TRY(env.sync_file(file));
    TRY(env.rename_at(folder, temporary, folder, kIdentityName));
    TRY(env.sync_file(folder));
    return identity;
}

}  // namespace

Result<StoreIdentity> read_or_make_identity(Env& env, const std::string& dir, const StoreOptions& options) {
    Result<StoreIdentity> identity = read_identity(env, dir);
    if (identity.ok() || identity.error().code != ErrorCode::not_found) return identity;
    return make_identity(env, dir, options);
}

Result<FileLock> lock_store(Env& env, const std::string& dir) {
    for (int attempt = 1;; ++attempt) {
        Result<FileLock> lock = env.try_lock(dir + "/" + kLockName);
        if (lock.ok() || lock.error().code != ErrorCode::busy || attempt == kLockAttempts) return lock;
        std::this_thread::sleep_for(kLockPause);
    }
}

}  // namespace ntt

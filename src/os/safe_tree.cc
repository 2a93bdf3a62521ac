#include "os/safe_tree.h"

#include <fcntl.h>
#include <unistd.h>

#include <array>
#include <cerrno>

#include <fmt/format.h>

#include "base/bytes.h"

namespace ntt {
namespace {

constexpr mode_t kFolderMode = 0777, kFileMode = 0666;  // less the user's umask: this is the user's own folder

Error refused(std::string_view path, std::string_view reason) {
    return make_error(ErrorCode::invalid_argument, fmt::format("{}: {}", to_terminal_text(path), reason));
}

// A name of at most 255 bytes that ends in "~number".
std::string numbered(std::string_view name, int number) {
    const std::string suffix = fmt::format("~{}", number);
    return std::string(name.substr(0, kMaxNameBytes - suffix.size())) + suffix;
}

// Fails with the errno of the last call.
Error failed(std::string_view action, const std::string& name) {
    return errno_error(errno, fmt::format("{} {}", action, to_terminal_text(name)));
}

}  // namespace

Result<std::vector<std::string_view>> safe_parts(std::string_view path) {
    std::vector<std::string_view> parts;
    if (path.find('\0') != std::string_view::npos) return refused(path, "a NUL in the name");
    if (path.substr(0, 1) == "/") return refused(path, "an absolute path");
    for (size_t begin = 0; begin <= path.size();) {
        const size_t end = std::min(path.find('/', begin), path.size());
        const std::string_view part = path.substr(begin, end - begin);
        if (part.empty()) return refused(path, "an empty part");
        if (part == "." || part == "..") return refused(path, "a part that is . or ..");
        if (part.size() > kMaxNameBytes) return refused(path, fmt::format("a part above {} bytes", kMaxNameBytes));
        if (parts.size() == kMaxDepth) return refused(path, fmt::format("more than {} folders deep", kMaxDepth));
        parts.push_back(part);
        begin = end + 1;
    }
    return parts;
}

Result<SafeTree> SafeTree::create(Env& env, const std::string& dir) {
    if (::mkdir(dir.c_str(), kFolderMode) != 0 && errno != EEXIST) return failed("make folder", dir);
    TRY_ASSIGN(const auto entries, env.list_dir(dir));
    if (!entries.empty())
        return make_error(ErrorCode::already_exists, dir + " is not empty", "name a folder that is absent or empty");
    TRY_ASSIGN(Fd root, env.open_dir(dir));
    return SafeTree(env, std::move(root));
}

Result<SafeTree::Place> SafeTree::walk(const std::string& path, Missing missing) {
    TRY_ASSIGN(const auto parts, safe_parts(path));
    const size_t slash = path.rfind('/');
    Place place{nullptr, slash == std::string::npos ? "" : path.substr(0, slash), std::string(parts.back())};
    if (place.folder.empty()) {
        place.parent = &root_;
        return place;
    }
    if (place.folder != last_folder_ || !last_parent_.valid()) {
        Fd here;
        for (size_t i = 0; i + 1 < parts.size(); ++i) {
            const Fd& from = here.valid() ? here : root_;
            const std::string part(parts[i]);
            if (missing == Missing::make && ::mkdirat(from.raw(), part.c_str(), kFolderMode) != 0 && errno != EEXIST)
                return failed("make folder", part);
            TRY_ASSIGN(Fd next, env_->open_dir_at(from, part));
            here = std::move(next);
        }
        last_parent_ = std::move(here);
        last_folder_ = place.folder;
    }
    place.parent = &last_parent_;
    return place;
}

template <typename Make>
Result<std::string> SafeTree::make_under_free_name(const std::string& path, Make make) {
    TRY_ASSIGN(Place place, walk(path, Missing::make));
    const std::string wanted = place.name;
    const auto known = doubles_.find(path);
    for (int number = known == doubles_.end() ? 1 : known->second + 1; number <= kMaxDoubles; ++number) {
        if (number > 1) place.name = numbered(wanted, number);
        const Result<void> made = make(*place.parent, place.name);
        if (made.ok()) {
            if (number > 1) doubles_[path] = number;
            return place.path();
        }
        if (made.error().code != ErrorCode::already_exists) return made.error();
    }
    return make_error(ErrorCode::limit, fmt::format("{}: more than {} files of this name", to_terminal_text(path), kMaxDoubles));
}

Result<SafeTree::NewFile> SafeTree::make_file(const std::string& path) {
    NewFile out;
    const auto make = [&](const Fd& parent, const std::string& name) -> Result<void> {
        TRY_ASSIGN(out.file, env_->open_create_at(parent, name, kFileMode, Existing::fail));
        return {};
    };
    TRY_ASSIGN(out.path, make_under_free_name(path, make));
    return out;
}

Result<void> SafeTree::make_dir(const std::string& path) {
    TRY_ASSIGN(const Place place, walk(path, Missing::make));
    if (::mkdirat(place.parent->raw(), place.name.c_str(), kFolderMode) != 0 && errno != EEXIST)
        return failed("make folder", place.name);
    TRY_ASSIGN(const Fd made, env_->open_dir_at(*place.parent, place.name));
    return {};
}

Result<std::string> SafeTree::make_symlink(const std::string& target, const std::string& path) {
    if (target.empty() || target.find('\0') != std::string::npos) return refused(path, "a symlink without a usable target");
    return make_under_free_name(path, [&](const Fd& parent, const std::string& name) -> Result<void> {
        if (::symlinkat(target.c_str(), parent.raw(), name.c_str()) != 0) return failed("make symlink", name);
        return {};
    });
}

Result<std::string> SafeTree::make_hard_link(const std::string& existing, const std::string& path) {
    TRY_ASSIGN(const Place from, walk(existing, Missing::fail));
    const Fd from_parent(::fcntl(from.parent->raw(), F_DUPFD_CLOEXEC, 0));  // the next walk closes the one in `from`
    if (!from_parent.valid()) return failed("open the folder of", existing);
    return make_under_free_name(path, [&](const Fd& parent, const std::string& name) -> Result<void> {
        return env_->link_at(from_parent, from.name, parent, name);
    });
}

Result<void> SafeTree::remove_file(const std::string& path) {
    TRY_ASSIGN(const Place place, walk(path, Missing::fail));
    return env_->unlink_at(*place.parent, place.name);
}

Result<void> SafeTree::set_times(const std::string& path, const FileTimes& times) {
    TRY_ASSIGN(const Place place, walk(path, Missing::fail));
    const auto one = [](const std::optional<int64_t>& seconds, int ns) {
        return seconds ? timespec{static_cast<time_t>(*seconds), ns >= 0 && ns < 1'000'000'000 ? ns : 0}
                       : timespec{0, UTIME_OMIT};
    };
    const std::array<timespec, 2> both = {one(times.atime, 0), one(times.mtime, times.mtime_ns)};
    if (::utimensat(place.parent->raw(), place.name.c_str(), both.data(), AT_SYMLINK_NOFOLLOW) != 0)
        return failed("set the times of", place.name);
    return {};
}

}  // namespace ntt

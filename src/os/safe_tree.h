// A folder that is filled with names from a medium. No name, whatever its bytes, makes, changes or follows anything
// outside of the folder: each part is checked, and each step opens with O_NOFOLLOW from the folder's own descriptor.
#pragma once

#include <cstdint>
#include <map>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "base/result.h"
#include "os/env.h"

namespace ntt {

// invalid_argument, with the reason, for a path that must not be made: absolute, an empty, "." or ".." part, a NUL, a part
// above 255 bytes, more than kMaxDepth parts. Otherwise its parts, which borrow from `path`.
Result<std::vector<std::string_view>> safe_parts(std::string_view path);

inline constexpr size_t kMaxNameBytes = 255;  // NAME_MAX of Linux
inline constexpr size_t kMaxDepth = 4096;     // folders inside each other
inline constexpr int kMaxDoubles = 100'000;   // files of one name in one folder

// Seconds since 1970 and nanoseconds; absent ones are left as they are.
struct FileTimes {
    std::optional<int64_t> atime, mtime;
    int mtime_ns = 0;
};

// All paths are relative to the folder, parts joined by '/'. Folders on the way are made. One thread.
class SafeTree {
public:
    // `dir` is made if it is absent; already_exists if it has anything in it.
    static Result<SafeTree> create(Env& env, const std::string& dir);

    // An open file that is new. `path` is where it stands: a name that was taken got "~2", "~3" …
    struct NewFile {
        Fd file;
        std::string path;
    };
    Result<NewFile> make_file(const std::string& path);
    Result<void> make_dir(const std::string& path);  // one that is there already is fine
    // Both return where the new name stands, as NewFile::path. The symlink's target is not looked at: nothing follows it here.
    Result<std::string> make_symlink(const std::string& target, const std::string& path);
    Result<std::string> make_hard_link(const std::string& existing, const std::string& path);
    Result<void> remove_file(const std::string& path);

    // Does not follow a symlink. For folders: after everything inside is done.
    Result<void> set_times(const std::string& path, const FileTimes& times);

private:
    explicit SafeTree(Env& env, Fd root) : env_(&env), root_(std::move(root)) {}

    struct Place {
        const Fd* parent = nullptr;  // valid until the next call
        std::string folder, name;
        std::string path() const { return folder.empty() ? name : folder + "/" + name; }
    };
    enum class Missing { make, fail };
    Result<Place> walk(const std::string& path, Missing missing);
    // Calls `make(parent, name)` with the name, then with "name~2" and so on while it says already_exists.
    template <typename Make>
    Result<std::string> make_under_free_name(const std::string& path, Make make);

    Env* env_;
    Fd root_;
    std::string last_folder_;  // the parent of the last call stays open: most calls stay in one folder
    Fd last_parent_;
    std::map<std::string, int> doubles_;  // path -> the last number given
};

}  // namespace ntt

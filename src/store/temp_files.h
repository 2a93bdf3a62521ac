// How a content is held while it is written, and how it gets its name. A crash at any moment leaves either no name, or the
// name of a whole content, or a temporary file of a dead owner in tmp/.
#pragma once

#include <cstdint>
#include <memory>
#include <mutex>
#include <optional>
#include <string>

#include "base/result.h"
#include "os/env.h"

namespace ntt {

// The first that the filesystem can do is taken:
//   unnamed  O_TMPFILE, linked when done. Nothing is left after a crash. Measured with 20,000 files of 3 KB by two threads, of
//            what creating the file under its last name costs (which is not crash-safe): 1.1 to 1.3 on tmpfs, 1.0 to 1.3 on ext4. A
//            named file and a rename: 1.5 to 1.6 on tmpfs, 1.2 to 1.3 on ext4, and something to sweep.
//   linked   a named file in tmp/<owner>/, link(2) to its last name, unlink(2)
//   renamed  the same with rename(2), where there are no hard links. There is no portable rename that does not replace; the
//            name is looked at first. Whoever takes it in between gives it the same content, whole and synced, so the
//            one that is replaced is no loss.
enum class TempMethod : uint8_t { unnamed, linked, renamed };

class OwnerFolder;

// A file that is being written. Dropping it takes its temporary name away, if it has one.
class TempFile {
public:
    TempFile(TempFile&&) noexcept = default;
    TempFile& operator=(TempFile&&) noexcept = default;
    ~TempFile();
    const Fd& fd() const { return fd_; }

private:
    friend class TempFiles;
    TempFile(Fd fd, std::string name, std::shared_ptr<OwnerFolder> folder);

    Fd fd_;
    std::string name_;                     // in folder_; empty: unnamed, or renamed by now
    std::shared_ptr<OwnerFolder> folder_;  // null: unnamed
};

// Makes and publishes the temporary files of one open store. Thread-safe.
class TempFiles {
public:
    // `store` is the open folder of the store, and outlives this.
    TempFiles(Env& env, std::string store_path, const Fd& store) : env_(env), store_path_(std::move(store_path)), store_(store) {}

    // Removes what dead owners left in tmp/. Owners that are alive, in this process or another, are left alone.
    Result<void> sweep();

    // A new file of mode kBlobMode; where it can be chosen, its place on the disk is near folder `near`. The first call finds
    // out what the filesystem can do.
    Result<TempFile> create(const Fd& near);
    // Ends the writing of a file. A named one is synced here; an unnamed one needs the sync_filesystem of its group.
    Result<void> seal(const TempFile& file);
    // Gives a sealed and synced file its name; already_exists if the name is taken.
    Result<void> publish(TempFile& file, const Fd& dir, const std::string& name);
    // What create() uses; nullopt before its first call.
    std::optional<TempMethod> method() const;

private:
    Result<TempMethod> choose_method();
    Result<void> make_owner_folder();
    Result<TempFile> create_named();

    Env& env_;
    const std::string store_path_;
    const Fd& store_;
    mutable std::mutex mutex_;  // guards what follows
    std::optional<TempMethod> method_;
    std::shared_ptr<OwnerFolder> folder_;
};

}  // namespace ntt

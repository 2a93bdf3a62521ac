// The trees of one medium, by volume: a folder, or what is mounted of an image.
#pragma once

#include <map>
#include <memory>
#include <string>
#include <vector>

#include "base/cancel.h"
#include "base/result.h"
#include "fs/isolated/tree_client.h"
#include "os/env.h"
#include "os/mount_table.h"

namespace ntt {

struct TreePlace {
    int volume = 1;
    std::string path;
};

class Trees {
public:
    explicit Trees(std::shared_ptr<const ReaderProgram> program) : program_(std::move(program)) {}

    // Opens the roots; after a remount once more, at the same or other places. Errors carry errno.
    Result<void> open(const std::vector<TreePlace>& places);
    // Lets go of all of them, so that they can be unmounted.
    void close() { trees_.clear(); }

    TreeClient& of(int volume) { return trees_.at(volume)->client; }
    bool has(int volume) const { return trees_.contains(volume); }
    const MountEntry& mount_of(int volume) const { return trees_.at(volume)->mount; }
    const Fd& root_of(int volume) const { return trees_.at(volume)->root; }

    // Whether each root's mount stands in the mount table as it did when it was opened. Does not touch the filesystems.
    bool all_mounted() const;
    // Whether each root answers.
    bool all_accessible(const CancelToken& cancel);
    // The block devices below, as the kernel's messages name them.
    std::vector<std::string> devices() const;

private:
    struct Open {
        Open(Fd folder, MountEntry entry, std::shared_ptr<const ReaderProgram> program)
            : root(std::move(folder)), mount(std::move(entry)), client(root, std::move(program)) {}
        Fd root;
        MountEntry mount;
        TreeClient client;
    };
    std::shared_ptr<const ReaderProgram> program_;
    std::map<int, std::unique_ptr<Open>> trees_;
};

}  // namespace ntt

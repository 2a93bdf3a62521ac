#include "fs/isolated/trees.h"

#include <algorithm>
#include <utility>

#include <fmt/format.h>

#include "os/folder.h"

namespace ntt {
namespace {

constexpr auto kPatience = std::chrono::minutes(1);

}  // namespace

Result<void> Trees::open(const std::vector<TreePlace>& places) {
    trees_.clear();
    for (const TreePlace& place : places) {
        TRY(answers_in_time(place.path, program_ ? program_->patience : kPatience));
        TRY_ASSIGN(Fd root, open_folder(place.path));
        TRY_ASSIGN(const FileFacts facts, facts_of(root));
        TRY_ASSIGN(const std::vector<MountEntry> table, read_mount_table());
        const auto mount = std::find_if(table.begin(), table.end(), [&](const MountEntry& entry) { return entry.id == facts.mount_id; });
        if (mount == table.end()) return make_error(ErrorCode::io, fmt::format("the mount table does not have what {} is on", place.path));
        trees_[place.volume] = std::make_unique<Open>(std::move(root), *mount, program_);
    }
    return {};
}

bool Trees::all_mounted() const {
    const Result<std::vector<MountEntry>> table = read_mount_table();
    if (!table.ok()) return true;  // nobody knows
    return std::all_of(trees_.begin(), trees_.end(), [&](const auto& tree) {
        const MountEntry& then = tree.second->mount;  // numbers are given anew to later mounts
        return std::any_of(table->begin(), table->end(), [&](const MountEntry& now) {
            return now.id == then.id && now.major == then.major && now.minor == then.minor && now.mount_point == then.mount_point;
        });
    });
}

bool Trees::all_accessible(const CancelToken& cancel) {
    return std::all_of(trees_.begin(), trees_.end(), [&](auto& tree) { return tree.second->client.check(cancel).ok(); });
}

std::vector<std::string> Trees::devices() const {
    std::vector<std::string> out;
    for (const auto& [volume, tree] : trees_)
        if (std::string name = block_device_name(tree->mount.major, tree->mount.minor); !name.empty()) out.push_back(std::move(name));
    return out;
}

}  // namespace ntt

#include "mount_table.h"

#include <libmount/libmount.h>
#include <sys/mount.h>

#include <cerrno>
#include <memory>

#include <fmt/format.h>

#include "base/wire.h"

namespace ntt::mount_helper {
namespace {

std::string text_or_empty(const char* text) { return text == nullptr ? "" : text; }

// 0, or the errno of umount2(2), which runs in a child: it may wait for a disk or a FUSE process for ever.
Result<int> try_unmount(const std::string& target, int flags, int timeout_seconds) {
    ChildTask task;
    task.what = "unmounting " + target;
    task.deadline = Clock::now() + std::chrono::seconds(timeout_seconds);
    task.on_interrupt = OnInterrupt::go_on;
    task.run = [&](int) -> int { return ::umount2(target.c_str(), flags | UMOUNT_NOFOLLOW) == 0 ? 0 : errno; };
    TRY_ASSIGN(const ChildReport report, run_in_child(task));
    return report.exit_code;
}

}  // namespace

Result<std::vector<MountEntry>> mounts_below(const std::string& folder) {
    const std::unique_ptr<libmnt_table, decltype(&mnt_unref_table)> table(mnt_new_table_from_file("/proc/self/mountinfo"),
                                                                          mnt_unref_table);
    const std::unique_ptr<libmnt_iter, decltype(&mnt_free_iter)> iterator(mnt_new_iter(MNT_ITER_FORWARD), mnt_free_iter);
    if (!table || !iterator) return make_error(ErrorCode::io, "cannot read the mount table");
    std::vector<MountEntry> out;
    libmnt_fs* entry = nullptr;
    while (mnt_table_next_fs(table.get(), iterator.get(), &entry) == 0) {
        MountEntry mount{text_or_empty(mnt_fs_get_source(entry)), text_or_empty(mnt_fs_get_target(entry)),
                         text_or_empty(mnt_fs_get_fstype(entry))};
        if (mount.target == folder || mount.target.starts_with(folder + "/")) out.push_back(std::move(mount));
    }
    return out;
}

Result<Unmounted> unmount_one(const std::string& target, int timeout_seconds) {
    const Result<int> plain = try_unmount(target, 0, timeout_seconds);
    if (plain.ok() && *plain == 0) return Unmounted::plainly;
    TRY_ASSIGN(const int detached, try_unmount(target, MNT_DETACH, timeout_seconds));
    if (detached == 0) return Unmounted::lazily;
    // EINVAL: the first attempt was given up, and succeeded all the same.
    if (!plain.ok() && detached == EINVAL) return Unmounted::plainly;
    return errno_error(detached, "unmount " + target);
}

}  // namespace ntt::mount_helper

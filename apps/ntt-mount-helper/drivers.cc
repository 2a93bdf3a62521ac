#include "drivers.h"

#include <sys/mount.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <unistd.h>

#include <linux/capability.h>

#include <algorithm>
#include <array>
#include <cerrno>
#include <cstring>
#include <string_view>
#include <vector>

#include <fmt/format.h>

#include "mount_table.h"

namespace ntt::mount_helper {
namespace {

constexpr unsigned long kFlags = MS_RDONLY | MS_NOSUID | MS_NODEV | MS_NOEXEC | MS_NOATIME;

// One way to have the kernel mount what libblkid calls `fs_type`; they are tried from top to bottom. The list is also a
// fence: an image decides what it looks like, and this kernel may have drivers that nobody has looked at for years.
struct KernelWay {
    std::string_view fs_type, driver, options, mounted_as;
};
constexpr std::array kKernelWays = {
    KernelWay{"ext2", "ext2", "", "ext2"},
    KernelWay{"ext2", "ext4", "", "ext2"},
    KernelWay{"ext3", "ext3", "noload", "ext3"},
    KernelWay{"ext3", "ext4", "noload", "ext3"},
    KernelWay{"ext4", "ext4", "noload", "ext4"},
    // Two images of one disk have one UUID, which XFS refuses to mount twice otherwise.
    KernelWay{"xfs", "xfs", "norecovery,nouuid", "xfs"},
    KernelWay{"btrfs", "btrfs", "rescue=nologreplay", "btrfs"},
    KernelWay{"vfat", "vfat", "umask=022", "vfat"},
    KernelWay{"exfat", "exfat", "umask=022", "exfat"},
    KernelWay{"ntfs", "ntfs3", "umask=022", "ntfs"},
    KernelWay{"ntfs", "ntfs", "umask=022", "ntfs"},
    KernelWay{"iso9660", "iso9660", "mode=0444,dmode=0555", "iso9660"},
    // A disc with both can have a broken UDF side; the other one then has the same files.
    KernelWay{"udf", "udf", "umask=022", "udf"},
    KernelWay{"udf", "iso9660", "mode=0444,dmode=0555", "iso9660"},
    KernelWay{"hfs", "hfs", "umask=022", "hfs"},
    KernelWay{"hfsplus", "hfsplus", "umask=022", "hfsplus"},
    KernelWay{"ufs", "ufs", "ufstype=ufs2", "ufs"},
    KernelWay{"ufs", "ufs", "ufstype=44bsd", "ufs"},
    KernelWay{"nilfs2", "nilfs2", "norecovery", "nilfs2"},
    KernelWay{"f2fs", "f2fs", "norecovery", "f2fs"},
    KernelWay{"jfs", "jfs", "", "jfs"},
    KernelWay{"minix", "minix", "", "minix"},
    KernelWay{"squashfs", "squashfs", "", "squashfs"},
    KernelWay{"erofs", "erofs", "", "erofs"},
};

// What FUSE programs are told beyond the flags. Those of ext, NTFS and exFAT name the device as the mount's source by
// themselves, and some of them take no fsname.
std::string fuse_options(const std::string& fs_type, const std::string& device) {
    std::string out = "ro,nosuid,nodev,noexec,noatime,allow_other";
    if (fs_type.starts_with("ext") && fs_type.size() == 4) return out + ",norecovery";
    if (fs_type == "ntfs") return out + ",umask=022,norecover";
    if (fs_type == "exfat") return out + ",umask=022";
    if (fs_type == "vfat") out += ",umask=022";
    return out + ",fsname=" + device;
}

ChildTask mount_task(const std::string& what, int timeout_seconds) {
    ChildTask task;
    task.what = what;
    task.deadline = Clock::now() + std::chrono::seconds(timeout_seconds);
    return task;
}

// 0 or the errno of mount(2).
Result<int> mount_by_kernel(const KernelWay& way, const std::string& device, const std::string& folder, int timeout_seconds) {
    ChildTask task = mount_task(fmt::format("mounting {} as {}", device, way.driver), timeout_seconds);
    task.run = [&](int) -> int {
        const std::string driver(way.driver), options(way.options);
        return ::mount(device.c_str(), folder.c_str(), driver.c_str(), kFlags, options.c_str()) == 0 ? 0 : errno;
    };
    TRY_ASSIGN(const ChildReport report, run_in_child(task));
    return report.exit_code;
}

// What a FUSE program needs is to mount, and root's own devices; ntfs-3g also sets the user that it is already. It reads hostile
// bytes as root, so it gets nothing else.
void confine_fuse_program() {
    constexpr std::array<unsigned long, 3> kKept = {CAP_SYS_ADMIN, CAP_SETUID, CAP_SETGID};
    ::prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0);
    for (unsigned long capability = 0; ::prctl(PR_CAPBSET_READ, capability) >= 0; ++capability)
        if (std::find(kKept.begin(), kKept.end(), capability) == kKept.end()) ::prctl(PR_CAPBSET_DROP, capability);
    const rlimit none{0, 0};
    ::setrlimit(RLIMIT_CORE, &none);
    ::setrlimit(RLIMIT_FSIZE, &none);
}

bool is_mounted(const std::string& device, const std::string& folder) {
    const Result<std::vector<MountEntry>> entries = mounts_below(folder);
    return entries.ok() && !entries->empty() && entries->back().target == folder && entries->back().source == device;
}

Result<void> mount_by_fuse(const std::string& program, const std::string& fs_type, const std::string& device,
                           const std::string& folder, int timeout_seconds) {
    const std::string options = fuse_options(fs_type, device);
    ChildTask task = mount_task(fmt::format("mounting {} with {}", device, program), timeout_seconds);
    task.run = [&](int) -> int {
        confine_fuse_program();
        const std::array arguments = {program, std::string("-o"), options, device, folder};
        std::vector<char*> argv;
        for (const std::string& argument : arguments) argv.push_back(const_cast<char*>(argument.c_str()));
        argv.push_back(nullptr);
        // Names come out as UTF-8.
        char path[] = "PATH=/usr/sbin:/usr/bin:/sbin:/bin", locale[] = "LC_ALL=C.UTF-8";
        char* const environment[] = {path, locale, nullptr};
        ::execve(program.c_str(), argv.data(), environment);
        const std::string failed = fmt::format("cannot start: {}\n", strerror(errno));
        return ::write(STDERR_FILENO, failed.data(), failed.size()) < 0 ? 126 : 127;
    };
    TRY_ASSIGN(const ChildReport report, run_in_child(task));
    if (report.exit_code != 0)
        return make_error(ErrorCode::unsupported,
                          fmt::format("{} refuses it (exit code {}): {}", program, report.exit_code, last_line(report.bytes)));
    if (!is_mounted(device, folder))
        return make_error(ErrorCode::unsupported, fmt::format("{} ended well, but there is no mount of {}", program, device));
    return {};
}

// The flags hold for the mount point whatever a FUSE program made of its options.
Result<void> enforce_flags(const std::string& folder, int timeout_seconds) {
    ChildTask task = mount_task("setting the flags of " + folder, timeout_seconds);
    task.run = [&](int) -> int {
        return ::mount(nullptr, folder.c_str(), nullptr, MS_REMOUNT | MS_BIND | kFlags, nullptr) == 0 ? 0 : errno;
    };
    TRY_ASSIGN(const ChildReport report, run_in_child(task));
    if (report.exit_code != 0) return errno_error(report.exit_code, "set the flags of " + folder);
    return {};
}

}  // namespace

Result<Mounting> mount_device(const Config& config, const std::string& fs_type, const std::string& device,
                              const std::string& folder) {
    std::string refusal;
    for (const KernelWay& way : kKernelWays) {
        if (way.fs_type != fs_type) continue;
        TRY_ASSIGN(const int failed, mount_by_kernel(way, device, folder, config.timeout_seconds));
        if (failed == 0) return Mounting{std::string(way.mounted_as), "kernel"};
        if (failed != ENODEV && refusal.empty())
            refusal = fmt::format("the kernel's {} refuses it: {}", way.driver, strerror(failed));
    }
    if (!refusal.empty() && !config.fuse_after_refusal) return make_error(ErrorCode::unsupported, refusal);

    TRY_ASSIGN(const std::string program, config.fuse_program(fs_type));
    if (program.empty())
        return make_error(ErrorCode::unsupported, !refusal.empty() ? refusal : fmt::format("there is no driver for {}", fs_type));
    TRY(mount_by_fuse(program, fs_type, device, folder, config.timeout_seconds));
    TRY(enforce_flags(folder, config.timeout_seconds));
    return Mounting{fs_type, program};
}

}  // namespace ntt::mount_helper

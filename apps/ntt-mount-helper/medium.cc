#include "medium.h"

#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <charconv>
#include <map>
#include <optional>
#include <utility>
#include <vector>

#include <fmt/format.h>

#include "drivers.h"
#include "image.h"
#include "loop_device.h"
#include "mount_table.h"
#include "os/env.h"
#include "trusted_folder.h"
#include "volumes.h"

namespace ntt::mount_helper {
namespace {

using Json = nlohmann::ordered_json;

constexpr const char* kLockFolder = "/run/ntt";
constexpr useconds_t kLockPauseMicroseconds = 20'000;
constexpr int kLockTimeouts = 4;  // another run may look at the image, mount, and put things in order
constexpr int kMaxUnmounts = 1024;
constexpr auto kTimeToFreeLoops = std::chrono::seconds(5);
constexpr useconds_t kFreePauseMicroseconds = 10'000;

Json text_or_null(const std::string& text) { return text.empty() ? Json(nullptr) : Json(text); }

std::string folder_of(const Config& config, const Request& request) { return config.mount_root + "/" + request.medium_hash; }

// The number in "p12"; nullopt for every other name.
std::optional<int> volume_number(std::string_view name) {
    int number = 0;
    if (name.size() < 2 || name.size() > 5 || name[0] != 'p' || name[1] == '0') return std::nullopt;
    const auto [end, failed] = std::from_chars(name.data() + 1, name.data() + name.size(), number);
    if (failed != std::errc() || end != name.data() + name.size() || number < 1) return std::nullopt;
    return number;
}

// One run at a time works on a medium; the others wait.
Result<FileLock> lock_medium(const Config& config, const Request& request) {
    TRY(open_trusted_folder(kLockFolder, Missing::make));
    // Who can read a file can lock it: nobody else shall keep the helper waiting.
    const std::string path = fmt::format("{}/mount-{}.lock", kLockFolder, request.medium_hash);
    const auto deadline = Clock::now() + std::chrono::seconds(config.timeout_seconds) * kLockTimeouts;
    for (;;) {
        const mode_t usual = ::umask(077);
        Result<FileLock> lock = Env::host().try_lock(path);
        ::umask(usual);
        if (lock.ok() || lock.error().code != ErrorCode::busy) return lock;
        if (interrupted()) return make_error(ErrorCode::cancelled, "interrupted");
        if (Clock::now() > deadline) return make_error(ErrorCode::busy, "another run for this medium does not end");
        ::usleep(kLockPauseMicroseconds);
    }
}

// Whoever removes its lock file before letting go of it leaves nothing behind, and excludes whom it should (Env::try_lock).
void remove_lock_file(const Request& request) {
    ::unlink(fmt::format("{}/mount-{}.lock", kLockFolder, request.medium_hash).c_str());
}

// Folders go if they are empty and nothing is mounted there. Only names that the helper gives.
void remove_folders(const Config& config, const Request& request) {
    const Result<Fd> root = open_trusted_folder(config.mount_root, Missing::fail);
    if (!root.ok()) return;
    const Result<std::vector<MountEntry>> mounts = mounts_below(folder_of(config, request));
    if (!mounts.ok()) return;
    const bool mounted_on = std::any_of(mounts->begin(), mounts->end(),
                                        [&](const MountEntry& mount) { return mount.target == folder_of(config, request); });
    if (mounted_on) return;
    if (const Result<Fd> folder = open_trusted_subfolder(*root, request.medium_hash, folder_of(config, request), Missing::fail);
        folder.ok())
        for (int number = 1; number <= static_cast<int>(kMaxPartitions) + 1; ++number)
            ::unlinkat(folder->raw(), fmt::format("p{}", number).c_str(), AT_REMOVEDIR);
    ::unlinkat(root->raw(), request.medium_hash.c_str(), AT_REMOVEDIR);
}

// --- mount ---

struct PlannedMount {
    const Volume* volume = nullptr;
    std::string path;
    std::string fs_type, driver, device;  // once it is mounted
};

// Undoes what a run has mounted so far, unless it comes to a good end.
class Undo {
public:
    Undo(const Config& config, const Request& request) : config_(config), request_(request) {}
    ~Undo() {
        if (done_) return;
        for (auto path = paths_.rbegin(); path != paths_.rend(); ++path) take_back(*path);
        remove_folders(config_, request_);
    }
    Undo(const Undo&) = delete;
    Undo& operator=(const Undo&) = delete;

    // Before the attempt: one that fails or is given up may have mounted all the same.
    void add(const std::string& path) { paths_.push_back(path); }
    void drop_last() {
        take_back(paths_.back());
        // An empty folder among the mounted ones would look like an empty volume.
        ::rmdir(paths_.back().c_str());
        paths_.pop_back();
    }
    void keep_all() { done_ = true; }

private:
    void take_back(const std::string& path) const {
        const Result<std::vector<MountEntry>> mounts = mounts_below(path);
        if (mounts.ok() && !mounts->empty())
            unmount_one(path, config_.timeout_seconds).ignore("the first error is the one to tell");
    }

    const Config& config_;
    const Request& request_;
    std::vector<std::string> paths_;
    bool done_ = false;
};

// What is mounted below the medium's folder belongs to this image, or the hash is taken.
Result<void> check_same_image(const std::vector<MountEntry>& mounts, const Image& image, const Request& request) {
    for (const MountEntry& mount : mounts) {
        const std::optional<LoopBacking> backing = loop_backing(mount.source);
        if (!backing)
            return make_error(ErrorCode::busy, fmt::format("something else is mounted at {} ({})", mount.target, mount.source));
        if (!backing->is(image))
            return make_error(ErrorCode::busy, fmt::format("another image is mounted under {} (at {}, {})", request.medium_hash,
                                                           mount.target, mount.source));
    }
    return {};
}

// Joins the volumes with what is mounted already; `mounts` must all have their place in the plan.
Result<void> find_mounted(std::vector<PlannedMount>& plan, const std::vector<MountEntry>& mounts, const Config& config) {
    for (const MountEntry& mount : mounts) {
        const auto planned =
            std::find_if(plan.begin(), plan.end(), [&](const PlannedMount& p) { return p.path == mount.target; });
        const std::optional<LoopBacking> backing = loop_backing(mount.source);
        if (planned == plan.end() || !backing || backing->range.offset != planned->volume->range.offset)
            return make_error(
                ErrorCode::busy,
                fmt::format("{} is mounted, but does not fit the image's volumes any more; unmount it first", mount.target));
        planned->device = mount.source;
        planned->fs_type = planned->volume->signature.fs_type;
        planned->driver = "kernel";
        if (mount.fs_type.starts_with("fuse")) {
            TRY_ASSIGN(const std::string program, config.fuse_program(planned->fs_type));
            planned->driver = program.empty() ? mount.fs_type : program;
        } else if (mount.fs_type == "iso9660") {
            planned->fs_type = mount.fs_type;
        }
    }
    return {};
}

Result<void> make_folder(const Config& config, const Request& request, const PlannedMount& planned) {
    TRY_ASSIGN(const Fd root, open_trusted_folder(config.mount_root, Missing::make));
    const std::string folder = folder_of(config, request);
    TRY_ASSIGN(const Fd own, open_trusted_subfolder(root, request.medium_hash, folder, Missing::make));
    if (planned.path != folder)
        TRY(open_trusted_subfolder(own, planned.path.substr(folder.size() + 1), planned.path, Missing::make));
    return {};
}

// An error for what ends the run; what only this volume suffers from is put into `reason`.
Result<void> mount_volume(const Config& config, const Request& request, const Image& image, PlannedMount& planned, Undo& undo,
                          std::string& reason) {
    if (interrupted()) return make_error(ErrorCode::cancelled, "interrupted");
    TRY(make_folder(config, request, planned));
    Result<LoopDevice> loop = attach_loop(image, planned.volume->range);
    if (!loop.ok()) {
        reason = loop.error().text();
        return {};
    }
    undo.add(planned.path);
    Result<Mounting> mounting = mount_device(config, planned.volume->signature.fs_type, loop->path, planned.path);
    if (mounting.ok()) {
        planned.device = loop->path;
        planned.fs_type = mounting->fs_type;
        planned.driver = mounting->driver;
        return {};
    }
    // A mount that hangs, or an interrupt, is not this volume's alone.
    if (mounting.error().code == ErrorCode::parser_timeout || mounting.error().code == ErrorCode::cancelled)
        return std::move(mounting).take_error();
    undo.drop_last();
    reason = mounting.error().text();
    return {};
}

Json mounted_json(int volume, const std::string& path, ByteRange range, const std::string& fs_type, const std::string& driver,
                  const std::string& device, const Signature& signature) {
    return {{"volume", volume},
            {"path", path},
            {"offset_bytes", range.offset},
            {"size_bytes", range.length},
            {"fs_type", text_or_null(fs_type)},
            {"driver", driver},
            {"device", device},
            {"label", text_or_null(signature.label)},
            {"uuid", text_or_null(signature.uuid)}};
}

Json not_mounted_json(const Volume& volume) {
    return {{"volume", volume.number},
            {"offset_bytes", volume.range.offset},
            {"size_bytes", volume.range.length},
            {"fs_type", text_or_null(volume.signature.fs_type)},
            {"reason", volume.reason}};
}

// --- unmount ---

// A device that a FUSE process or the kernel is still letting go of is free a moment later.
void wait_until_free(const std::vector<std::string>& devices) {
    const auto deadline = Clock::now() + kTimeToFreeLoops;
    for (const std::string& device : devices)
        while (!is_free_loop(device) && Clock::now() < deadline) ::usleep(kFreePauseMicroseconds);
}

}  // namespace

Result<void> mount_medium(const Config& config, const Request& request, uid_t real_user, const Deliver& deliver) {
    TRY_ASSIGN(const Image image, open_image(request.image_path, real_user, config.image_roots));
    TRY_ASSIGN(const FileLock lock, lock_medium(config, request));
    const std::string folder = folder_of(config, request);
    TRY_ASSIGN(const std::vector<MountEntry> mounts, mounts_below(folder));
    TRY(check_same_image(mounts, image, request));

    TRY_ASSIGN(std::vector<Volume> volumes, find_volumes(image, Clock::now() + std::chrono::seconds(config.timeout_seconds)));
    std::vector<PlannedMount> plan;
    for (const Volume& volume : volumes)
        if (volume.reason.empty())
            plan.push_back({&volume, volumes.size() == 1 ? folder : fmt::format("{}/p{}", folder, volume.number), {}, {}, {}});
    TRY(find_mounted(plan, mounts, config));

    Undo undo(config, request);
    int mounted_now = 0, mounted = 0;
    for (PlannedMount& planned : plan) {
        const bool was_mounted = !planned.device.empty();
        if (!was_mounted) {
            std::string reason;
            TRY(mount_volume(config, request, image, planned, undo, reason));
            if (!reason.empty()) volumes[static_cast<size_t>(planned.volume->number - 1)].reason = reason;
        }
        if (planned.device.empty()) continue;
        ++mounted;
        if (!was_mounted) ++mounted_now;
    }

    Json report = {{"medium_hash", request.medium_hash}, {"mount_point", folder}, {"already_mounted", mounted_now == 0}};
    report["mounts"] = Json::array();
    report["not_mounted"] = Json::array();
    for (const PlannedMount& planned : plan)
        if (!planned.device.empty())
            report["mounts"].push_back(mounted_json(planned.volume->number, planned.path, planned.volume->range, planned.fs_type,
                                                    planned.driver, planned.device, planned.volume->signature));
    std::string reasons;
    for (const Volume& volume : volumes) {
        if (volume.reason.empty()) continue;
        report["not_mounted"].push_back(not_mounted_json(volume));
        reasons += fmt::format("{}volume {}: {}", reasons.empty() ? "" : "; ", volume.number, volume.reason);
    }
    if (mounted == 0)
        return make_error(ErrorCode::unsupported, fmt::format("nothing in {} can be mounted: {}", image.path, reasons));
    if (interrupted()) return make_error(ErrorCode::cancelled, "interrupted");
    TRY(deliver(report));
    undo.keep_all();
    return {};
}

Result<void> unmount_medium(const Config& config, const Request& request, const Deliver& deliver) {
    TRY_ASSIGN(const FileLock lock, lock_medium(config, request));
    const std::string folder = folder_of(config, request);
    std::vector<std::string> unmounted, devices;
    bool lazy = false;
    for (int i = 0; i < kMaxUnmounts; ++i) {
        TRY_ASSIGN(const std::vector<MountEntry> mounts, mounts_below(folder));
        if (mounts.empty()) break;
        const MountEntry& last = mounts.back();
        TRY_ASSIGN(const Unmounted how, unmount_one(last.target, config.timeout_seconds));
        lazy = lazy || how == Unmounted::lazily;
        if (std::find(unmounted.begin(), unmounted.end(), last.target) == unmounted.end()) unmounted.push_back(last.target);
        if (how == Unmounted::plainly) devices.push_back(last.source);
    }
    TRY_ASSIGN(const std::vector<MountEntry> left, mounts_below(folder));
    if (!left.empty()) return make_error(ErrorCode::busy, left.back().target + " is mounted again and again");
    wait_until_free(devices);
    remove_folders(config, request);
    remove_lock_file(request);
    std::sort(unmounted.begin(), unmounted.end());
    return deliver(Json{{"medium_hash", request.medium_hash}, {"unmounted", unmounted}, {"lazy", lazy}});
}

Result<Mounted> status_of_medium(const Config& config, const Request& request, const Deliver& deliver) {
    const std::string folder = folder_of(config, request);
    TRY_ASSIGN(const std::vector<MountEntry> mounts, mounts_below(folder));
    const auto deadline = Clock::now() + std::chrono::seconds(config.timeout_seconds);
    std::map<int, Json> by_volume;
    for (const MountEntry& mount : mounts) {
        const std::optional<int> number = mount.target == folder ? 1 : volume_number(mount.target.substr(folder.size() + 1));
        if (!number) continue;  // somebody's mount inside of ours
        Fd device;
        const std::optional<LoopBacking> backing = loop_backing(mount.source, &device);
        Signature signature;
        if (backing) {
            const Result<Signature> probed = probe_signature(device, {0, backing->range.length}, deadline, OnInterrupt::stop);
            if (probed.ok()) signature = *probed;
        }
        std::string driver = "kernel", fs_type = mount.fs_type;
        if (mount.fs_type.starts_with("fuse")) {
            fs_type = signature.fs_type;
            TRY_ASSIGN(const std::string program, config.fuse_program(fs_type));
            driver = program.empty() ? mount.fs_type : program;
        }
        Json entry =
            mounted_json(*number, mount.target, backing ? backing->range : ByteRange{}, fs_type, driver, mount.source, signature);
        if (!backing) entry["offset_bytes"] = entry["size_bytes"] = nullptr;
        by_volume[*number] = std::move(entry);
    }
    Json report = {{"medium_hash", request.medium_hash}, {"mounted", !by_volume.empty()}, {"mounts", Json::array()}};
    for (auto& [number, entry] : by_volume) report["mounts"].push_back(std::move(entry));
    TRY(deliver(report));
    return by_volume.empty() ? Mounted::no : Mounted::yes;
}

}  // namespace ntt::mount_helper

#include "probe.h"

#include <blkid/blkid.h>
#include <grp.h>
#include <signal.h>
#include <sys/prctl.h>
#include <unistd.h>

#include <cerrno>
#include <limits>

#include <fmt/format.h>

#include "base/wire.h"
#include "os/sandbox.h"

namespace ntt::mount_helper {
namespace {

constexpr uid_t kNobody = 65534;
constexpr uint64_t kMemoryBytes = uint64_t{1} << 30;
constexpr uint64_t kSectorBytes = 512;  // libblkid's unit for partitions, whatever the medium's own is
constexpr uint64_t kMaxKind = 2;
constexpr size_t kMaxTextBytes = 1024;  // of a label, a UUID or a type
enum ChildExit : int { kDone = 0, kCannotConfine = 10, kCannotProbe = 11, kTooMany = 12 };

bool become_nobody() {
    if (::setgroups(0, nullptr) != 0 || ::setresgid(kNobody, kNobody, kNobody) != 0 ||
        ::setresuid(kNobody, kNobody, kNobody) != 0)
        return false;
    // Changing the user has cleared the first.
    return ::prctl(PR_SET_PDEATHSIG, SIGKILL) == 0 && ::prctl(PR_SET_DUMPABLE, 0) == 0 &&
           ::prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0) == 0;
}

bool write_all(int fd, std::string_view bytes) {
    while (!bytes.empty()) {
        const ssize_t n = ::write(fd, bytes.data(), bytes.size());
        if (n < 0 && errno == EINTR) continue;
        if (n <= 0) return false;
        bytes.remove_prefix(static_cast<size_t>(n));
    }
    return true;
}

std::string value_of(blkid_probe probe, const char* name) {
    const char* data = nullptr;
    size_t size = 0;
    if (blkid_probe_lookup_value(probe, name, &data, &size) != 0 || size == 0) return {};
    // The size counts the NUL at the end.
    return std::string(data, std::min(size - 1, kMaxTextBytes));
}

// --- in the child ---

int report_partitions(blkid_probe probe, int report_fd) {
    blkid_probe_enable_superblocks(probe, 0);
    blkid_probe_enable_partitions(probe, 1);
    const blkid_partlist list = blkid_probe_get_partitions(probe);
    const int count = list == nullptr ? 0 : blkid_partlist_numof_partitions(list);
    if (count < 0) return kCannotProbe;
    if (static_cast<size_t>(count) > kMaxPartitions) return kTooMany;
    WireWriter out;
    out.number(static_cast<uint64_t>(count));
    for (int i = 0; i < count; ++i) {
        const blkid_partition partition = blkid_partlist_get_partition(list, i);
        if (partition == nullptr) return kCannotProbe;
        out.number(static_cast<uint64_t>(blkid_partition_get_start(partition)));
        out.number(static_cast<uint64_t>(blkid_partition_get_size(partition)));
        out.flag(blkid_partition_is_extended(partition) == 1);
    }
    return write_all(report_fd, out.bytes()) ? kDone : kCannotProbe;
}

int report_signature(blkid_probe probe, int report_fd) {
    blkid_probe_enable_partitions(probe, 0);
    blkid_probe_enable_superblocks(probe, 1);
    blkid_probe_set_superblocks_flags(probe, BLKID_SUBLKS_TYPE | BLKID_SUBLKS_USAGE | BLKID_SUBLKS_LABEL | BLKID_SUBLKS_UUID);
    constexpr int kAmbiguous = -2, kNothing = 1;
    const int found = blkid_do_safeprobe(probe);
    if (found != 0 && found != kNothing && found != kAmbiguous) return kCannotProbe;
    WireWriter out;
    const std::string usage = found == 0 ? value_of(probe, "USAGE") : std::string();
    const auto use = found == kAmbiguous     ? Signature::Use::ambiguous
                     : usage == "filesystem" ? Signature::Use::filesystem
                                             : Signature::Use::other;
    out.number(static_cast<uint64_t>(use));
    for (const char* name : {"TYPE", "LABEL", "UUID"}) out.text(found == 0 ? value_of(probe, name) : std::string());
    return write_all(report_fd, out.bytes()) ? kDone : kCannotProbe;
}

// --- in the parent ---

// `look` runs in the sandbox; setting up the probe, which the sandbox would not allow, comes before, and reads nothing.
template <typename Look>
Result<std::string> probe_in_child(const Fd& file, ByteRange range, const char* what, Clock::time_point deadline,
                                   OnInterrupt on_interrupt, Look look) {
    constexpr auto kMost = static_cast<uint64_t>(std::numeric_limits<int64_t>::max());
    if (range.offset > kMost || range.length > kMost - range.offset)
        return make_error(ErrorCode::limit, fmt::format("{}: a range that no file can have", what));
    const auto seconds = std::chrono::duration_cast<std::chrono::seconds>(deadline - Clock::now()).count();
    SandboxLimits limits;
    limits.memory_bytes = kMemoryBytes;
    limits.cpu_seconds = static_cast<uint64_t>(std::max<int64_t>(seconds, 0)) + 1;
    ChildTask task;
    task.what = what;
    task.kept_fds = {file.raw()};
    task.deadline = deadline;
    task.on_interrupt = on_interrupt;
    task.run = [&](int report_fd) -> int {
        if (!become_nobody()) return kCannotConfine;
        blkid_probe probe = blkid_new_probe();
        if (probe == nullptr || blkid_probe_set_device(probe, file.raw(), static_cast<blkid_loff_t>(range.offset),
                                                       static_cast<blkid_loff_t>(range.length)) != 0)
            return kCannotProbe;
        if (!enter_sandbox(limits).ok()) return kCannotConfine;
        return look(probe, report_fd);
    };
    TRY_ASSIGN(ChildReport report, run_in_child(task));
    if (report.exit_code == kDone) return std::move(report.bytes);
    if (report.exit_code == kTooMany)
        return make_error(ErrorCode::limit, fmt::format("the partition table has more than {} entries", kMaxPartitions));
    if (report.exit_code == kCannotConfine)
        return make_error(ErrorCode::unsupported, fmt::format("{}: cannot give up privileges", what));
    return make_error(ErrorCode::io, fmt::format("{} failed", what));
}

Error bad_report(const char* what) {
    return make_error(ErrorCode::parser_crash, fmt::format("{} gave a report that makes no sense", what));
}

}  // namespace

Result<std::vector<Partition>> probe_partitions(const Fd& file, uint64_t size_bytes, Clock::time_point deadline) {
    constexpr const char* kWhat = "the search for a partition table";
    TRY_ASSIGN(const std::string report,
               probe_in_child(file, {0, size_bytes}, kWhat, deadline, OnInterrupt::stop, report_partitions));
    WireReader in(report);
    std::vector<Partition> out(in.number_up_to(kMaxPartitions));
    for (Partition& partition : out) {
        const auto offset = checked_mul(in.number(), kSectorBytes), length = checked_mul(in.number(), kSectorBytes);
        if (in.flag()) partition.kind = Partition::Kind::container;
        if (!offset || !length || !checked_add(*offset, *length))
            return make_error(ErrorCode::limit, "a partition lies where no disk can have it");
        partition.range = {*offset, *length};
    }
    if (!in.at_end()) return bad_report(kWhat);
    return out;
}

Result<Signature> probe_signature(const Fd& file, ByteRange range, Clock::time_point deadline, OnInterrupt on_interrupt) {
    constexpr const char* kWhat = "the search for a filesystem";
    TRY_ASSIGN(const std::string report, probe_in_child(file, range, kWhat, deadline, on_interrupt, report_signature));
    WireReader in(report);
    Signature out;
    out.use = static_cast<Signature::Use>(in.number_up_to(kMaxKind));
    out.fs_type = in.text(kMaxTextBytes);
    out.label = in.text(kMaxTextBytes);
    out.uuid = in.text(kMaxTextBytes);
    if (!in.at_end()) return bad_report(kWhat);
    return out;
}

}  // namespace ntt::mount_helper

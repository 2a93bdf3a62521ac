#include "os/mount_table.h"

#include <poll.h>
#include <sys/ioctl.h>
#include <sys/stat.h>
#include <sys/sysmacros.h>

#include <array>
#include <charconv>
#include <filesystem>

#include <fmt/format.h>

#include "base/bytes.h"
#include "base/integers.h"
#include "os/env.h"

namespace ntt {
namespace {

constexpr size_t kMaxTable = size_t{64} << 20, kTablePiece = size_t{64} << 10;
constexpr size_t kMaxId = 256;

// FS_IOC_GETFSUUID, newer than the headers of some systems. Source: Linux include/uapi/linux/fs.h.
struct FsUuid {
    uint8_t length;
    uint8_t bytes[16];
};
constexpr unsigned long kGetFsUuid = _IOR(0x15, 0, FsUuid);

// "\040" and the like are bytes that would break the line.
std::string unescaped(std::string_view text) {
    const auto digit = [](char c) { return c >= '0' && c <= '7'; };
    std::string out;
    for (size_t i = 0; i < text.size(); ++i) {
        if (text[i] == '\\' && i + 3 < text.size() && digit(text[i + 1]) && digit(text[i + 2]) && digit(text[i + 3])) {
            out.push_back(static_cast<char>((text[i + 1] - '0') * 64 + (text[i + 2] - '0') * 8 + (text[i + 3] - '0')));
            i += 3;
        } else {
            out.push_back(text[i]);
        }
    }
    return out;
}

std::vector<std::string_view> words_of(std::string_view line) {
    std::vector<std::string_view> out;
    while (!line.empty()) {
        const size_t space = std::min(line.find(' '), line.size());
        out.push_back(line.substr(0, space));
        line.remove_prefix(std::min(space + 1, line.size()));
    }
    return out;
}

template <typename Number>
bool parse(std::string_view text, Number& out) {
    const auto [end, failed] = std::from_chars(text.data(), text.data() + text.size(), out);
    return failed == std::errc() && end == text.data() + text.size();
}

std::optional<MountEntry> parse_line(std::string_view line) {
    const std::vector<std::string_view> words = words_of(line);
    size_t dash = 6;
    while (dash < words.size() && words[dash] != "-") ++dash;
    if (dash + 2 >= words.size()) return std::nullopt;
    MountEntry out;
    const size_t colon = words[2].find(':');
    if (colon == std::string_view::npos || !parse(words[0], out.id) || !parse(words[2].substr(0, colon), out.major) || !parse(words[2].substr(colon + 1), out.minor))
        return std::nullopt;
    out.root = unescaped(words[3]);
    out.mount_point = unescaped(words[4]);
    out.fs_type = unescaped(words[dash + 1]);
    out.source = unescaped(words[dash + 2]);
    return out;
}

// udev's name for the device, as blkid prints it.
std::string uuid_by_link(dev_t device) {
    std::error_code none;
    for (const auto& link : std::filesystem::directory_iterator("/dev/disk/by-uuid", none)) {
        struct stat info {};
        if (::stat(link.path().c_str(), &info) == 0 && S_ISBLK(info.st_mode) && info.st_rdev == device) return link.path().filename().string();
    }
    return "";
}

std::string uuid_by_kernel(const Fd& folder) {
    FsUuid uuid{};
    if (::ioctl(folder.raw(), kGetFsUuid, &uuid) != 0 || uuid.length != sizeof uuid.bytes) return "";
    std::string out = to_hex(ByteView(uuid.bytes, sizeof uuid.bytes));
    for (const size_t dash : {size_t{20}, size_t{16}, size_t{12}, size_t{8}}) out.insert(dash, "-");
    return out;
}

std::string first_line_of(const std::string& path) {
    Result<std::string> text = Env::host().read_file(path, kMaxId);
    if (!text.ok()) return "";
    return text->substr(0, text->find('\n'));
}

}  // namespace

uint64_t MountEntry::device() const { return makedev(major, minor); }

std::vector<MountEntry> parse_mount_table(std::string_view text) {
    std::vector<MountEntry> out;
    while (!text.empty()) {
        const size_t end = std::min(text.find('\n'), text.size());
        if (std::optional<MountEntry> entry = parse_line(text.substr(0, end))) out.push_back(*std::move(entry));
        text.remove_prefix(std::min(end + 1, text.size()));
    }
    return out;
}

Result<std::vector<MountEntry>> read_mount_table() {
    TRY_ASSIGN(const Fd file, Env::host().open_read("/proc/self/mountinfo"));
    std::string text;
    for (size_t got = kTablePiece; got == kTablePiece && text.size() < kMaxTable;) {
        const size_t before = text.size();
        text.resize(before + kTablePiece);
        TRY_ASSIGN(got, Env::host().read_at(file, {reinterpret_cast<uint8_t*>(text.data()) + before, kTablePiece}, before));
        text.resize(before + got);
    }
    return parse_mount_table(text);
}

MountTableWatch::MountTableWatch() {
    if (Result<Fd> table = Env::host().open_read("/proc/self/mountinfo"); table.ok()) table_ = std::move(table).value();
}

bool MountTableWatch::changed() {
    if (!table_.valid()) return true;
    pollfd watched{table_.raw(), POLLPRI, 0};
    return ::poll(&watched, 1, 0) != 0 && (watched.revents & (POLLPRI | POLLERR)) != 0;
}

std::string filesystem_identity(const MountEntry& mount, const Fd& folder) {
    struct stat device {};
    // Some filesystems (btrfs) have a number of their own that is no device's: then the source is one.
    dev_t number = makedev(mount.major, mount.minor);
    if (::stat(mount.source.c_str(), &device) == 0 && S_ISBLK(device.st_mode)) number = device.st_rdev;
    for (const std::string& uuid : {uuid_by_link(number), uuid_by_kernel(folder)})
        if (!uuid.empty()) return "uuid:" + uuid;
    // "tmpfs" or the name of a FUSE driver is no place.
    const bool is_a_place = mount.source.starts_with("/") || mount.source.find(':') != std::string::npos;
    return is_a_place ? mount.source : mount.source + " at " + mount.mount_point;
}

std::string machine_id() {
    const std::string id = first_line_of("/etc/machine-id");
    return id.size() == 32 ? id : boot_id();
}

std::string boot_id() { return first_line_of("/proc/sys/kernel/random/boot_id"); }

std::optional<uint64_t> block_device_bytes(uint32_t major, uint32_t minor) {
    constexpr uint64_t kUnit = 512;  // whatever its sectors are
    uint64_t units = 0;
    const std::string line = first_line_of(fmt::format("/sys/dev/block/{}:{}/size", major, minor));
    return parse(line, units) ? checked_mul(units, kUnit) : std::nullopt;
}

std::string block_device_name(uint32_t major, uint32_t minor) {
    std::error_code none;
    const auto link = std::filesystem::read_symlink(fmt::format("/sys/dev/block/{}:{}", major, minor), none);
    return none ? "" : link.filename().string();
}

}  // namespace ntt

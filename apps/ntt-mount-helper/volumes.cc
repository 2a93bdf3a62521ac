#include "volumes.h"

#include <algorithm>

#include <fmt/format.h>

namespace ntt::mount_helper {
namespace {

constexpr uint64_t kZipOffset = 16384;  // measured on Zip disks whose table is lost: the filesystem follows 32 sectors

std::string reason_of(const Signature& signature) {
    if (signature.use == Signature::Use::filesystem) return "";
    if (signature.use == Signature::Use::ambiguous) return "there are signatures of several filesystems";
    if (signature.fs_type.empty()) return "no known filesystem";
    return signature.fs_type + " is no filesystem";
}

Result<Volume> look_at(const Image& image, ByteRange range, Clock::time_point deadline) {
    Volume out;
    out.range = intersect(range, {0, image.size_bytes});
    if (out.range.empty()) {
        out.range = range;
        out.reason = range.empty() ? "it is empty" : "it lies beyond the image's end";
        return out;
    }
    Result<Signature> signature = probe_signature(image.fd, out.range, deadline, OnInterrupt::stop);
    if (signature.ok()) {
        out.signature = std::move(signature).value();
        out.reason = reason_of(out.signature);
    } else if (signature.error().code == ErrorCode::cancelled || signature.error().code == ErrorCode::unsupported) {
        return std::move(signature).take_error();
    } else {
        out.reason = signature.error().text();
    }
    return out;
}

// Without a table.
Result<Volume> whole_image(const Image& image, Clock::time_point deadline) {
    TRY_ASSIGN(Volume at_start, look_at(image, {0, image.size_bytes}, deadline));
    const bool nothing = at_start.signature.fs_type.empty() && at_start.signature.use == Signature::Use::other;
    if (!nothing || image.size_bytes <= kZipOffset) return at_start;
    TRY_ASSIGN(Volume zip, look_at(image, {kZipOffset, image.size_bytes - kZipOffset}, deadline));
    return zip.reason.empty() ? zip : at_start;
}

bool is_disc(const Signature& signature) { return signature.fs_type == "iso9660" || signature.fs_type == "udf"; }

}  // namespace

Result<std::vector<Volume>> find_volumes(const Image& image, Clock::time_point deadline) {
    TRY_ASSIGN(const std::vector<Partition> partitions, probe_partitions(image.fd, image.size_bytes, deadline));
    std::vector<Volume> out;
    for (const Partition& partition : partitions) {
        if (partition.kind == Partition::Kind::container) {
            Volume container;
            container.range = partition.range;
            container.signature.fs_type = "extended";
            container.reason = "it holds other partitions";
            out.push_back(std::move(container));
        } else {
            TRY_ASSIGN(Volume volume, look_at(image, partition.range, deadline));
            out.push_back(std::move(volume));
        }
    }
    const bool start_taken =
        std::any_of(partitions.begin(), partitions.end(), [](const Partition& p) { return p.range.offset == 0; });
    if (partitions.empty() || !start_taken) {
        TRY_ASSIGN(Volume whole, whole_image(image, deadline));
        // Beside a table only a disc's filesystem is believed: others leave such traces when a disk is partitioned anew.
        if (partitions.empty() || is_disc(whole.signature)) out.push_back(std::move(whole));
    }
    std::stable_sort(out.begin(), out.end(), [](const Volume& a, const Volume& b) { return a.range.offset < b.range.offset; });
    for (size_t i = 0; i < out.size(); ++i) out[i].number = static_cast<int>(i + 1);
    return out;
}

}  // namespace ntt::mount_helper

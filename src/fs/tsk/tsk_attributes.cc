#include "fs/tsk/tsk_attributes.h"

#include <algorithm>
#include <cstring>

#include "fs/listing/content_map.h"
#include "volume/probe_window.h"

namespace ntt {

namespace {

// The bytes of a resident attribute; empty if there is none of this type.
ProbeBytes resident_bytes(const TSK_FS_META& meta, uint32_t type) {
    if (!meta.attr) return {};
    for (const TSK_FS_ATTR* a = meta.attr->head; a; a = a->next) {
        if (!(a->flags & TSK_FS_ATTR_INUSE) || !(a->flags & TSK_FS_ATTR_RES) || attribute_type(*a) != type || !a->rd.buf ||
            a->size <= 0)
            continue;
        const size_t length = std::min(static_cast<size_t>(a->size), a->rd.buf_size);
        return ProbeBytes(std::string(reinterpret_cast<const char*>(a->rd.buf), length));
    }
    return {};
}

}  // namespace

uint32_t attribute_type(const TSK_FS_ATTR& attribute) {
    uint32_t out = 0;
    static_assert(sizeof out == sizeof attribute.type);
    std::memcpy(&out, &attribute.type, sizeof out);
    return out;
}

void mark_unreadable(Cause cause, std::string evidence, InodeEntry& out) {
    out.access = ContentAccess::unreadable;
    out.extents.clear();
    out.faults.clear();
    if (out.size > 0) out.faults.push_back({cause, 0, out.size, std::move(evidence)});
}

void map_attribute(const TSK_FS_ATTR& attribute, const TskPlace& place, std::optional<uint64_t> written_bytes, InodeEntry& out) {
    if (attribute.flags & TSK_FS_ATTR_ENC)
        return mark_unreadable(Cause::ENCRYPTED, R"({"reason":"encrypted by the filesystem"})", out);
    // The record that holds resident content was read to get here, and its own sequence numbers tell a lost sector: no
    // extent is needed to find damage to it.
    const bool plain = (attribute.flags & TSK_FS_ATTR_NONRES) && !(attribute.flags & TSK_FS_ATTR_COMP) &&
                       attribute.nrd.skiplen == 0 && !attribute.r;
    out.access = plain ? ContentAccess::extents : ContentAccess::through_reader;

    ContentMap map(out.size, place.volume_bytes);
    uint64_t initialised = std::min(out.size, written_bytes.value_or(out.size));
    if (attribute.nrd.initsize >= 0) initialised = std::min(initialised, static_cast<uint64_t>(attribute.nrd.initsize));
    if (attribute.flags & TSK_FS_ATTR_NONRES) {
        uint64_t file_block = 0;
        size_t count = 0;
        for (const TSK_FS_ATTR_RUN* run = attribute.nrd.run; run && count < kMaxRuns; run = run->next, ++count) {
            const auto file_offset = checked_mul(file_block, place.block_size), length = checked_mul(run->len, place.block_size);
            const auto address = checked_mul(run->addr, place.block_size);
            if (!file_offset || !length || !checked_add(*file_offset, *length)) break;
            const uint64_t image_offset = address ? checked_add(*address, place.volume_offset).value_or(UINT64_MAX) : UINT64_MAX;
            file_block += run->len;
            const bool sparse = run->flags & TSK_FS_ATTR_RUN_FLAG_SPARSE, filler = run->flags & TSK_FS_ATTR_RUN_FLAG_FILLER;
            if (!plain) {
                if (!sparse && !filler) map.add_opaque(*file_offset, image_offset, *length);
                continue;
            }
            if (*file_offset >= initialised) break;
            const uint64_t used = std::min(*length, initialised - *file_offset);
            if (sparse)
                map.add_hole(*file_offset, used);
            else if (filler)
                map.add_fault(*file_offset, used, Cause::FS_CORRUPT, R"({"reason":"the run list has a gap here"})");
            else
                map.add_data(*file_offset, image_offset, used);
        }
    }
    if (plain) map.add_hole(initialised, out.size - initialised);
    map.finish(plain ? ContentMap::Gap::missing : ContentMap::Gap::hole, out);
    if (!plain) {  // only the places it depends on; what the bytes are is for read_content to say
        const auto is_hole = [](const Extent& e) { return e.kind == ExtentKind::hole; };
        out.extents.erase(std::remove_if(out.extents.begin(), out.extents.end(), is_hole), out.extents.end());
    }
}

bool ReparsePoint::holds_content() const {
    constexpr uint32_t kWof = 0x80000017, kDedup = 0x80000013, kHsm = 0xC0000004, kHsm2 = 0x80000006;
    return tag == kWof || tag == kDedup || tag == kHsm || tag == kHsm2;
}

std::optional<ReparsePoint> reparse_point(const TSK_FS_META& meta) {
    const ProbeBytes bytes = resident_bytes(meta, TSK_FS_ATTR_TYPE_NTFS_REPARSE);
    if (bytes.size() < 8) return {};
    constexpr uint32_t kSymlink = 0xA000000C, kMountPoint = 0xA0000003;
    ReparsePoint out;
    out.tag = bytes.le32(0);
    if (out.tag == kSymlink || out.tag == kMountPoint) {
        // Names stand behind four lengths and, in a symbolic link, flags. The print name is what a person typed.
        const uint64_t names_at = out.tag == kSymlink ? 20 : 16;
        const uint16_t substitute_at = bytes.le16(8), substitute_length = bytes.le16(10);
        const uint16_t print_at = bytes.le16(12), print_length = bytes.le16(14);
        const bool use_print = print_length != 0;
        out.target = utf16_text(
            bytes.text(names_at + (use_print ? print_at : substitute_at), use_print ? print_length : substitute_length),
            Utf16Order::little);
    }
    return out;
}

std::optional<int> ntfs_attribute_bits(const TSK_FS_META& meta) {
    const ProbeBytes bytes = resident_bytes(meta, TSK_FS_ATTR_TYPE_NTFS_SI);
    if (bytes.size() < 36) return {};
    return static_cast<int>(bytes.le32(32));
}

}  // namespace ntt

#include "volume/volume.h"

#include <algorithm>
#include <array>
#include <nlohmann/json.hpp>
#include <optional>

#include "base/check.h"
#include "volume/identify.h"
#include "volume/partition_table.h"

namespace ntt {

std::string_view to_string(Role role) {
    switch (role) {
        case Role::filesystem: return "filesystem";
        case Role::swap: return "swap";
        case Role::extended: return "extended";
        case Role::lvm_pv: return "lvm_pv";
        case Role::raid_member: return "raid_member";
        case Role::encrypted: return "encrypted";
        case Role::unknown: return "unknown";
    }
    NTT_CHECK(false, "a role out of range");
}

std::string_view to_string(Outcome outcome) {
    switch (outcome) {
        case Outcome::read: return "read";
        case Outcome::partial: return "partial";
        case Outcome::unsupported: return "unsupported";
        case Outcome::no_filesystem: return "no_filesystem";
        case Outcome::truncated: return "truncated";
        case Outcome::parser_crash: return "parser_crash";
        case Outcome::parser_timeout: return "parser_timeout";
        case Outcome::budget: return "budget";
        case Outcome::failed: return "failed";
        case Outcome::skipped: return "skipped";
    }
    NTT_CHECK(false, "an outcome out of range");
}

namespace {

using nlohmann::json;

// Where a filesystem starts on media whose table says nothing of it: Zip disks (sector 32), the first track of a hard
// disk's geometry (sector 63), and 1 MiB.
constexpr std::array<uint64_t, 3> kUsualOffsets = {32 * 512, 63 * 512, uint64_t{1} << 20};

std::string text_of(const json& value) { return value.dump(-1, ' ', false, json::error_handler_t::replace); }

// A volume whose number is not known yet, and what was found wrong with it.
struct Draft {
    Volume volume;
    json detail = json::object();
    std::vector<Finding> findings;

    void find(std::string code, std::string message, const json& evidence) {
        findings.push_back({std::move(code), std::move(message), text_of(evidence), 0, std::nullopt});
    }
};

Outcome outcome_of(const Volume& volume) {
    switch (volume.role) {
        case Role::filesystem: return volume.readable ? Outcome::read : Outcome::unsupported;
        case Role::swap:
        case Role::extended: return Outcome::skipped;
        case Role::lvm_pv:
        case Role::raid_member:
        case Role::encrypted: return Outcome::unsupported;
        case Role::unknown: break;
    }
    return Outcome::no_filesystem;
}

// Fills in what stands in `region`. `identities` is not empty; the first is the one to believe.
void describe(Draft& draft, ByteRange region, const std::vector<Identity>& identities, uint64_t image_size) {
    const Identity& identity = identities.front();
    Volume& volume = draft.volume;
    volume.view = identity.view;
    volume.fs_type = identity.fs_type;
    volume.role = identity.role;
    volume.label = identity.label;
    volume.uuid = identity.uuid;
    volume.readable = identity.role == Role::filesystem && is_readable_family(identity.fs_type);
    volume.offset_bytes = region.offset + identity.start_bytes;
    volume.size_bytes = region.length > identity.start_bytes ? region.length - identity.start_bytes : 0;
    draft.detail.update(identity.notes);
    if (identities.size() > 1) {
        json also = json::array();
        for (size_t i = 1; i < identities.size(); ++i) also.push_back(identities[i].view);
        draft.detail["also"] = also;  // another filesystem's superblock is there as well
    }
    if (identity.size_bytes == 0) return;
    draft.detail["declared_bytes"] = identity.size_bytes;
    const uint64_t there = volume.offset_bytes < image_size ? image_size - volume.offset_bytes : 0;
    const json evidence = {{"offset", volume.offset_bytes},
                           {"declared_bytes", identity.size_bytes},
                           {"partition_bytes", volume.size_bytes},
                           {"image_bytes", image_size}};
    if (identity.size_bytes > there)
        draft.find("filesystem_beyond_image", "the filesystem is larger than what the image has of it", evidence);
    else if (identity.size_bytes > volume.size_bytes)
        draft.find("filesystem_beyond_partition", "the filesystem is larger than its partition", evidence);
}

// identify(), or where that finds nothing, at the usual offsets inside the region; `region` becomes where it was found.
Result<std::vector<Identity>> identify_in(const ByteSource& source, ByteRange& region) {
    TRY_ASSIGN(auto identities, identify(source, region));
    for (const uint64_t offset : kUsualOffsets) {
        if (!identities.empty() || offset >= region.length || region.offset + offset >= source.size_bytes()) break;
        const ByteRange inner{region.offset + offset, region.length - offset};
        TRY_ASSIGN(identities, identify(source, inner));
        // A boot sector is strong evidence, a superblock's magic at an odd place is not.
        const auto doubtful = [](const Identity& i) { return i.confidence == Confidence::weak || i.role != Role::filesystem; };
        identities.erase(std::remove_if(identities.begin(), identities.end(), doubtful), identities.end());
        if (!identities.empty()) region = inner;
    }
    return identities;
}

Result<Draft> draft_partition(const ByteSource& source, const Partition& partition) {
    Draft draft;
    draft.volume.offset_bytes = partition.range.offset;
    draft.volume.size_bytes = partition.range.length;
    draft.detail = {{"table", partition.table}, {"slot", partition.slot}};
    if (!partition.type.empty()) draft.detail["type"] = partition.type;
    if (!partition.name.empty()) draft.detail["name"] = partition.name;

    const uint64_t image_size = source.size_bytes();
    const bool beyond = partition.range.end() > image_size;
    if (partition.kind != Partition::Kind::plain) {
        draft.volume.role = Role::extended;
        if (partition.kind == Partition::Kind::disklabel) draft.detail["holds"] = "bsd disklabel";
    } else {
        ByteRange region = partition.range;
        TRY_ASSIGN(const auto identities, identify_in(source, region));
        if (!identities.empty()) {
            describe(draft, region, identities, image_size);
            if (draft.volume.offset_bytes != partition.range.offset) draft.detail["partition_offset"] = partition.range.offset;
        } else if (partition.type == "0x82") {
            draft.volume.role = Role::swap;
        }
    }
    draft.volume.outcome = outcome_of(draft.volume);
    if (beyond) {
        draft.find(
            "partition_beyond_image", "the partition reaches beyond the end of the image",
            {{"offset", partition.range.offset}, {"partition_bytes", partition.range.length}, {"image_bytes", image_size}});
        if (draft.volume.outcome == Outcome::no_filesystem) draft.volume.outcome = Outcome::truncated;
    }
    return draft;
}

// The whole image as one volume, or the filesystem at a usual offset in it.
Result<Draft> draft_whole(const ByteSource& source, const std::vector<Identity>& at_start) {
    Draft draft;
    draft.detail = {{"table", "none"}};
    ByteRange region{0, source.size_bytes()};
    draft.volume.size_bytes = region.length;
    auto identities = at_start;
    if (identities.empty()) {
        TRY_ASSIGN(identities, identify_in(source, region));
    }
    if (!identities.empty()) {
        describe(draft, region, identities, source.size_bytes());
        if (identities.front().size_bytes != 0) draft.volume.size_bytes = identities.front().size_bytes;
    }
    draft.volume.outcome = outcome_of(draft.volume);
    return draft;
}

// A boot sector of FAT, exFAT or NTFS is sector 0 itself, and ISO 9660 on a hybrid disc is what the disc is for. Any
// other superblock may be left over from before the disk was partitioned.
bool outranks_table(const Identity& identity) {
    if (identity.confidence == Confidence::weak) return false;
    return identity.fs_type == "fat" || identity.fs_type == "exfat" || identity.fs_type == "ntfs" ||
           identity.fs_type == "iso9660";
}

void find_overlaps(std::vector<Draft>& drafts) {
    const Draft* reaches_furthest = nullptr;
    for (Draft& draft : drafts) {
        if (draft.volume.role == Role::extended) continue;
        if (reaches_furthest && reaches_furthest->volume.range().end() > draft.volume.offset_bytes) {
            draft.find("partitions_overlap", "the partition starts inside another one",
                       {{"offset", draft.volume.offset_bytes},
                        {"other_offset", reaches_furthest->volume.offset_bytes},
                        {"other_end", reaches_furthest->volume.range().end()}});
        }
        if (!reaches_furthest || draft.volume.range().end() > reaches_furthest->volume.range().end()) reaches_furthest = &draft;
    }
}

}  // namespace

Result<Detection> detect_volumes(const ByteSource& source, FindingSink& findings) {
    TRY_ASSIGN(auto whole, identify(source, {0, source.size_bytes()}));
    TRY_ASSIGN(PartitionTable table, read_partition_table(source));

    std::vector<Draft> drafts;
    bool any_identified = false;
    if (whole.empty() || !outranks_table(whole.front())) {
        for (const Partition& partition : table.partitions) {
            TRY_ASSIGN(Draft draft, draft_partition(source, partition));
            any_identified |= !draft.volume.view.empty();
            drafts.push_back(std::move(draft));
        }
    }
    const bool use_table = !drafts.empty() && (whole.empty() || any_identified);
    Detection out;
    out.table = use_table || whole.empty() ? table.type : "none";
    if (use_table || whole.empty())
        for (Finding& finding : table.findings) findings.add(std::move(finding));
    if (!use_table) {
        drafts.clear();
        TRY_ASSIGN(Draft draft, draft_whole(source, whole));
        if (table.type != "none") draft.detail["table_there_too"] = table.type;
        drafts.push_back(std::move(draft));
    }

    std::stable_sort(drafts.begin(), drafts.end(), [](const Draft& a, const Draft& b) {
        if (a.volume.offset_bytes != b.volume.offset_bytes) return a.volume.offset_bytes < b.volume.offset_bytes;
        return a.volume.role == Role::extended && b.volume.role != Role::extended;
    });
    find_overlaps(drafts);
    for (Draft& draft : drafts) {
        draft.volume.number = static_cast<int>(out.volumes.size()) + 1;
        draft.volume.detail = text_of(draft.detail);
        for (Finding& finding : draft.findings) {
            finding.volume = draft.volume.number;
            findings.add(std::move(finding));
        }
        out.volumes.push_back(std::move(draft.volume));
    }
    return out;
}

}  // namespace ntt

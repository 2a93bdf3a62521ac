// From superblocks and partition tables to volumes: what is believed, in what order, and what lies inside what.
#include <algorithm>
#include <array>
#include <iterator>
#include <nlohmann/json.hpp>
#include <optional>
#include <utility>

#include "base/cause.h"
#include "image/slice.h"
#include "volume/detail.h"
#include "volume/identify.h"
#include "volume/partition_table.h"
#include "volume/scan.h"
#include "volume/sessions.h"
#include "volume/volume.h"

namespace ntt {

namespace {

using nlohmann::json;

// Where a filesystem starts on media whose table says nothing of it: Zip disks (sector 32), the first track of a hard
// disk's geometry (sector 63), and 1 MiB.
constexpr std::array<uint64_t, 3> kUsualOffsets = {32 * 512, 63 * 512, uint64_t{1} << 20};

constexpr int kMaxNesting = 4;        // a logical volume on an array on a partition is 3
constexpr size_t kMaxVolumes = 1024;  // of one image; more are a table or a group that lies
constexpr uint64_t kSectorBytes = 512;

std::string text_of(const json& value) { return value.dump(-1, ' ', false, json::error_handler_t::replace); }

// A volume whose number is not known yet, and what was found wrong with it.
struct Draft {
    Volume volume;
    json detail = json::object();
    std::vector<Finding> findings;
    bool is_partition = false;  // stands in a partition table: two such should not overlap

    void find(std::string code, std::string message, const json& evidence) {
        findings.push_back({std::move(code), std::move(message), text_of(evidence), 0, std::nullopt});
    }
};

// A place where a volume is looked for.
struct Region {
    ByteRange range;
    json context = json::object();  // for the detail of every volume that is found in it
    enum class Bounds : uint8_t { declared, open } bounds = Bounds::declared;  // open: a filesystem says itself how long it is
    bool is_partition = false;
    int nesting = 0;
};

// Swap holds no files, and a container none that are not volumes of their own.
Outcome outcome_of(const Identity& identity) {
    switch (identity.role) {
        case Role::filesystem: return is_readable_family(identity.fs_type) ? Outcome::read : Outcome::unsupported;
        case Role::swap:
        case Role::extended: return Outcome::skipped;
        case Role::lvm_pv:
        case Role::raid_member:
        case Role::encrypted: return identity.needs.empty() ? Outcome::skipped : Outcome::unsupported;
        case Role::unknown: break;
    }
    return Outcome::no_filesystem;
}

// What the first identity on a disc leaves to others: the same disc seen by another system. Any further superblock in
// another place is a remnant.
bool is_side_of_disc(const Identity& first, const Identity& other) {
    return first.fs_type == "iso9660" && (other.fs_type == "udf" || other.fs_type == "hfs" || other.fs_type == "hfsplus");
}

// A boot sector of FAT, exFAT or NTFS is sector 0 itself, and ISO 9660 on a hybrid disc is what the disc is for. Any
// other superblock may be left over from before the disk was partitioned.
bool outranks_table(const Identity& identity) {
    if (identity.confidence == Confidence::weak) return false;
    return identity.fs_type == "fat" || identity.fs_type == "exfat" || identity.fs_type == "ntfs" ||
           identity.fs_type == "iso9660";
}

// Among volumes at one offset: what holds the others comes first, then the view with the richest names.
int rank_at_offset(const Volume& volume) {
    if (volume.role == Role::extended) return 0;
    if (volume.role != Role::filesystem && volume.role != Role::unknown) return 1;
    if (volume.view == "rockridge") return 2;
    if (volume.view == "joliet") return 3;
    return volume.view == "iso9660" ? 4 : 5;
}

class Detector {
public:
    explicit Detector(const ByteSource& source) : source_(&source) {}

    Result<void> add_table(const PartitionTable& table);
    // Partitions of a hybrid disc: only what is no part of the disc's ISO 9660.
    Result<void> add_sides_of_disc(const PartitionTable& table);
    Result<void> add_whole(const std::vector<Identity>& at_start, const PartitionTable& table);
    // What a scan of `searched` found; `context` is for the detail of each volume.
    Result<void> add_hits(const std::vector<ScanHit>& hits, ByteRange searched, const json& context);

    std::ptrdiff_t identified() const {
        return std::count_if(drafts_.begin(), drafts_.end(), [](const Draft& draft) { return !draft.volume.view.empty(); });
    }
    bool empty() const { return drafts_.empty(); }

    // Numbers the volumes from `first_number` on; their findings go to `findings`.
    std::vector<Volume> finish(FindingSink& findings, int first_number = 1);

private:
    // `within`: the container's region, as where the offsets count from.
    Result<void> add_partition(const Partition& partition, const std::string& disk_id, const Region& within);
    // What is found in the region, or nothing, as volumes. Inside a container as deep as kMaxNesting.
    Result<void> add(Region region);
    // A disk inside a container: false if there is no table in it, or nothing is recognised under it.
    Result<bool> add_table_in(const Region& region);
    Result<void> add_identified(const Region& region, const std::vector<Identity>& identities);
    Result<void> add_later_sessions(const Region& region, const Identity& first);
    Draft& add_draft(const Region& region);
    void describe(Draft& draft, const Region& region, const Identity& identity) const;
    static void note_what_it_needs(Draft& draft, const Identity& identity);
    void note_end_of_image(Draft& draft, ByteRange partition) const;
    Result<std::vector<Identity>> identify_in(Region& region) const;
    void find_overlaps();

    const ByteSource* source_;
    std::vector<Draft> drafts_;
};

json context_of(const Partition& partition, const std::string& disk_id) {
    json out = {{"table", partition.table}, {"slot", partition.slot}};
    if (!disk_id.empty()) out["disk_id"] = disk_id;
    if (!partition.uuid.empty()) out["partition_uuid"] = partition.uuid;
    if (!partition.type.empty()) out["type"] = partition.type;
    if (!partition.name.empty()) out["name"] = partition.name;
    return out;
}

// A member of LVM or RAID by its partition's type. Where its own metadata is lost, a filesystem inside may go on anywhere.
bool may_lie_in_pieces(const json& context) {
    const std::string type = context.value("type", "");
    return type == "0x8e" || type == "0xfd" || type == "e6d6d379-f507-44c2-a23c-238f2a3df928" || type == "a19d880f-05fc-4d3b-a006-743f0f84911e";
}

// identify(), or where that finds nothing, at the usual offsets inside the region; the region becomes where it was found.
Result<std::vector<Identity>> Detector::identify_in(Region& region) const {
    TRY_ASSIGN(auto identities, identify(*source_, region.range));
    const ByteRange whole = region.range;
    if (may_lie_in_pieces(region.context)) return identities;
    for (const uint64_t offset : kUsualOffsets) {
        if (!identities.empty() || offset >= whole.length || whole.offset + offset >= source_->size_bytes()) break;
        const ByteRange inner{whole.offset + offset, whole.length - offset};
        TRY_ASSIGN(identities, identify(*source_, inner));
        // A boot sector is strong evidence, a superblock's magic at an odd place is not.
        const auto doubtful = [](const Identity& i) { return i.confidence == Confidence::weak || i.role != Role::filesystem || i.size_bytes == 0; };
        identities.erase(std::remove_if(identities.begin(), identities.end(), doubtful), identities.end());
        if (!identities.empty()) region.range = inner;
    }
    return identities;
}

Draft& Detector::add_draft(const Region& region) {
    Draft& draft = drafts_.emplace_back();
    draft.volume.offset_bytes = region.range.offset;
    draft.volume.size_bytes = region.range.length;
    draft.detail = region.context;
    return draft;
}

// Fills in what `identity` says stands in the region.
void Detector::describe(Draft& draft, const Region& region, const Identity& identity) const {
    Volume& volume = draft.volume;
    volume.view = identity.view;
    volume.fs_type = identity.fs_type;
    volume.role = identity.role;
    volume.label = identity.label;
    volume.uuid = identity.uuid;
    volume.readable = identity.role == Role::filesystem && is_readable_family(identity.fs_type);
    volume.offset_bytes = region.range.offset + identity.start_bytes;
    volume.size_bytes = region.range.length > identity.start_bytes ? region.range.length - identity.start_bytes : 0;
    volume.outcome = outcome_of(identity);
    draft.detail.update(identity.notes);
    if (volume.outcome == Outcome::unsupported) note_what_it_needs(draft, identity);
    if (identity.size_bytes == 0) return;
    draft.detail["declared_bytes"] = identity.size_bytes;
    const uint64_t image_size = source_->size_bytes();
    const uint64_t there = volume.offset_bytes < image_size ? image_size - volume.offset_bytes : 0;
    const json evidence = {{"offset", volume.offset_bytes},
                           {"declared_bytes", identity.size_bytes},
                           {"partition_bytes", volume.size_bytes},
                           {"image_bytes", image_size}};
    if (identity.size_bytes > there)
        draft.find("filesystem_beyond_image", "the filesystem is larger than what the image has of it", evidence);
    else if (identity.size_bytes > volume.size_bytes)
        draft.find("filesystem_beyond_partition", "the filesystem is larger than its partition", evidence);
    if (region.bounds == Region::Bounds::open) volume.size_bytes = identity.size_bytes;
}

void Detector::note_what_it_needs(Draft& draft, const Identity& identity) {
    const bool encrypted = identity.role == Role::encrypted, filesystem = identity.role == Role::filesystem;
    draft.detail["cause"] = to_string(encrypted ? Cause::ENCRYPTED : Cause::UNSUPPORTED_FS);
    const std::string needs = filesystem ? what_reads(identity.fs_type) : identity.needs;
    draft.detail["needs"] = needs;
    draft.find(encrypted ? "encrypted" : filesystem ? "unsupported_filesystem" : "container_not_read", "not read: " + needs,
               {{"what", identity.view}, {"uuid", identity.uuid}, {"label", identity.label}, {"offset", draft.volume.offset_bytes}, {"declared_bytes", identity.size_bytes}});
}

// `identities` is not empty; the first is the one to believe.
Result<void> Detector::add_identified(const Region& region, const std::vector<Identity>& identities) {
    const size_t first = drafts_.size();
    json also = json::array(), views = json::array();
    for (const Identity& identity : identities) {
        if (&identity != &identities.front() && !is_side_of_disc(identities.front(), identity)) {
            also.push_back(identity.view);  // another superblock is there as well
            continue;
        }
        describe(add_draft(region), region, identity);
        views.push_back(identity.view);
        for (const std::string& view : identity.further_views) {
            Identity again = identity;
            again.view = view;
            describe(add_draft(region), region, again);
            drafts_.back().findings.clear();  // said once
            views.push_back(view);
        }
    }
    for (size_t i = first; i < drafts_.size(); ++i)
        if (views.size() > 1) drafts_[i].detail["views"] = views;
    if (!also.empty()) drafts_[first].detail["also"] = also;
    if (const auto lost = identities.front().notes.find("descriptors_lost"); lost != identities.front().notes.end())
        drafts_[first].find("volume_descriptor_lost", "a volume descriptor of the disc is lost: it may have had names of another kind", {{"offsets", *lost}});
    drafts_[first].is_partition = region.is_partition;
    // A container over the whole medium may be longer than the image has of it.
    const uint64_t length = region.bounds == Region::Bounds::open ? std::max(region.range.length, identities.front().size_bytes) : region.range.length;
    for (const Inner& inner : identities.front().holds) {
        ByteRange range = intersect(inner.range, {0, length});
        if (range.empty() || range.length == region.range.length || region.nesting >= kMaxNesting) continue;
        range.offset += region.range.offset;
        Region within{range, region.context, Region::Bounds::declared, false, region.nesting + 1};
        within.context.update(inner.context);
        TRY(add(std::move(within)));
    }
    return {};
}

// What was written to the disc later, with what that left of earlier sessions.
Result<void> Detector::add_later_sessions(const Region& region, const Identity& first) {
    if (first.fs_type != "iso9660" || first.size_bytes == 0) return {};
    const ProbeWindow disc(*source_, region.range);
    const std::vector<Session> sessions = later_sessions(disc, first.size_bytes);
    if (disc.failure()) return *disc.failure();
    int number = 1;
    for (const Session& session : sessions) {
        Region of_session = region;
        of_session.range = {session.range.offset, source_->size_bytes() - session.range.offset};
        of_session.context["session"] = ++number;
        Identity identity = session.identity;
        identity.size_bytes = session.range.length;
        TRY(add_identified(of_session, {identity}));
    }
    return {};
}

Result<void> Detector::add(Region region) {
    const ByteRange partition = region.range;
    const size_t first = drafts_.size();
    if (first >= kMaxVolumes) {
        if (first == kMaxVolumes) add_draft(region).find("too_many_volumes", "there are more volumes than are looked at", {{"limit", kMaxVolumes}});
        return {};
    }
    if (region.nesting > 0) {
        TRY_ASSIGN(const bool is_disk, add_table_in(region));
        if (is_disk) return {};
    }
    TRY_ASSIGN(const auto identities, identify_in(region));
    if (identities.empty()) {
        add_draft(region).is_partition = region.is_partition;
    } else {
        TRY(add_identified(region, identities));
    }
    if (!region.is_partition && region.nesting == 0) return {};
    if (region.is_partition && drafts_[first].volume.offset_bytes != partition.offset) drafts_[first].detail["partition_offset"] = partition.offset;
    note_end_of_image(drafts_[first], partition);
    return {};
}

Result<bool> Detector::add_table_in(const Region& region) {
    if (region.nesting >= kMaxNesting || region.range.offset >= source_->size_bytes()) return false;
    TRY_ASSIGN(const auto at_start, identify(*source_, region.range));
    if (!at_start.empty()) return false;
    const SliceSource disk(*source_, region.range);
    TRY_ASSIGN(const PartitionTable table, read_partition_table(disk));
    if (table.partitions.empty()) return false;
    Detector inside(*source_);
    for (Partition partition : table.partitions) {
        const auto offset = checked_add(partition.range.offset, region.range.offset);
        if (!offset || !checked_add(*offset, partition.range.length)) continue;
        partition.range.offset = *offset;
        TRY(inside.add_partition(partition, table.disk_id, region));
    }
    if (inside.identified() == 0) return false;
    for (const Finding& finding : table.findings) inside.drafts_.front().findings.push_back(finding);
    std::move(inside.drafts_.begin(), inside.drafts_.end(), std::back_inserter(drafts_));
    return true;
}

Result<void> Detector::add_hits(const std::vector<ScanHit>& hits, ByteRange searched, const json& context) {
    for (const ScanHit& hit : hits) {
        Region found{{hit.offset, hit.identities.front().size_bytes}, context};
        found.context["found_by"] = "scan";
        const size_t place = drafts_.size();
        TRY(add_identified(found, hit.identities));
        drafts_[place].find("filesystem_found_by_scan", "nothing points to this filesystem: it was found by looking for one, and others may be there that were not seen",
                            {{"offset", hit.offset}, {"searched_offset", searched.offset}, {"searched_bytes", searched.length}});
    }
    return {};
}

void Detector::note_end_of_image(Draft& draft, ByteRange partition) const {
    if (partition.end() <= source_->size_bytes()) return;
    draft.find("partition_beyond_image", "the partition reaches beyond the end of the image",
               {{"offset", partition.offset}, {"partition_bytes", partition.length}, {"image_bytes", source_->size_bytes()}});
    if (draft.volume.outcome == Outcome::no_filesystem) draft.volume.outcome = Outcome::truncated;
}

Result<void> Detector::add_table(const PartitionTable& table) {
    for (const Partition& partition : table.partitions) TRY(add_partition(partition, table.disk_id, {{0, source_->size_bytes()}, json::object()}));
    return {};
}

Result<void> Detector::add_partition(const Partition& partition, const std::string& disk_id, const Region& within) {
    json context = within.context;
    context.update(context_of(partition, disk_id));
    Region region{partition.range, std::move(context), Region::Bounds::declared, true, within.nesting};
    if (partition.kind == Partition::Kind::plain) {
        const size_t place = drafts_.size();
        TRY(add(region));
        if (place >= drafts_.size()) return {};
        Draft& draft = drafts_[place];
        if (draft.volume.view.empty() && partition.type == "0x82") {
            draft.volume.role = Role::swap;
            draft.volume.outcome = Outcome::skipped;
        }
        return {};
    }
    Draft& draft = add_draft(region);
    draft.volume.role = Role::extended;
    draft.volume.outcome = Outcome::skipped;
    if (partition.kind == Partition::Kind::disklabel) draft.detail["holds"] = "bsd disklabel";
    note_end_of_image(draft, partition.range);
    return {};
}

Result<void> Detector::add_sides_of_disc(const PartitionTable& table) {
    for (const Partition& partition : table.partitions) {
        if (partition.kind != Partition::Kind::plain) continue;
        TRY_ASSIGN(const auto identities, identify(*source_, partition.range));
        const Region side{partition.range, context_of(partition, table.disk_id), Region::Bounds::declared, false, 0};
        // Its volume header may be lost, and stand a second time at its end.
        if (identities.empty() && partition.type == "Apple_HFS") add_draft(side);
        if (identities.empty() || identities.front().role != Role::filesystem || identities.front().fs_type == "iso9660") continue;
        TRY(add_identified(side, identities));
    }
    return {};
}

Result<void> Detector::add_whole(const std::vector<Identity>& at_start, const PartitionTable& table) {
    Region region{{0, source_->size_bytes()}, {{"table", "none"}}, Region::Bounds::open, false, 0};
    if (table.type != "none") region.context["table_there_too"] = table.type;
    if (at_start.empty()) return add(std::move(region));
    TRY(add_identified(region, at_start));
    return add_later_sessions(region, at_start.front());
}

void Detector::find_overlaps() {
    const Draft* reaches_furthest = nullptr;
    for (Draft& draft : drafts_) {
        if (!draft.is_partition) continue;
        if (reaches_furthest && reaches_furthest->volume.range().end() > draft.volume.offset_bytes) {
            draft.find("partitions_overlap", "the partition starts inside another one",
                       {{"offset", draft.volume.offset_bytes},
                        {"other_offset", reaches_furthest->volume.offset_bytes},
                        {"other_end", reaches_furthest->volume.range().end()}});
        }
        if (!reaches_furthest || draft.volume.range().end() > reaches_furthest->volume.range().end()) reaches_furthest = &draft;
    }
}

std::vector<Volume> Detector::finish(FindingSink& findings, int first_number) {
    std::stable_sort(drafts_.begin(), drafts_.end(), [](const Draft& a, const Draft& b) {
        if (a.volume.offset_bytes != b.volume.offset_bytes) return a.volume.offset_bytes < b.volume.offset_bytes;
        return rank_at_offset(a.volume) < rank_at_offset(b.volume);
    });
    find_overlaps();
    std::vector<Volume> out;
    for (Draft& draft : drafts_) {
        draft.volume.number = static_cast<int>(out.size()) + first_number;
        draft.volume.detail = text_of(draft.detail);
        for (Finding& finding : draft.findings) {
            finding.volume = draft.volume.number;
            findings.add(std::move(finding));
        }
        out.push_back(std::move(draft.volume));
    }
    return out;
}

}  // namespace

Result<Detection> detect_volumes(const ByteSource& source, FindingSink& findings) {
    TRY_ASSIGN(const auto whole, identify(source, {0, source.size_bytes()}));
    TRY_ASSIGN(PartitionTable table, read_partition_table(source));

    // Of two tables that contradict each other the one under which more is recognised; if they are even, the first.
    Detector by_table(source);
    const bool table_counts = whole.empty() || !(outranks_table(whole.front()) || table.doubtful);
    if (table_counts) TRY(by_table.add_table(table));
    if (table_counts && !table.others.empty()) {
        PartitionTable other = std::move(table.others.front());
        Detector by_other(source);
        TRY(by_other.add_table(other));
        const bool better = by_other.identified() > by_table.identified();
        const PartitionTable &chosen = better ? other : table, &left = better ? table : other;
        Finding differ{"partition_tables_differ", "an MBR and a GPT list different partitions; the " + chosen.type + " table was taken",
                       json{{"chosen", chosen.type}, {"partitions", chosen.partitions.size()}, {"other", left.type}, {"other_partitions", left.partitions.size()},
                            {"recognised", std::max(by_other.identified(), by_table.identified())}}.dump(), 0, std::nullopt};
        if (better) {
            by_table = std::move(by_other);
            table = std::move(other);
        }
        table.findings.push_back(std::move(differ));
    }

    Detection out;
    const bool proven = by_table.identified() > 0;
    const bool use_table = !by_table.empty() && (proven || (whole.empty() && !table.unproven));
    Detector over_all(source);
    if (!use_table) {
        TRY(over_all.add_whole(whole, table));
        if (!whole.empty() && whole.front().fs_type == "iso9660") TRY(over_all.add_sides_of_disc(table));
    }
    Detector& detector = use_table ? by_table : over_all;
    const bool is_table = use_table || (whole.empty() && !table.unproven);  // one without partitions, too
    out.table = is_table ? table.type : "none";
    if (is_table)
        for (Finding& finding : table.findings) findings.add(std::move(finding));
    out.volumes = detector.finish(findings);
    return out;
}

namespace {

// Where a filesystem may stand that nothing points to.
struct Unclaimed {
    ByteRange range;
    json context;  // of what is found there
    int number;    // of the volume that is the region; 0 if none is
};

// As its superblock declares, in whole sectors.
std::optional<uint64_t> end_of_filesystem(const Volume& volume) {
    const auto declared = number_in(parse_detail(volume.detail), "declared_bytes");
    if (!declared || *declared == 0) return {};
    return checked_add(volume.offset_bytes, (*declared + kSectorBytes - 1) / kSectorBytes * kSectorBytes);
}

std::vector<Unclaimed> unclaimed_in(const Detection& detection, uint64_t image_bytes) {
    std::vector<Unclaimed> out;
    const auto add = [&](uint64_t from, uint64_t end, json context, int number) {
        const ByteRange range = intersect({from, end - std::min(from, end)}, {0, image_bytes});
        if (range.length >= kSectorBytes) out.push_back({range, std::move(context), number});
    };
    const auto is_empty = [&](const Volume& container) {
        return std::none_of(detection.volumes.begin(), detection.volumes.end(), [&](const Volume& v) {
            return v.number != container.number && intersect(v.range(), container.range()).length != 0;
        });
    };
    for (const Volume& volume : detection.volumes) {
        const bool unknown = volume.view.empty() && volume.role == Role::unknown;
        json context = parse_detail(volume.detail);
        if (may_lie_in_pieces(context)) continue;
        // A filesystem at a usual offset of its partition: there was something before it, and more may stand behind.
        if (!volume.view.empty() && context.contains("partition_offset")) {
            const auto end = end_of_filesystem(volume);
            if (end) add(*end, volume.range().end(), std::move(context), 0);
            continue;
        }
        if (!unknown && !(volume.role == Role::extended && is_empty(volume))) continue;
        if (context.contains("slot")) context["partition_offset"] = volume.offset_bytes;
        add(volume.offset_bytes, volume.range().end(), std::move(context), volume.number);
    }
    const Volume& first = detection.volumes.front();
    const json none = {{"table", "none"}};
    if (first.offset_bytes >= image_bytes) add(0, image_bytes, none, 0);  // a table whose partitions all lie beyond the end
    if (detection.table != "none" || first.offset_bytes == 0 || first.view.empty()) return out;
    // The same of the whole medium: the table is lost.
    if (const auto end = end_of_filesystem(first)) add(*end, image_bytes, none, 0);
    return out;
}

}  // namespace

Result<void> find_lost_filesystems(const ByteSource& source, Detection& detection, FindingSink& findings) {
    const std::vector<Unclaimed> regions = unclaimed_in(detection, source.size_bytes());
    if (regions.empty()) return {};
    if (detection.table != "none") {
        // Inside a filesystem over the whole medium, image files look like lost filesystems.
        TRY_ASSIGN(const auto whole, identify(source, {0, source.size_bytes()}));
        if (!whole.empty()) return {};
    }
    Detector detector(source);
    FilesystemScan scan(source);
    for (const Unclaimed& region : regions) {
        TRY_ASSIGN(const auto hits, scan.search(region.range));
        TRY(detector.add_hits(hits, region.range, region.context));
        if (hits.empty() || region.number == 0) continue;
        Volume& volume = detection.volumes[static_cast<size_t>(region.number) - 1];
        json detail = region.context;
        detail["found_inside"] = hits.size();
        volume.detail = text_of(detail);
    }
    if (scan.stopped_by()) {
        findings.add({"scan_limit", "not all places were searched for filesystems that nothing points to: there was too much that looked like one",
                      json{{"limit", *scan.stopped_by()}, {"max_filesystems", kMaxScanHits}, {"max_read_bytes", kMaxScanReadBytes}}.dump(), 0, std::nullopt});
    }
    for (Volume& volume : detector.finish(findings, static_cast<int>(detection.volumes.size()) + 1)) detection.volumes.push_back(std::move(volume));
    return {};
}

}  // namespace ntt

#include "fs/repair/propose.h"

#include <algorithm>
#include <array>

#include <fmt/format.h>

#include "fs/repair/proposers.h"
#include "volume/detail.h"

namespace ntt {
namespace {

using nlohmann::json;

constexpr std::array<Proposer, 5> kProposers = {fat_boot_sector, exfat_boot_sector, ext_from_backups, ntfs_from_copies, hfsplus_header};

bool is_of_the_host(const Error& error) {
    return error.sys_errno != 0 || error.code == ErrorCode::source_changed || error.code == ErrorCode::cancelled;
}

struct FindingList final : FindingSink {
    std::vector<Finding> list;
    void add(Finding finding) override { list.push_back(std::move(finding)); }
};

// Counts files of which nothing is missing. What else the listing finds is for the real one to say.
class SoundFiles final : public EntrySink {
public:
    explicit SoundFiles(uint64_t image_bytes) : image_bytes_(image_bytes) {}
    uint64_t count() const { return count_; }

    void add(Finding) override {}
    Result<void> add_name(NameEntry) override { return {}; }
    Result<void> add_inode(InodeEntry inode) override {
        if (inode.fs_type == 'f' && inode.faults.empty() && std::all_of(inode.extents.begin(), inode.extents.end(), [&](const Extent& e) { return is_inside(e); }))
            ++count_;
        return {};
    }

private:
    bool is_inside(const Extent& extent) const {
        const auto end = checked_add(extent.image_offset, extent.length);
        return extent.kind == ExtentKind::hole || (end && *end <= image_bytes_);
    }
    uint64_t image_bytes_;
    uint64_t count_ = 0;
};

// 0 where the volume cannot be opened; errors are this computer's.
Result<uint64_t> sound_files(const ByteSource& source, const Volume& volume, const ReaderOptions& options, const CancelToken& cancel) {
    SoundFiles counted(source.size_bytes());
    if (!volume.readable) return uint64_t{0};
    auto reader = open_reader(source, volume, options, counted);
    const Result<void> listed = reader.ok() ? (*reader)->list(counted, cancel) : Result<void>(std::move(reader).take_error());
    if (!listed.ok() && is_of_the_host(listed.error())) return listed.error();
    return counted.count();
}

// From where the volume begins to where its partition ends; without a partition table, to where the image ends.
ByteRange region_of(const Volume& volume, const Detection& detection, uint64_t image_bytes) {
    const bool in_table = detection.table != "none" || parse_detail(volume.detail).contains("slot");  // a disc's Mac side is in one
    if (in_table && volume.size_bytes != 0) return volume.range();
    return {volume.offset_bytes, image_bytes > volume.offset_bytes ? image_bytes - volume.offset_bytes : 0};
}

bool may_be_repaired(const Volume& volume) {
    if (volume.readable) return volume.fs_type == "fat" || volume.fs_type == "exfat" || volume.fs_type == "ext" || volume.fs_type == "ntfs" || volume.fs_type == "hfsplus";
    return volume.view.empty() && volume.role == Role::unknown;
}

// A volume as detection sees it through a proposal, with what it gives.
struct Repaired {
    Volume volume;
    Proposal proposal;
    Detection detection;
    std::vector<Finding> findings;  // of detection, on the volume
    uint64_t files = 0;
};

class Attempts {
public:
    Attempts(const ByteSource& source, const ReaderOptions& options, const CancelToken& cancel) : source_(source), options_(options), cancel_(cancel) {}

    // What `volume`, or nothing identified in its place, becomes; nullopt when it stays.
    Result<std::optional<Repaired>> best_for(const Volume& volume, ByteRange range, FindingSink& findings) {
        const Region region(source_, range, options_.unread);
        std::optional<Repaired> best;
        std::optional<uint64_t> before;
        for (const Proposer proposer : kProposers) {
            TRY_ASSIGN(std::vector<Proposal> proposals, proposer(region, volume, findings));
            if (proposals.size() > kMaxProposals) proposals.resize(kMaxProposals);
            for (Proposal& proposal : proposals) {
                TRY(cancel_.check());
                TRY_ASSIGN(std::optional<Repaired> repaired, attempt(volume, range, std::move(proposal)));
                if (!repaired) continue;
                if (!before) {
                    TRY_ASSIGN(before, sound_files(source_, volume, options_, cancel_));
                }
                const bool better = repaired->files > (best ? best->files : *before);
                if (better || (repaired->proposal.overrules && !best)) best = std::move(repaired);
            }
        }
        if (best) TRY(record(*best, *before));
        return best;
    }

private:
    Result<std::optional<Repaired>> attempt(const Volume& volume, ByteRange range, Proposal proposal) {
        std::vector<Patch> patches;
        for (const Repair& repair : proposal.repairs) patches.insert(patches.end(), repair.patches.begin(), repair.patches.end());
        auto overlay = Overlay::over(source_, patches);
        if (!overlay.ok()) return std::optional<Repaired>();  // the proposer took a number of the image's for a place
        Repaired out;
        FindingList seen;
        TRY_ASSIGN(out.detection, detect_volumes(**overlay, seen));
        const auto found = std::find_if(out.detection.volumes.begin(), out.detection.volumes.end(), [&](const Volume& v) {
            return v.readable && v.fs_type == proposal.fs_type && v.offset_bytes >= range.offset && v.offset_bytes < range.end();
        });
        if (found == out.detection.volumes.end()) return std::optional<Repaired>();
        json detail = parse_detail(found->detail);
        TRY_ASSIGN(detail["repairs"], record_of(proposal.repairs, source_));
        found->detail = detail.dump();
        for (Finding& finding : seen.list)
            if (finding.volume == found->number && finding.code.rfind("filesystem_", 0) == 0) out.findings.push_back(std::move(finding));
        out.volume = *found;
        out.volume.number = volume.number;
        out.proposal = std::move(proposal);
        TRY_ASSIGN(out.files, sound_files(source_, out.volume, options_, cancel_));
        return std::optional(std::move(out));
    }

    // Writes the counts into the record and makes the findings.
    Result<void> record(Repaired& repaired, uint64_t before) {
        json detail = parse_detail(repaired.volume.detail);
        for (json& repair : detail["repairs"]) {
            repair["files_before"] = before;
            repair["files_after"] = repaired.files;
            const std::string what = repair["repair"].get<std::string>(), from = repair["from"].get<std::string>();
            repaired.findings.push_back({"repaired",
                                         fmt::format("{}: read with {}; {} sound files instead of {} (the image is as it was)", what, from, repaired.files, before),
                                         repair.dump(), repaired.volume.number, std::nullopt});
        }
        repaired.volume.detail = detail.dump();
        return {};
    }

    const ByteSource& source_;
    const ReaderOptions& options_;
    const CancelToken& cancel_;
};

}  // namespace

Result<void> propose_repairs(const ByteSource& source, const ReaderOptions& options, Detection& detection, FindingSink& findings,
                             const CancelToken& cancel) {
    if (options.repairs == Repairs::none) return {};
    Attempts attempts(source, options, cancel);
    const auto tell = [&](Repaired& repaired) {
        for (Finding& finding : repaired.findings) {
            finding.volume = repaired.volume.number;
            findings.add(std::move(finding));
        }
    };
    for (Volume& volume : detection.volumes) {
        if (!may_be_repaired(volume)) continue;
        TRY_ASSIGN(std::optional<Repaired> repaired, attempts.best_for(volume, region_of(volume, detection, source.size_bytes()), findings));
        if (!repaired) continue;
        tell(*repaired);
        volume = std::move(repaired->volume);
    }
    // A boot sector full of garbage can look like a partition table, in whose partitions then nothing is found.
    const bool nothing_found = std::all_of(detection.volumes.begin(), detection.volumes.end(), [](const Volume& v) { return v.view.empty(); });
    if (detection.table == "none" || !nothing_found) return {};
    Volume whole;
    whole.number = 1;
    whole.size_bytes = source.size_bytes();
    FindingList unproven;  // there is a partition table to go by
    TRY_ASSIGN(std::optional<Repaired> repaired, attempts.best_for(whole, whole.range(), unproven));
    if (!repaired || repaired->detection.volumes.size() != 1) return {};
    tell(*repaired);
    detection = std::move(repaired->detection);
    detection.volumes.front() = std::move(repaired->volume);
    return {};
}

}  // namespace ntt

#include "catalog/predecessor/import.h"

#include <algorithm>
#include <functional>
#include <map>
#include <memory>
#include <utility>
#include <vector>

#include <fmt/format.h>
#include <nlohmann/json.hpp>

namespace ntt::predecessor {
namespace {

// What is looked at and added together: so many inodes, or so much of names and errors.
constexpr size_t kInodesAtOnce = 20'000, kBytesAtOnce = size_t{16} << 20;

size_t size_of(const Carried& carried) {
    size_t out = 0;
    for (const CarriedInode& inode : carried.inodes)
        for (const std::string& error : inode.row.errors) out += error.size() + sizeof error;
    for (const PathRow& path : carried.paths) out += path.path.size() + sizeof path;
    return out;
}

void add_counts(RuleCounts& to, const RuleCounts& from) {
    for (const auto& [rule, count] : from) to[rule] += count;
}

// Visits every group of a medium as it is carried over.
Result<void> each_carried(Reader& reader, const std::string& their_hash, MediumCarrier& carrier, const CancelToken& cancel,
                          const std::function<Result<void>(Carried&)>& visit) {
    TRY_ASSIGN(const std::unique_ptr<GroupCursor> groups, reader.groups(their_hash));
    TheirGroup group;
    for (;;) {
        TRY(cancel.check());
        TRY_ASSIGN(const bool more, groups->next(group));
        if (!more) return {};
        Carried carried = carrier.carry(group);
        TRY(visit(carried));
    }
}

bool is_stored(const CarriedInode& inode) { return inode.row.status == Status::stored; }

// One medium on its way into the catalog, inside a transaction.
class MediumImport {
public:
    MediumImport(Reader& reader, Catalog& catalog, const ImportOptions& options, const std::set<std::string>& doubtful, const CancelToken& cancel, std::string now)
        : reader_(reader), catalog_(catalog), options_(options), doubtful_(doubtful), cancel_(cancel), now_(std::move(now)) {}

    Result<void> run(const TheirMedium& theirs, MediumRow medium, ImportReport& report) {
        medium_ = std::move(medium);
        TRY_ASSIGN(const MediumCarrier::Partitions partitions, reader_.partitions(theirs.medium_hash));
        TRY_ASSIGN(key_, catalog_.add_medium(medium_));
        TRY(add_image());
        MediumCarrier carrier(theirs.medium_hash, partitions, doubtful_);
        TRY(each_carried(reader_, theirs.medium_hash, carrier, cancel_, [&](Carried& carried) -> Result<void> {
            waiting_inodes_ += carried.inodes.size();
            waiting_bytes_ += size_of(carried);
            waiting_.push_back(std::move(carried));
            return waiting_inodes_ < kInodesAtOnce && waiting_bytes_ < kBytesAtOnce ? Result<void>() : add_waiting();
        }));
        TRY(add_waiting());
        counts_ = carrier.counts();
        if (conflicting_ > 0) {
            counts_[Rule::stored] -= conflicting_;
            counts_[Rule::blob_of_two_sizes] += conflicting_;
        }
        TRY(add_volumes(carrier.volumes()));
        TRY(tell_defects(carrier));
        TRY(add_events(carrier.volumes()));
        if (pending_ > 0 && medium_.copy_done) {
            ++counts_[Rule::copy_done_taken_back];
            medium_.copy_done.reset();
            TRY_ASSIGN(const auto row, catalog_.medium(medium_.medium_hash));
            medium_.problems = row->problems;  // with the events
            TRY(catalog_.update_medium(medium_));
        }
        add_counts(report.rules, counts_);
        ++report.media;
        report.inodes += inodes_;
        report.paths += paths_;
        return {};
    }

private:
    // No digest is known: a run on the image finds that it is not the one that was listed, and leaves the medium alone.
    Result<void> add_image() {
        ImageRow image;
        image.medium_hash = medium_.medium_hash;
        image.path = medium_.image_path;
        image.format = "raw";
        image.digest = std::string(64, '0');
        image.added_at = medium_.added_at;
        TRY_ASSIGN(image_id_, catalog_.add_image(image));
        return {};
    }

    // The contents first, which the rows of the files name.
    Result<void> add_waiting() {
        TRY(set_conflicting_aside());
        std::map<BlobId, BlobRow> blobs;
        for (const Carried& carried : waiting_) {
            for (const CarriedInode& inode : carried.inodes) {
                if (!is_stored(inode)) continue;
                const BlobRow blob{*inode.row.blobid, BlobKind::whole, inode.row.size, time_of_storing(inode.row), std::nullopt};
                BlobRow& known = blobs.try_emplace(blob.blobid, blob).first->second;
                known.first_seen = std::min(known.first_seen, blob.first_seen);
            }
        }
        std::vector<BlobRow> in_order;
        for (auto& [id, blob] : blobs) in_order.push_back(std::move(blob));
        TRY(catalog_.add_blobs(options_.store_id, in_order));
        for (Carried& carried : waiting_) {
            for (CarriedInode& inode : carried.inodes) {
                inode.row.image_id = image_id_;
                if (is_stored(inode)) inode.row.processed_at = time_of_storing(inode.row);
                TRY(add(inode));
            }
            for (const PathRow& path : carried.paths) TRY(catalog_.add_path(key_, path));
            inodes_ += carried.inodes.size();
            paths_ += carried.paths.size();
        }
        waiting_.clear();
        waiting_inodes_ = waiting_bytes_ = 0;
        return {};
    }

    std::string time_of_storing(const InodeRow& row) const { return row.processed_at.value_or(medium_.copy_done.value_or(now_)); }

    // A content of this name and another size is in the catalog, or was seen before: one of the two is wrong.
    Result<void> set_conflicting_aside() {
        std::vector<BlobId> ids;
        for (const Carried& carried : waiting_)
            for (const CarriedInode& inode : carried.inodes)
                if (is_stored(inode)) ids.push_back(*inode.row.blobid);
        TRY_ASSIGN(const std::vector<BlobRow> known, catalog_.known_blobs(BlobKind::whole, ids));
        std::map<BlobId, uint64_t> sizes;
        for (const BlobRow& blob : known) sizes[blob.blobid] = blob.size;
        for (Carried& carried : waiting_) {
            for (CarriedInode& inode : carried.inodes) {
                if (!is_stored(inode)) continue;
                const auto [known_size, is_new] = sizes.try_emplace(*inode.row.blobid, inode.row.size);
                if (known_size->second == inode.row.size) continue;
                inode.row.status = Status::pending;
                inode.row.copied = false;
                inode.row.blobid.reset();
                inode.row.processed_at.reset();
                ++conflicting_;
            }
        }
        return {};
    }

    // Errors of another program on another computer do not count: what is pending with some goes into the queue as if it had been
    // given up and taken back.
    Result<void> add(CarriedInode& inode) {
        if (inode.row.status == Status::pending) ++pending_;
        if (inode.row.status != Status::pending || inode.row.errors.empty()) return catalog_.add_inode(key_, inode.row, inode.missing);
        inode.row.status = Status::unreadable;
        inode.row.copied = true;
        inode.row.cause = Cause::IO_ERROR;
        inode.row.claimed_by = kRetriesUsedUp;
        TRY(catalog_.add_inode(key_, inode.row, {}));
        RequeueFilter back;
        back.medium_hash = medium_.medium_hash;
        back.volume = inode.row.volume;
        back.ino = inode.row.ino;
        TRY(catalog_.requeue(back));
        return {};
    }

    Result<void> add_volumes(const std::set<int>& volumes) {
        for (const int number : volumes) {
            VolumeRow row;
            row.medium_hash = medium_.medium_hash;
            row.volume = number;
            row.image_id = image_id_;
            row.role = "filesystem";
            row.detail = R"({"from":"predecessor"})";
            TRY(catalog_.put_volume(row));
        }
        return {};
    }

    Result<void> tell_defects(const MediumCarrier& carrier) {
        for (const auto& [rule, inos] : carrier.examples()) {
            const nlohmann::json evidence = {{"rows", counts_[rule]}, {"first", inos}};
            TRY(catalog_.add_finding(key_, Finding{fmt::format("predecessor_{}", to_string(rule)), std::string(explain(rule)), evidence.dump(), 0, std::nullopt}, now_));
        }
        return {};
    }

    Result<void> add_events(const std::set<int>& volumes) {
        const bool has_one_volume = volumes.size() == 1 && *volumes.begin() == 1;
        const std::vector<EventRow> events = events_of(medium_, has_one_volume ? 1 : 0, counts_);
        TRY(catalog_.add_events(events));
        // An array with what is no event stays as it was.
        if (events.empty() || counts_.contains(Rule::event_malformed)) return {};
        return catalog_.rebuild_problem_events(medium_.medium_hash);
    }

    Reader& reader_;
    Catalog& catalog_;
    const ImportOptions& options_;
    const std::set<std::string>& doubtful_;
    const CancelToken& cancel_;
    const std::string now_;

    MediumRow medium_;
    MediumKey key_{};
    int64_t image_id_ = 0;
    std::vector<Carried> waiting_;  // to be added
    size_t waiting_inodes_ = 0, waiting_bytes_ = 0;
    uint64_t conflicting_ = 0;      // that could not be stored
    RuleCounts counts_;
    uint64_t inodes_ = 0, paths_ = 0, pending_ = 0;
};

}  // namespace

uint64_t ImportReport::defects() const {
    uint64_t out = 0;
    for (const auto& [rule, count] : rules)
        if (is_defect(rule)) out += count;
    return out;
}

Result<void> import_database(Reader& reader, Catalog& catalog, const Clock& clock, const ImportOptions& options, const CancelToken& cancel, ImportReport& report) {
    TRY_ASSIGN(const std::vector<TheirMedium> media, reader.media());
    TRY_ASSIGN(const std::set<std::string> doubtful, reader.blobs_of_two_sizes());
    // Two imports that bring the same contents in another order would wait for each other.
    TRY_ASSIGN(const auto alone, catalog.lock("import"));
    uint64_t analyzed = 0;  // inodes that were there at the last look
    for (const TheirMedium& theirs : media) {
        const std::string now = iso8601_utc(clock.wall_us());
        RuleCounts of_medium;
        MediumRow medium = medium_of(theirs, now, of_medium);
        TRY_ASSIGN(const auto lock, catalog.lock("medium-" + medium.medium_hash));
        TRY_ASSIGN(const auto known, catalog.medium(medium.medium_hash));
        if (known) {
            ++report.rules[Rule::medium_known];
            continue;
        }
        TRY_ASSIGN(const std::unique_ptr<CatalogTransaction> transaction, catalog.begin());
        ImportReport of_this;
        TRY(MediumImport(reader, catalog, options, doubtful, cancel, now).run(theirs, std::move(medium), of_this));
        TRY(transaction->commit());
        add_counts(report.rules, of_medium);
        add_counts(report.rules, of_this.rules);
        report.media += of_this.media;
        report.inodes += of_this.inodes;
        report.paths += of_this.paths;
        if (report.inodes < 2 * analyzed || report.inodes == analyzed) continue;
        TRY(catalog.analyze());
        analyzed = report.inodes;
    }
    return catalog.analyze();
}

Result<void> count_database(Reader& reader, const std::set<std::string>& known_media, const CancelToken& cancel, ImportReport& report) {
    TRY_ASSIGN(const std::vector<TheirMedium> media, reader.media());
    TRY_ASSIGN(const std::set<std::string> doubtful, reader.blobs_of_two_sizes());
    for (const TheirMedium& theirs : media) {
        RuleCounts counts;
        const MediumRow medium = medium_of(theirs, "1970-01-01T00:00:00.000000Z", counts);
        if (known_media.contains(medium.medium_hash)) {
            ++report.rules[Rule::medium_known];
            continue;
        }
        TRY_ASSIGN(const MediumCarrier::Partitions partitions, reader.partitions(theirs.medium_hash));
        MediumCarrier carrier(theirs.medium_hash, partitions, doubtful);
        uint64_t pending = 0;
        TRY(each_carried(reader, theirs.medium_hash, carrier, cancel, [&](Carried& carried) -> Result<void> {
            report.inodes += carried.inodes.size();
            report.paths += carried.paths.size();
            for (const CarriedInode& inode : carried.inodes) pending += inode.row.status == Status::pending ? 1 : 0;
            return {};
        }));
        events_of(medium, 0, counts);
        if (pending > 0 && medium.copy_done) ++counts[Rule::copy_done_taken_back];
        add_counts(report.rules, counts);
        add_counts(report.rules, carrier.counts());
        ++report.media;
    }
    return {};
}

}  // namespace ntt::predecessor

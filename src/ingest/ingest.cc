#include "ingest/ingest.h"

#include <algorithm>
#include <chrono>
#include <filesystem>
#include <future>
#include <map>
#include <set>
#include <thread>
#include <utility>

#include <fmt/format.h>
#include <nlohmann/json.hpp>

#include "base/hash.h"
#include "base/kill_point.h"
#include "diagnose/verdict.h"
#include "fs/isolated/reader_client.h"
#include "ingest/assess.h"
#include "ingest/conclude.h"
#include "ingest/enumerate.h"
#include "ingest/folder.h"
#include "ingest/geometry.h"
#include "ingest/identify.h"
#include "ingest/known_volumes.h"
#include "ingest/lost_volumes.h"
#include "ingest/mounted_medium.h"
#include "ingest/tree_stages.h"
#include "os/folder.h"
#include "volume/detail.h"
#include "volume/volume.h"

namespace ntt {
namespace {

// Above this size the digest is taken while the listing runs, not before it, and by one worker of a host for all.
constexpr uint64_t kLargeImageBytes = uint64_t{64} << 20;
constexpr auto kDigestPoll = std::chrono::milliseconds(200);

struct FindingList final : FindingSink {
    std::vector<Finding> findings;
    void add(Finding finding) override { findings.push_back(std::move(finding)); }
};

std::string placeholder_hash(const std::string& path, int64_t now_us) { return blake3_of(as_bytes(fmt::format("{}\n{}", now_us, path))).hex(); }

// One image on its way into the store. The public functions below name its stages.
class Run {
public:
    Run(const IngestContext& context, const IngestOptions& options, std::string source)
        : context_(context), options_(options), reader_(options.reader), trees_(options.reader.program) {
        reader_.spare = std::make_shared<SpareReader>();
        report_.source = std::move(source);
    }

    ~Run() {
        digest_unwanted_.cancel();  // the future waits for its thread
        if (LeaseTable* const leases = context_.catalog.leases()) leases->hold_image(std::nullopt);
    }
    Run(const Run&) = delete;
    Run& operator=(const Run&) = delete;

    // --- stages, in order ---
    Result<void> open();
    Result<void> identify();
    Result<void> enumerate();  // a medium that is new
    Result<void> renew();      // a medium that is known: same image; perhaps another map, or volumes that are due once more
    Result<void> copy();
    Result<IngestReport> conclude();

    bool known() const { return medium_.has_value(); }

private:
    Result<BlobId> digest();
    Result<BlobId> digest_among_workers();
    Result<void> lock_medium(const std::string& medium_hash);
    Result<void> share(Catalog::Sharing sharing);
    Result<void> refuse_if_unknown();
    Result<void> refuse_if_changed(const BlobId& digest);
    Result<Assessment> detect(const DamageMap& damage, FindingSink& findings);
    Result<Detection> detect_volumes_apart(const DamageMap& damage, FindingSink& findings);
    Result<EnumerationCounts> list_volume(const EnumerationTarget& target, Volume& volume, const DamageMap& damage, const VolumeRow* before);
    Result<EnumeratedVolume> list_mounted(const EnumerationTarget& target, const Volume& volume, const DamageMap& damage);
    Result<EnumeratedVolume> say_not_mounted(const EnumerationTarget& target, const Volume& volume);
    bool is_to_be_mounted(const Volume& volume) const;
    Result<void> mount_if_due();
    Result<void> settle_name(MediumKey key, MediumRow& medium);
    Result<CopyReport> copy_queue(MediumKey key, CopyOptions options);
    Result<CopyReport> copy_mounted(MediumKey key, const CopyOptions& options);
    Result<uint64_t> list_again(const EnumerationTarget& target, const std::vector<VolumeRow>& rows, const DamageMap& damage);
    Result<void> note_listed_again(const EnumerationTarget& target, const Volume& volume, const VolumeRow* before, const EnumerationCounts& counts);
    Result<void> note_map(const EnumerationTarget& target, uint64_t changed);
    Result<void> note_container_damage(MediumKey key);
    Result<void> add_new_findings(const EnumerationTarget& target, const FindingList& list);
    bool is_due(const VolumeRow& row) const;
    bool detects_anew(const EnumerationTarget& target, const std::vector<VolumeRow>& rows) const;
    // What a container cannot decode is known once all of it was read here; verdicts, and its reader, need to know it.
    bool shows_damage_when_read() const { return image_.source->format() != "raw" && image_.source->format() != "split_raw"; }
    DamageMap damage_map() const { return {image_.source->size_bytes(), image_.map ? &*image_.map : nullptr, image_.source->damaged_ranges()}; }
    uint64_t declared_end() const;

    const IngestContext& context_;
    const IngestOptions& options_;
    ReaderOptions reader_;  // of this image
    IngestReport report_;
    OpenedImage image_;
    FindingList map_findings_;
    std::unique_ptr<CatalogLock> image_lock_, medium_lock_;
    std::optional<NamedHash> named_;
    std::optional<BlobId> digest_;
    CancelToken digest_unwanted_;
    std::future<Result<BlobId>> digest_running_;  // set while the digest is taken beside the listing
    std::optional<MediumRow> medium_;             // as the catalog has it; set once it is known or enumerated
    std::optional<ImageRow> image_row_;
    std::vector<Volume> volumes_;
    Trees trees_;                             // of the volumes that are mounted
    std::unique_ptr<MountedMedium> mounted_;  // behind the trees, which it lets go of
    std::string why_not_mounted_;             // where that is no reason to stop
};

Result<void> Run::open() {
    TRY_ASSIGN(image_, open_medium_image(context_.env, report_.source, options_.map_path, reader_.program.get()));
    if (image_.map) image_.map->fit_to(image_.source->size_bytes(), map_findings_);
    TRY_ASSIGN(image_lock_, context_.catalog.lock(image_.lock_name, options_.sharing));
    return {};
}

Result<void> Run::identify() {
    TRY_ASSIGN(named_, named_hash(options_.medium_hash, image_.path));
    if (named_) {
        TRY(lock_medium(named_->medium_hash));
        TRY_ASSIGN(medium_, context_.catalog.medium(named_->medium_hash));
    }
    TRY_ASSIGN(const std::optional<MediumRow> at_path, context_.catalog.medium_at(image_.path));
    TRY_ASSIGN(const bool size_is_known, context_.catalog.has_image_of_size(image_.source->size_bytes()));
    const bool surely_new = !medium_ && !at_path && !size_is_known;
    if (surely_new && !shows_damage_when_read() && image_.source->size_bytes() > kLargeImageBytes) {
        digest_running_ = std::async(std::launch::async, [this] { return digest_of(*image_.source, digest_unwanted_, &context_.progress.signs_of_life); });
        return {};
    }
    if (medium_) TRY(refuse_if_unknown());
    TRY_ASSIGN(const BlobId now, digest());
    if (!named_) {
        named_ = NamedHash{medium_hash_of(now), "image_blake3"};
        TRY(lock_medium(named_->medium_hash));
        TRY_ASSIGN(medium_, context_.catalog.medium(named_->medium_hash));
    }
    if (!medium_ && !options_.medium_hash && at_path) {
        TRY_ASSIGN(const std::vector<ImageRow> images, context_.catalog.images(at_path->medium_hash));
        return make_error(ErrorCode::source_changed,
                          fmt::format("{} changed since it was enumerated as medium {}: its digest was {} and is {}, its size was {} and is {} bytes",
                                      image_.path, at_path->medium_hash, images.empty() ? "unknown" : images.back().digest, now.hex(),
                                      at_path->size_bytes, image_.source->size_bytes()),
                          "nothing was touched; if this is another medium, give it a file name or a --medium-hash of its own");
    }
    return medium_ ? refuse_if_changed(now) : Result<void>();
}

Result<BlobId> Run::digest() {
    if (!digest_) {
        if (digest_running_.valid()) {
            while (digest_running_.wait_for(std::chrono::milliseconds(50)) != std::future_status::ready)
                if (context_.cancel.cancelled()) digest_unwanted_.cancel();
            TRY_ASSIGN(digest_, digest_running_.get());
        } else if (options_.sharing == Catalog::Sharing::with_others && context_.catalog.leases() != nullptr && !shows_damage_when_read() &&
                   image_.source->size_bytes() > kLargeImageBytes) {
            TRY_ASSIGN(digest_, digest_among_workers());
        } else {
            TRY_ASSIGN(digest_, digest_of(*image_.source, context_.cancel, &context_.progress.signs_of_life));
        }
        TRY(image_.source->check_unchanged(context_.env));
    }
    return *digest_;
}

// Of the workers that join in on one host the first reads the image, and the others wait for it.
Result<BlobId> Run::digest_among_workers() {
    LeaseTable& leases = *context_.catalog.leases();
    const std::string& worker = options_.copy.worker_id;
    TRY_ASSIGN(const std::string image, fingerprint_of(context_.env, *image_.source, named_->medium_hash));
    for (bool said = false;;) {
        TRY(context_.cancel.check());
        ++context_.progress.signs_of_life;  // whoever is at it gets on, or is not waited for any more
        TRY_ASSIGN(const ToldDigest told, leases.ask_for_digest(image, worker, options_.work.lease.end));
        if (!told.is_being_taken) leases.hold_image(image);
        if (told.digest) return *told.digest;
        if (!told.is_being_taken) break;
        if (!std::exchange(said, true)) context_.log.info("another worker takes the digest of {}; waiting for it", image_.path);
        std::this_thread::sleep_for(kDigestPoll);
    }
    context_.log.debug("{} is read for its digest, for all workers of this host", image_.path);
    Result<BlobId> taken = digest_of(*image_.source, context_.cancel, &context_.progress.signs_of_life);
    const Result<std::string> image_now = fingerprint_of(context_.env, *image_.source, named_->medium_hash);
    const bool holds = taken.ok() && image_now.ok() && *image_now == image;
    TRY(leases.put_digest(image, worker, holds ? std::optional(*taken) : std::nullopt));
    return taken;
}

Result<void> Run::lock_medium(const std::string& medium_hash) {
    TRY_ASSIGN(medium_lock_, context_.catalog.lock("medium-" + medium_hash, options_.sharing));
    return {};
}

// Others may join in from here on, or may not any more (busy if they have).
Result<void> Run::share(Catalog::Sharing sharing) {
    if (context_.catalog.leases() == nullptr) return {};
    image_lock_.reset();
    medium_lock_.reset();
    TRY_ASSIGN(image_lock_, context_.catalog.lock(image_.lock_name, sharing));
    TRY_ASSIGN(medium_lock_, context_.catalog.lock("medium-" + medium_->medium_hash, sharing));
    return {};
}

// What was taken over without a digest can be told from no image: known before all of it is read.
Result<void> Run::refuse_if_unknown() {
    if (medium_->kind == "directory") return {};
    TRY_ASSIGN(const std::vector<ImageRow> images, context_.catalog.images(medium_->medium_hash));
    const std::string unknown(64, '0');
    if (images.empty() || std::any_of(images.begin(), images.end(), [&](const ImageRow& row) { return row.digest != unknown; })) return {};
    return make_error(ErrorCode::source_changed,
                      fmt::format("whether {} is the image that medium {} was listed from is not known: it was taken over without a digest", image_.path, medium_->medium_hash),
                      "nothing was touched; 'ntt ingest' with another --medium-hash reads it, and stores once what is known already");
}

Result<void> Run::refuse_if_changed(const BlobId& now) {
    if (medium_->kind == "directory")
        return make_error(ErrorCode::source_changed, fmt::format("the medium {} is a folder, {}, and no image", medium_->medium_hash, medium_->image_path),
                          "nothing was touched; give the image another --medium-hash");
    TRY_ASSIGN(const std::vector<ImageRow> images, context_.catalog.images(medium_->medium_hash));
    if (images.empty()) return make_error(ErrorCode::catalog_damaged, fmt::format("the medium {} has no image", medium_->medium_hash));
    const auto same = std::find_if(images.rbegin(), images.rend(), [&](const ImageRow& row) { return row.digest == now.hex(); });
    if (same == images.rend()) {
        const ImageRow& last = images.back();
        return make_error(ErrorCode::source_changed,
                          fmt::format("{} is not the image that medium {} was enumerated from ({}): its digest was {} and is {}, its size was {} and is {} bytes",
                                      image_.path, medium_->medium_hash, last.path, last.digest, now.hex(), last.size_bytes, image_.source->size_bytes()),
                          "nothing was touched; a better image of a known medium cannot be merged yet, another medium needs another --medium-hash");
    }
    image_row_ = *same;
    return {};
}

// Fills volumes_ with what is there to be listed.
Result<Assessment> Run::detect(const DamageMap& damage, FindingSink& findings) {
    const AssessmentContext assessing{*image_.source, damage, context_.clock, context_.cancel, findings, reader_.program.get()};
    if (image_.source->format() == "archive") {
        TRY_ASSIGN(AssessedArchive archive, assess_archive(assessing));
        volumes_.push_back(std::move(archive.volume));
        return std::move(archive.assessment);
    }
    TRY_ASSIGN(Detection detection, detect_volumes_apart(damage, findings));
    volumes_ = std::move(detection.volumes);
    return assess_volumes(assessing, volumes_);
}

// Partition tables, filesystems, and what stands in for lost structures. A parser that does not survive them costs the image its volumes, and no more.
Result<Detection> Run::detect_volumes_apart(const DamageMap& damage, FindingSink& findings) {
    ReaderOptions options = reader_;
    options.unread = damage.unread();
    Result<Detection> found = detect_apart(*image_.source, options, findings, context_.cancel);
    if (found.ok()) return found;
    if (is_of_the_host(found.error())) return found;
    const Outcome outcome = outcome_of_parser(found.error()).value_or(Outcome::failed);
    Volume whole;
    whole.number = 1;
    whole.size_bytes = image_.source->size_bytes();
    whole.outcome = outcome;
    findings.add({code_of_failure(outcome, "volumes_unreadable"), "volumes could not be looked for: " + found.error().text(), "{}", 1, std::nullopt});
    return Detection{"none", {whole}};
}

Result<void> Run::enumerate() {
    const std::string now = iso8601_utc(context_.clock.wall_us());
    const RescueMap* map = image_.map ? &*image_.map : nullptr;
    const DamageMap damage = damage_map();

    TRY_ASSIGN(const std::unique_ptr<CatalogTransaction> transaction, context_.catalog.begin());
    MediumRow medium;
    medium.medium_hash = named_ ? named_->medium_hash : placeholder_hash(image_.path, context_.clock.wall_us());
    medium.hash_method = named_ ? named_->method : "image_blake3";
    medium.medium_human = options_.name ? *options_.name : std::filesystem::path(report_.source).filename().string();
    medium.image_path = image_.path;
    medium.map_path = image_.map_path;
    medium.size_bytes = image_.source->size_bytes();
    medium.added_at = now;
    TRY_ASSIGN(const MediumKey key, context_.catalog.add_medium(medium));
    ImageRow image;
    image.medium_hash = medium.medium_hash;
    image.path = image_.path;
    image.format = image_.source->format();
    image.size_bytes = medium.size_bytes;
    image.digest = digest_ ? digest_->hex() : std::string(64, '0');
    image.map_path = image_.map_path;
    if (map != nullptr) image.map_digest = map->digest();
    image.added_at = now;
    TRY_ASSIGN(image.image_id, context_.catalog.add_image(image));

    FindingList detection_findings;
    TRY_ASSIGN(const Assessment assessment, detect(damage, detection_findings));
    for (const FindingList* list : {&map_findings_, &detection_findings})
        for (const Finding& finding : list->findings) TRY(context_.catalog.add_finding(key, finding, now));

    if (std::any_of(volumes_.begin(), volumes_.end(), [this](const Volume& volume) { return is_to_be_mounted(volume); })) {
        TRY(settle_name(key, medium));
        TRY(mount_if_due());
    }
    const EnumerationTarget target{context_.catalog, key, medium.medium_hash, image.image_id, options_.copy.worker_id, now};
    EnumerationCounts counts;
    for (Volume& volume : volumes_) {
        TRY_ASSIGN(EnumerationCounts of_volume, list_volume(target, volume, damage, nullptr));
        counts.add(std::move(of_volume));
    }
    TRY(context_.catalog.mark_excluded(key));

    const Health health = health_of_image(medium.size_bytes, map, declared_end());
    TRY(settle_name(key, medium));
    TRY_ASSIGN(const BlobId digest_now, digest());
    image.medium_hash = medium.medium_hash;
    image.digest = digest_now.hex();
    image.rescued_bytes = health.rescued_bytes;
    TRY(context_.catalog.update_image(image));
    medium.health = health.word;
    medium.rescued_bytes = health.rescued_bytes;
    medium.problems = problems_of(std::nullopt, counts, assessment, now);
    medium.enum_done = iso8601_utc(context_.clock.wall_us());
    TRY(context_.catalog.update_medium(medium));
    kill_point("enumerate.before_commit");
    TRY(transaction->commit());
    kill_point("enumerate.committed");
    medium_ = std::move(medium);
    image_row_ = std::move(image);
    return {};
}

// A medium that is named by its image's digest gets its name once that is known.
Result<void> Run::settle_name(MediumKey key, MediumRow& medium) {
    if (named_) return {};
    TRY_ASSIGN(const BlobId digest_now, digest());
    named_ = NamedHash{medium_hash_of(digest_now), "image_blake3"};
    TRY(lock_medium(named_->medium_hash));
    TRY(context_.catalog.rename_medium(key, named_->medium_hash));
    medium.medium_hash = named_->medium_hash;
    return {};
}

// By the user's choice; else what the image engine cannot read, and what a run before has listed so.
bool Run::is_to_be_mounted(const Volume& volume) const {
    if (volume.role != Role::filesystem || options_.engine == Engine::image) return false;
    if (options_.engine == Engine::mount || text_in(parse_detail(volume.detail), "engine") == "mount") return true;
    return volume.outcome == Outcome::unsupported && image_.source->format() == "raw" && options_.tree.helper.has_value();
}

// That it cannot be mounted ends the run only where nothing else is left to the user's choice.
Result<void> Run::mount_if_due() {
    if (mounted_ || !std::any_of(volumes_.begin(), volumes_.end(), [this](const Volume& volume) { return is_to_be_mounted(volume); })) return {};
    const bool chosen = options_.engine == Engine::mount;
    Result<void> mounted;
    if (image_.source->format() != "raw")
        mounted = make_error(ErrorCode::unsupported, fmt::format("an image in the format {} cannot be mounted", image_.source->format()), "--engine image reads it");
    else if (!options_.tree.helper)
        mounted = make_error(ErrorCode::not_found, "nothing can be mounted: " + options_.tree.why_no_helper, "--engine image reads images without mounting them");
    else {
        mounted_ = std::make_unique<MountedMedium>(context_.env, *options_.tree.helper, named_->medium_hash, image_.path, trees_, context_.cancel, context_.log);
        mounted = mounted_->mount(volumes_);
    }
    // That the image's filesystems cannot be mounted is a fact about them; that nothing may be mounted is not.
    const bool about_the_image = mounted_ && !mounted.ok() && mounted.error().code == ErrorCode::io && mounted.error().sys_errno == 0;
    if (!mounted.ok() && chosen && !about_the_image) return mounted;
    if (!mounted.ok()) why_not_mounted_ = mounted.error().text();
    return {};
}

Result<EnumeratedVolume> Run::list_mounted(const EnumerationTarget& target, const Volume& volume, const DamageMap& damage) {
    ReaderOptions with_damage = reader_;
    with_damage.unread = damage.unread();
    TRY_ASSIGN(const ImageGeometry geometry, ImageGeometry::of(*image_.source, volume, with_damage, context_.cancel));
    const std::vector<MissingRange> unread = damage.missing_in(volume.range());
    PlacedReader reader(trees_.of(volume.number), geometry, volume, numbers_of(trees_.mount_of(volume.number)), unread.empty() ? std::nullopt : std::optional(unread.front().cause));
    EnumerationTarget of_a_tree = target;
    of_a_tree.tries_all = options_.tree.level < DiagnosticsLevel::predict;
    Volume listed = volume;
    nlohmann::json detail = parse_detail(listed.detail);
    for (const char* of_the_image_engine : {"cause", "needs"}) detail.erase(of_the_image_engine);
    detail["engine"] = "mount";
    detail["mounted_as"] = trees_.mount_of(volume.number).fs_type;
    listed.detail = detail.dump();
    listed.outcome = Outcome::read;
    return enumerate_with(reader, of_a_tree, listed, damage, image_.source->size_bytes(), options_.exclude, context_.cancel);
}

// A volume that the user wants to be mounted, and that is not.
Result<EnumeratedVolume> Run::say_not_mounted(const EnumerationTarget& target, const Volume& volume) {
    EnumeratedVolume out{volume, {}};
    const bool other_view = std::any_of(volumes_.begin(), volumes_.end(), [&](const Volume& other) { return other.offset_bytes == volume.offset_bytes && trees_.has(other.number); });
    out.volume.outcome = other_view ? Outcome::skipped : Outcome::failed;
    if (other_view) return out;
    Finding finding;
    finding.volume = volume.number;
    finding.code = "not_mounted";
    std::string reason = mounted_ ? mounted_->reason_of(volume) : "";
    if (reason.empty()) reason = why_not_mounted_;
    finding.message = fmt::format("the {} filesystem was not mounted{}", volume.view.empty() ? "unknown" : volume.view, reason.empty() ? "" : ": " + reason);
    TRY(context_.catalog.add_finding(target.medium, finding, target.now));
    return out;
}

// `before`: the row of the volume that is listed again.
Result<EnumerationCounts> Run::list_volume(const EnumerationTarget& target, Volume& volume, const DamageMap& damage, const VolumeRow* before) {
    TRY(context_.catalog.put_volume(row_of(target.medium_hash, target.image_id, volume)));
    EnumeratedVolume listed;
    if (trees_.has(volume.number)) {
        TRY_ASSIGN(listed, list_mounted(target, volume, damage));
    } else if (options_.engine == Engine::mount && volume.role == Role::filesystem) {
        TRY_ASSIGN(listed, say_not_mounted(target, volume));
    } else {
        TRY_ASSIGN(listed, enumerate_volume(target, *image_.source, volume, damage, reader_, options_.exclude, context_.cancel));
    }
    note_listing(listed.volume, before, reader_);
    TRY(context_.catalog.put_volume(row_of(target.medium_hash, target.image_id, listed.volume)));
    volume = std::move(listed.volume);
    return std::move(listed.counts);
}

Result<void> Run::renew() {
    TRY_ASSIGN(const std::vector<VolumeRow> rows, context_.catalog.volumes(medium_->medium_hash));
    for (const VolumeRow& row : rows) volumes_.push_back(volume_of(row));

    const std::optional<std::string> map_digest = image_.map ? std::optional(image_.map->digest()) : std::nullopt;
    // Damage that was seen does not go away because the map did.
    if (!map_digest && image_row_->map_digest)
        return make_error(ErrorCode::source_changed,
                          fmt::format("the rescue map of {} is gone: it was {}", image_.path, image_row_->map_path.value_or("unknown")),
                          "nothing was touched; put the map back beside the image, or name it with --map");

    const bool map_changed = map_digest != image_row_->map_digest;
    const bool any_due = std::any_of(rows.begin(), rows.end(), [this](const VolumeRow& row) { return is_due(row); });
    if (!map_changed && !any_due) return {};
    if (options_.sharing != Catalog::Sharing::alone) TRY(share(Catalog::Sharing::alone));

    TRY_ASSIGN(const MediumKey key, context_.catalog.medium_key(medium_->medium_hash));
    const DamageMap damage = damage_map();
    EnumerationTarget target{context_.catalog, key, medium_->medium_hash, image_row_->image_id, options_.copy.worker_id, iso8601_utc(context_.clock.wall_us())};
    target.again = true;
    target.map_changed = map_changed;
    TRY(mount_if_due());
    TRY_ASSIGN(const std::unique_ptr<CatalogTransaction> transaction, context_.catalog.begin());
    uint64_t changed = 0;
    if (map_changed) {
        TRY_ASSIGN(changed, renew_verdicts(target, rows, damage));
    }
    TRY_ASSIGN(const uint64_t renewed, list_again(target, rows, damage));
    if (map_changed) TRY(note_map(target, changed + renewed));
    const Health health = health_of_image(image_.source->size_bytes(), image_.map ? &*image_.map : nullptr, declared_end());
    image_row_->rescued_bytes = medium_->rescued_bytes = health.rescued_bytes;
    medium_->health = health.word;
    medium_->copy_done.reset();
    TRY(context_.catalog.update_image(*image_row_));
    TRY(context_.catalog.update_medium(*medium_));
    kill_point("enumerate.before_commit");
    return transaction->commit();
}

uint64_t Run::declared_end() const {
    uint64_t end = 0;
    for (const Volume& volume : volumes_) end = std::max(end, volume.range().end());
    return end;
}

// Another map, or leave to repair, and other volumes may show themselves, or the same ones otherwise. What is known with its
// repairs is not taken without them.
bool Run::detects_anew(const EnumerationTarget& target, const std::vector<VolumeRow>& rows) const {
    if (reader_.repairs == Repairs::none && std::any_of(rows.begin(), rows.end(), was_repaired)) return false;
    return target.map_changed ||
           std::any_of(rows.begin(), rows.end(), [this](const VolumeRow& row) { return is_due(row) && (row.view.empty() || was_listed_without_repairs(row)); });
}

bool Run::is_due(const VolumeRow& row) const {
    return is_due_for_listing(row, reader_) || (was_listed_without_repairs(row) && reader_.repairs != Repairs::none);
}

// Lists what is due, what is new, and with another map everything: it says what of the metadata is believed. Returns how
// many files show themselves as others.
Result<uint64_t> Run::list_again(const EnumerationTarget& target, const std::vector<VolumeRow>& rows, const DamageMap& damage) {
    Assessment assessment;
    const bool anew = detects_anew(target, rows);
    if (anew) {
        FindingList findings;
        volumes_.clear();
        TRY_ASSIGN(assessment, detect(damage, findings));
        const std::map<int, int> number_of = take_known_numbers(volumes_, rows);
        for (Finding& finding : findings.findings)
            if (const auto known = number_of.find(finding.volume); known != number_of.end()) finding.volume = known->second;
        TRY(add_new_findings(target, findings));
    }
    EnumerationCounts listed;
    for (Volume& volume : volumes_) {
        const auto row = std::find_if(rows.begin(), rows.end(), [&](const VolumeRow& r) { return r.volume == volume.number; });
        const bool is_new = row == rows.end() || row->view != volume.view;
        if (!is_new && !is_due(*row) && !(target.map_changed && volume.readable)) continue;
        if (!anew && !volume.readable) continue;  // nothing else is known of it than before
        volume.detail = detail_before_listing(volume.detail);
        if (volume.readable) volume.outcome = Outcome::read;
        const VolumeRow* before = row == rows.end() ? nullptr : &*row;
        TRY_ASSIGN(EnumerationCounts counts, list_volume(target, volume, damage, before));
        if (volume.readable && (before == nullptr || is_due(*before))) TRY(note_listed_again(target, volume, before, counts));
        listed.add(std::move(counts));
    }
    if (!options_.exclude.empty()) TRY(context_.catalog.mark_excluded(target.medium));
    TRY_ASSIGN(EnumerationCounts of_all, counts_in_catalog(context_.catalog, target.medium, target.medium_hash));
    of_all.root_lost = std::move(listed.root_lost);
    of_all.udf_corruption = std::move(listed.udf_corruption);
    medium_->problems = problems_of(medium_->problems, of_all, assessment, target.now);
    return listed.renewed_inodes;
}

Result<void> Run::note_map(const EnumerationTarget& target, uint64_t changed) {
    Finding finding;
    finding.code = "map_changed";
    finding.message = fmt::format("the rescue map changed since the last run: {} files have a new verdict", changed);
    TRY(context_.catalog.add_finding(target.medium, finding, target.now));
    for (const Finding& about_map : map_findings_.findings) TRY(context_.catalog.add_finding(target.medium, about_map, target.now));
    image_row_->map_path = medium_->map_path = image_.map_path;
    image_row_->map_digest = image_.map->digest();
    return {};
}

// `before`: nullptr for a volume that was not found before.
Result<void> Run::note_listed_again(const EnumerationTarget& target, const Volume& volume, const VolumeRow* before, const EnumerationCounts& counts) {
    const std::string_view outcome = to_string(volume.outcome);
    Finding finding;
    finding.volume = volume.number;
    nlohmann::json evidence = {{"now", outcome}, {"inodes", counts.inodes}, {"new_inodes", counts.new_inodes}};
    if (before == nullptr) {
        finding.code = "volume_found_later";
        finding.message = fmt::format("the volume was not found by the runs before: it is {}, with {} inodes", outcome, counts.new_inodes);
    } else {
        finding.code = "volume_listed_again";
        finding.message = fmt::format("the volume was listed again, because {}: now it is {}, and {} inodes are new",
                                      was_listed_without_repairs(*before) ? "nothing lost in it was to be repaired before" : "its reader was lost (" + before->outcome + ")",
                                      outcome, counts.new_inodes);
        evidence.update({{"before", before->outcome}, {"listings", listings_of(*before) + 1}});
    }
    finding.evidence = evidence.dump();
    return context_.catalog.add_finding(target.medium, finding, target.now);
}

// Those that do not stand in the catalog yet.
Result<void> Run::add_new_findings(const EnumerationTarget& target, const FindingList& list) {
    TRY_ASSIGN(const std::vector<FindingRow> known, context_.catalog.findings(target.medium_hash));
    for (const Finding& finding : list.findings) {
        const auto is_it = [&](const FindingRow& row) { return row.finding.code == finding.code && row.finding.volume == finding.volume && row.finding.message == to_display_utf8(finding.message); };
        if (std::none_of(known.begin(), known.end(), is_it)) TRY(context_.catalog.add_finding(target.medium, finding, target.now));
    }
    return {};
}

Result<void> Run::copy() {
    report_.medium_hash = medium_->medium_hash;
    report_.medium_human = medium_->medium_human;
    if (options_.goal == IngestGoal::enumerate) return {};
    NTT_CHECK(context_.store != nullptr, "copying without a store");
    TRY_ASSIGN(const MediumKey key, context_.catalog.medium_key(medium_->medium_hash));
    TRY(share(Catalog::Sharing::with_others));
    TRY(context_.catalog.give_up_on_errors(key, options_.copy.startup_error_limit, iso8601_utc(context_.clock.wall_us())));
    TRY_ASSIGN(report_.copy, copy_leased(context_, medium_->medium_hash, options_.copy, options_.work, [&](const CopyOptions& options) { return copy_queue(key, options); }));
    // A blob that was read from a changing image is still what its name says; that the run is not the image's is an error.
    TRY(image_.source->check_unchanged(context_.env));
    return {};
}

// What is pending: from the image, and through its mount what only that can give.
Result<CopyReport> Run::copy_queue(MediumKey key, CopyOptions options) {
    const CopyJob job{{context_.env, *context_.store, context_.catalog, key, medium_->medium_hash, context_.clock, context_.cancel, context_.progress, context_.log},
                      *image_.source, volumes_, reader_};
    if (image_.map) options.suspect_run_bytes = 0;  // it says what was read
    std::set<int> read_here, mounted;
    for (const Volume& volume : volumes_) (text_in(parse_detail(volume.detail), "engine") == "mount" ? mounted : read_here).insert(volume.number);
    if (!mounted.empty()) options.volumes = read_here;
    TRY_ASSIGN(CopyReport report, copy_pending(job, options));
    if (mounted.empty() || report.interrupted) return report;
    options.volumes = std::move(mounted);
    TRY_ASSIGN(const CopyReport through_mount, copy_mounted(key, options));
    report.add(through_mount);
    return report;
}

// Files of volumes that were listed through a mount.
Result<CopyReport> Run::copy_mounted(MediumKey key, const CopyOptions& options) {
    const std::set<int>& volumes = *options.volumes;
    TRY_ASSIGN(const std::vector<int64_t> pending, context_.catalog.pending_rows(key, &volumes));
    if (pending.empty()) {
        if (!mounted_ && options_.tree.helper) clear_left_mount(context_.env, *options_.tree.helper, medium_->medium_hash, context_.log);
        return CopyReport();
    }
    TRY(mount_if_due());
    const bool all_there = std::all_of(volumes.begin(), volumes.end(), [this](int volume) { return trees_.has(volume); });
    if (!all_there) {
        context_.log.error("{} files of {} wait for a mount: {}", pending.size(), medium_->medium_hash, why_not_mounted_.empty() ? "it did not give all volumes" : why_not_mounted_);
        CopyReport none;
        none.untried = true;
        return none;
    }
    IngestOptions of_trees = options_;
    of_trees.copy = options;
    return copy_tree(context_, of_trees, key, medium_->medium_hash, trees_, *mounted_, image_.source.get());
}

// What did not decode is the container's damage, not the medium's. It shows while the image is read.
Result<void> Run::note_container_damage(MediumKey key) {
    uint64_t bytes = 0;
    const std::vector<ByteRange> ranges = image_.source->damaged_ranges();
    for (const ByteRange& range : ranges) bytes += range.length;
    if (bytes == 0) return {};
    FindingList list;
    Finding finding;
    finding.code = "container_damaged";
    finding.message = fmt::format("a part of the {} container cannot be decoded: verify the image file, and replace it by a sound copy", image_.source->format());
    finding.evidence = nlohmann::json{{"bytes", bytes}, {"ranges", ranges.size()}, {"first_offset", ranges.front().offset}}.dump();
    list.add(std::move(finding));
    TRY(add_new_findings({context_.catalog, key, medium_->medium_hash, image_row_->image_id, options_.copy.worker_id, iso8601_utc(context_.clock.wall_us())}, list));
    const uint64_t whole = std::max(image_.source->size_bytes(), image_.map ? image_.map->end() : 0);
    const uint64_t decoded = image_.source->size_bytes() - std::min(bytes, image_.source->size_bytes());
    TRY_ASSIGN(std::optional<MediumRow> row, context_.catalog.medium(medium_->medium_hash));  // others may have written it meanwhile
    row->rescued_bytes = std::min(row->rescued_bytes.value_or(decoded), decoded);
    row->health = std::string(health_of(*row->rescued_bytes, whole));
    medium_ = std::move(*row);
    return context_.catalog.update_medium(*medium_);
}

Result<IngestReport> Run::conclude() {
    TRY_ASSIGN(const MediumKey key, context_.catalog.medium_key(medium_->medium_hash));
    TRY(note_container_damage(key));
    TRY(conclude_medium(context_.catalog, context_.clock, *medium_, options_.goal, report_));
    return report_;
}

}  // namespace

namespace {

Result<IngestReport> ingest_image(const IngestContext& context, const std::string& path, const IngestOptions& options) {
    Run run(context, options, path);
    TRY(run.open());
    TRY(run.identify());
    if (run.known()) {
        TRY(run.renew());
    } else {
        TRY(run.enumerate());
    }
    TRY(run.copy());
    return run.conclude();
}

}  // namespace

Result<IngestReport> ingest_source(const IngestContext& context, const std::string& path, const IngestOptions& options) {
    std::error_code unknown;
    if (options.reader.program) TRY(answers_in_time(path, options.reader.program->patience));
    if (std::filesystem::is_directory(path, unknown)) return ingest_folder(context, path, options, FolderWork::list_and_copy);
    return ingest_image(context, path, options);
}

Result<IngestReport> copy_medium(const IngestContext& context, const std::string& medium_hash, const IngestOptions& options) {
    TRY_ASSIGN(const MediumRow medium, context.catalog.resolve_medium(medium_hash));
    IngestOptions of_this_medium = options;
    of_this_medium.medium_hash = medium.medium_hash;
    if (medium.enum_done && context.catalog.leases() != nullptr) of_this_medium.sharing = Catalog::Sharing::with_others;
    if (medium.image_path.empty())
        return make_error(ErrorCode::not_found, fmt::format("the medium {} has neither an image nor a folder in the catalog", medium.medium_hash),
                          "it was loaded from an enumeration: load that again with --image IMAGE, or with --root DIR for a mounted tree");
    const std::string path = path_on_this_host(medium.image_path, options.image_paths);
    if (medium.kind == "directory") return ingest_folder(context, path, of_this_medium, FolderWork::copy);
    if (!of_this_medium.map_path && medium.map_path) of_this_medium.map_path = path_on_this_host(*medium.map_path, options.image_paths);
    return ingest_image(context, path, of_this_medium);
}

Result<bool> conclude_copied(const IngestContext& context, const std::string& medium_hash) {
    // Nobody may list it meanwhile.
    const auto lock = context.catalog.lock("medium-" + medium_hash, Catalog::Sharing::with_others);
    if (!lock.ok() && lock.error().code == ErrorCode::busy) return false;
    if (!lock.ok()) return lock.error();
    TRY_ASSIGN(const std::optional<MediumRow> medium, context.catalog.medium(medium_hash));
    if (!medium) return unknown_medium(medium_hash);
    IngestReport report;
    TRY(conclude_medium(context.catalog, context.clock, *medium, IngestGoal::copy, report));
    TRY_ASSIGN(const std::optional<MediumRow> now, context.catalog.medium(medium_hash));
    return now && now->copy_done.has_value();
}

std::string path_on_this_host(const std::string& path, const std::vector<std::pair<std::string, std::string>>& image_paths) {
    const std::pair<std::string, std::string>* best = nullptr;
    for (const auto& one : image_paths) {
        const std::string& from = one.first;
        const bool fits = path.starts_with(from) && (path.size() == from.size() || from.ends_with('/') || path[from.size()] == '/');
        if (fits && (best == nullptr || best->first.size() < from.size())) best = &one;
    }
    return best == nullptr ? path : best->second + path.substr(best->first.size());
}

}  // namespace ntt

#include "ingest/enumeration.h"

#include <filesystem>
#include <memory>
#include <utility>
#include <vector>

#include <fmt/format.h>
#include <nlohmann/json.hpp>

#include "diagnose/verdict.h"
#include "fs/enumeration/raw_enumeration.h"
#include "fs/isolated/reader_client.h"
#include "fs/isolated/trees.h"
#include "ingest/conclude.h"
#include "ingest/enumerate.h"
#include "ingest/folder.h"
#include "ingest/geometry.h"
#include "ingest/identify.h"
#include "ingest/known_volumes.h"
#include "volume/detail.h"

namespace ntt {
namespace {

using nlohmann::json;

struct Findings final : FindingSink {
    std::vector<Finding> list;
    void add(Finding finding) override { list.push_back(std::move(finding)); }
};

// A file that gets its name when it is whole. What is left of a run that failed is "NAME.part".
class NewFile {
public:
    static Result<NewFile> make(Env& env, const std::string& path) {
        const std::filesystem::path where(path);
        NewFile out(env, where.filename().string());
        TRY_ASSIGN(out.folder_, env.open_dir(where.has_parent_path() ? where.parent_path().string() : "."));
        const auto taken = env.stat_at(out.folder_, out.name_);
        if (taken.ok()) return make_error(ErrorCode::already_exists, path + " is there", "a listing is never written over; give another name");
        if (taken.error().code != ErrorCode::not_found) return taken.error();
        TRY_ASSIGN(out.file_, env.open_create_at(out.folder_, out.part(), 0644, Existing::open));
        TRY(env.truncate(out.file_, 0));
        return out;
    }
    const Fd& fd() const { return file_; }
    Result<void> publish() {
        TRY(env_->sync_file(file_));
        TRY(env_->link_at(folder_, part(), folder_, name_));
        env_->unlink_at(folder_, part()).ignore("a second name of the same file");
        return env_->sync_file(folder_);
    }
    void remove() { env_->unlink_at(folder_, part()).ignore("nobody takes a part for the whole"); }

private:
    NewFile(Env& env, std::string name) : env_(&env), name_(std::move(name)) {}
    std::string part() const { return name_ + ".part"; }

    Env* env_;
    std::string name_;
    Fd folder_, file_;
};

// What is listed: the volumes, and how each is reached.
class Listing {
public:
    Listing(const IngestContext& context, const IngestOptions& options) : context_(context), options_(options), trees_(options.reader.program) {}

    Result<void> open(const std::string& source) {
        std::error_code unknown;
        if (std::filesystem::is_directory(source, unknown)) return open_folder(source);
        TRY_ASSIGN(image_, open_medium_image(context_.env, source, options_.map_path, options_.reader.program.get()));
        if (image_.map) image_.map->fit_to(image_.source->size_bytes(), findings_);
        const DamageMap damage(image_.source->size_bytes(), image_.map ? &*image_.map : nullptr, image_.source->damaged_ranges());
        reader_options_ = options_.reader;
        reader_options_.unread = damage.unread();
        TRY_ASSIGN(Detection detection, detect_apart(*image_.source, reader_options_, findings_, context_.cancel));
        volumes_ = std::move(detection.volumes);
        return {};
    }

    bool is_image() const { return image_.source != nullptr; }
    const std::string& path() const { return path_.empty() ? image_.path : path_; }
    // As stat(2) gives it for a folder's files; 1 for those of an image.
    uint64_t device() const {
        if (is_image()) return 1;
        const MountEntry& mount = trees_.mount_of(kFolderVolume);
        return mount.device();
    }
    const OpenedImage& image() const { return image_; }
    const std::vector<Volume>& volumes() const { return volumes_; }
    const std::vector<Finding>& findings() const { return findings_.list; }

    // How the listing of the volume ended, with the reader's detail. Errors of the sink and of this computer.
    struct End {
        Outcome outcome = Outcome::read;
        std::string detail = "{}";
    };
    Result<End> list(const Volume& volume, EntrySink& sink) {
        if (!is_image()) {
            TRY(trees_.of(kFolderVolume).list(sink, context_.cancel));
            return End{};
        }
        Result<std::unique_ptr<FsReader>> reader = open_apart(*image_.source, volume, reader_options_, sink);
        Result<void> listed = reader.ok() ? (*reader)->list(sink, context_.cancel) : Result<void>(reader.error());
        TRY(context_.cancel.check());
        End end;
        if (reader.ok()) end.detail = (*reader)->detail();
        if (listed.ok()) return end;
        if (is_of_the_host(listed.error())) return std::move(listed).take_error();
        end.outcome = outcome_of_parser(listed.error()).value_or(reader.ok() ? Outcome::partial : Outcome::failed);
        sink.add({code_of_failure(end.outcome, reader.ok() ? "directory_unreadable" : "filesystem_unreadable"), "the listing ended early: " + listed.error().text(), "{}", volume.number, {}});
        return end;
    }

private:
    Result<void> open_folder(const std::string& source) {
        std::error_code failed;
        path_ = std::filesystem::canonical(source, failed).string();
        if (failed) return errno_error(failed.value(), "open folder " + source);
        TRY(trees_.open({{kFolderVolume, path_}}));
        volumes_.push_back(folder_volume(trees_.mount_of(kFolderVolume)));
        return {};
    }

    const IngestContext& context_;
    const IngestOptions& options_;
    OpenedImage image_;
    std::string path_;  // of a folder
    Trees trees_;
    ReaderOptions reader_options_;
    std::vector<Volume> volumes_;
    Findings findings_;
};

Result<EntryCounts> write_own_format(const IngestContext& context, const EnumerateRequest& request, const IngestOptions& options, Listing& listing, const Fd& file) {
    EnumerationHeader header;
    header.medium_hash = request.medium_hash;
    header.medium_human = options.name ? *options.name : to_display_utf8(std::filesystem::path(request.source).filename().string());
    header.kind = listing.is_image() ? EnumeratedKind::image : EnumeratedKind::directory;
    header.tool_version = NTT_VERSION;
    header.worker = options.copy.worker_id;
    header.started_us = context.clock.wall_us();
    json detail = {{"path", to_display_utf8(listing.path())}};
    if (listing.is_image()) {
        TRY_ASSIGN(header.image_digest, digest_of(*listing.image().source, context.cancel));
        header.image_size = static_cast<int64_t>(listing.image().source->size_bytes());
        detail["format"] = listing.image().source->format();
        if (listing.image().map) detail["map_digest"] = listing.image().map->digest();
    }
    header.detail = detail.dump();
    TRY_ASSIGN(const std::unique_ptr<EnumerationWriter> writer, EnumerationWriter::create(context.env, file, header));
    for (const Finding& finding : listing.findings()) writer->add(finding);
    for (const Volume& volume : listing.volumes()) {
        TRY(writer->begin_volume(volume));
        Listing::End end{volume.outcome, "{}"};
        if (volume.readable) {
            TRY_ASSIGN(end, listing.list(volume, *writer));
        }
        TRY(writer->end_volume(end.outcome, end.detail));
    }
    TRY(writer->finish());
    return writer->counts();
}

Result<EntryCounts> write_raw_records(const IngestContext& context, Listing& listing, const Fd& file) {
    const Volume* only = nullptr;
    for (const Volume& volume : listing.volumes()) {
        if (!volume.readable) continue;
        if (only != nullptr)
            return make_error(ErrorCode::unsupported, "raw records have no place for a volume's number, and there are several volumes", "--format ntt keeps them apart");
        only = &volume;
    }
    if (only == nullptr) return make_error(ErrorCode::unsupported, "there is no filesystem that can be listed");
    RawEnumerationWriter writer(context.env, file, RawOptions{listing.is_image() ? "" : listing.path(), listing.device()});
    TRY(listing.list(*only, writer));
    TRY(writer.finish());
    EntryCounts counts;
    counts.names = writer.records();
    return counts;
}

// One file on its way into the catalog.
class Load {
public:
    Load(const IngestContext& context, const LoadRequest& request, const IngestOptions& options) : context_(context), request_(request), options_(options) {
        report_.source = request.file;
    }

    // --- stages, in order ---
    Result<void> open();
    Result<void> check_image();
    Result<void> load();
    Result<IngestReport> conclude() {
        TRY(conclude_medium(context_.catalog, context_.clock, *medium_, IngestGoal::enumerate, report_));
        return report_;
    }

private:
    struct Part {
        Volume volume;
        std::unique_ptr<FsReader> reader;
        std::optional<Outcome> outcome;  // of a listing that ended early
    };
    Result<int64_t> medium_and_image(const std::string& now);
    ReaderOptions with_damage(const DamageMap& damage) const;
    Result<void> find_mounted_volume(const DamageMap& damage);
    std::string source_path() const;

    const IngestContext& context_;
    const LoadRequest& request_;
    const IngestOptions& options_;
    IngestReport report_;
    std::unique_ptr<Enumeration> own_;  // null: raw records
    std::vector<Part> parts_;
    std::optional<OpenedImage> image_;
    std::optional<BlobId> digest_;
    std::unique_ptr<CatalogLock> lock_;
    std::optional<MediumRow> medium_;
    bool known_ = false;
};

Result<void> Load::open() {
    TRY_ASSIGN(Fd file, context_.env.open_read(request_.file));
    TRY_ASSIGN(const EnumerationFormat format, enumeration_format(context_.env, file, request_.file));
    if (format == EnumerationFormat::ntt) {
        TRY_ASSIGN(own_, open_enumeration(context_.env, std::move(file), request_.file, context_.cancel));
        TRY(check_medium(own_->header(), request_.medium_hash, request_.file));
        for (size_t i = 0; i < own_->volumes().size(); ++i) {
            const ListedVolume& listed = own_->volumes()[i];
            parts_.push_back({listed.volume, own_->open_volume(i), listed.outcome});
        }
        return {};
    }
    Part part;
    TRY_ASSIGN(part.reader, open_raw_enumeration(context_.env, std::move(file), request_.file, request_.root, context_.cancel));
    part.volume.number = kFolderVolume;
    part.volume.view = part.volume.fs_type = "ntt-raw";
    part.volume.role = Role::filesystem;
    part.volume.readable = true;
    part.volume.outcome = Outcome::read;
    parts_.push_back(std::move(part));
    return {};
}

Result<void> Load::check_image() {
    TRY_ASSIGN(lock_, context_.catalog.lock("medium-" + request_.medium_hash));
    if (!request_.image) return {};
    TRY_ASSIGN(image_, open_medium_image(context_.env, *request_.image, options_.map_path, options_.reader.program.get()));
    TRY_ASSIGN(digest_, digest_of(*image_->source, context_.cancel));
    if (own_ && own_->header().image_digest && *own_->header().image_digest != *digest_)
        return make_error(ErrorCode::source_changed, fmt::format("{} lists another image than {}: its digest is {}, and that of the image {}", request_.file, *request_.image,
                                                                 own_->header().image_digest->hex(), digest_->hex()));
    return {};
}

std::string Load::source_path() const {
    if (image_) return image_->path;
    if (own_) return text_in(parse_detail(own_->header().detail), "path").value_or("");
    return request_.root;
}

Result<int64_t> Load::medium_and_image(const std::string& now) {
    TRY_ASSIGN(medium_, context_.catalog.medium(request_.medium_hash));
    known_ = medium_.has_value();
    if (known_) {
        TRY_ASSIGN(const std::vector<ImageRow> images, context_.catalog.images(request_.medium_hash));
        const bool same = !images.empty() && (!digest_ || images.back().digest == digest_->hex());
        if (!same)
            return make_error(ErrorCode::source_changed, fmt::format("the medium {} is known by another image, {}", request_.medium_hash, medium_->image_path),
                              "nothing was touched; a load never replaces what is there");
        return images.back().image_id;
    }
    const bool is_image = image_ || (own_ && own_->header().kind == EnumeratedKind::image);
    MediumRow medium;
    medium.medium_hash = request_.medium_hash;
    medium.hash_method = "given";
    medium.kind = is_image ? "image" : "directory";
    medium.image_path = source_path();
    medium.medium_human = own_ && !own_->header().medium_human.empty() ? own_->header().medium_human : std::filesystem::path(request_.file).filename().string();
    if (options_.name) medium.medium_human = *options_.name;
    if (image_) medium.map_path = image_->map_path;
    const uint64_t declared = own_ && own_->header().image_size ? static_cast<uint64_t>(*own_->header().image_size) : 0;
    medium.size_bytes = image_ ? image_->source->size_bytes() : declared;
    if (image_) {
        const Health health = health_of_image(medium.size_bytes, image_->map ? &*image_->map : nullptr, 0);
        medium.health = health.word;
        medium.rescued_bytes = health.rescued_bytes;
    }
    medium.added_at = now;
    TRY(context_.catalog.add_medium(medium));
    ImageRow image;
    image.medium_hash = medium.medium_hash;
    image.path = medium.image_path;
    image.format = image_ ? std::string(image_->source->format()) : is_image ? text_in(parse_detail(own_->header().detail), "format").value_or("raw") : "directory";
    image.size_bytes = medium.size_bytes;
    image.digest = digest_ ? digest_->hex() : own_ && own_->header().image_digest ? own_->header().image_digest->hex() : std::string(64, '0');
    if (image_ && image_->map) {
        image.map_path = image_->map_path;
        image.map_digest = image_->map->digest();
    }
    image.rescued_bytes = medium.rescued_bytes;
    image.added_at = now;
    medium_ = std::move(medium);
    return context_.catalog.add_image(image);
}

ReaderOptions Load::with_damage(const DamageMap& damage) const {
    ReaderOptions out = options_.reader;
    out.unread = damage.unread();
    return out;
}

// What was listed is what a driver showed of this image: its only filesystem, whose files are reached by their names.
Result<void> Load::find_mounted_volume(const DamageMap& damage) {
    Findings ignored;
    TRY_ASSIGN(const Detection detection, detect_apart(*image_->source, with_damage(damage), ignored, context_.cancel));
    const Volume* only = nullptr;
    for (const Volume& volume : detection.volumes) {
        if (volume.role != Role::filesystem || (only != nullptr && only->offset_bytes == volume.offset_bytes)) continue;
        if (only != nullptr)
            return make_error(ErrorCode::unsupported, fmt::format("{} has several filesystems, and the listing does not say of which it is", image_->path), "ntt enum of the image keeps them apart");
        only = &volume;
    }
    if (only == nullptr) return make_error(ErrorCode::unsupported, fmt::format("{} has no filesystem", image_->path));
    Volume mounted = *only;
    nlohmann::json detail = parse_detail(mounted.detail);
    detail["engine"] = "mount";
    mounted.detail = detail.dump();
    mounted.readable = true;
    mounted.outcome = Outcome::read;
    parts_.front().volume = std::move(mounted);
    return {};
}

Result<void> Load::load() {
    const std::string now = iso8601_utc(context_.clock.wall_us());
    TRY_ASSIGN(const std::unique_ptr<CatalogTransaction> transaction, context_.catalog.begin());
    TRY_ASSIGN(const int64_t image_id, medium_and_image(now));
    TRY_ASSIGN(const MediumKey key, context_.catalog.medium_key(request_.medium_hash));
    if (own_ && !known_) {
        Findings of_medium;
        TRY(own_->medium_findings(of_medium, context_.cancel));
        for (const Finding& finding : of_medium.list) TRY(context_.catalog.add_finding(key, finding, now));
    }
    EnumerationTarget target{context_.catalog, key, request_.medium_hash, image_id, options_.copy.worker_id, now};
    target.again = known_;
    target.replaces = false;
    target.lives = !own_ || own_->header().kind == EnumeratedKind::directory;
    const std::optional<uint64_t> image_bytes = image_ ? std::optional(image_->source->size_bytes()) : std::nullopt;
    const DamageMap damage = image_ ? DamageMap(*image_bytes, image_->map ? &*image_->map : nullptr, image_->source->damaged_ranges()) : DamageMap(0, nullptr, {});
    EnumerationCounts counts;
    const bool of_a_tree = image_ && (!own_ || own_->header().kind == EnumeratedKind::directory);
    if (of_a_tree) TRY(find_mounted_volume(damage));
    for (Part& part : parts_) {
        if (!known_) TRY(context_.catalog.put_volume(row_of(request_.medium_hash, image_id, part.volume)));
        if (!part.volume.readable) continue;
        ImageGeometry geometry;
        std::optional<Cause> unread;
        if (of_a_tree) {
            TRY_ASSIGN(geometry, ImageGeometry::of(*image_->source, part.volume, with_damage(damage), context_.cancel));
            if (const std::vector<MissingRange> missing = damage.missing_in(part.volume.range()); !missing.empty()) unread = missing.front().cause;
        }
        PlacedReader placed(*part.reader, geometry, part.volume, Numbers::kept, unread);
        FsReader& reader = of_a_tree ? static_cast<FsReader&>(placed) : *part.reader;
        TRY_ASSIGN(EnumeratedVolume listed, enumerate_with(reader, target, part.volume, damage, image_bytes, options_.exclude, context_.cancel));
        if (part.outcome && *part.outcome != Outcome::read) listed.volume.outcome = *part.outcome;
        if (!known_) TRY(context_.catalog.put_volume(row_of(request_.medium_hash, image_id, listed.volume)));
        counts.add(std::move(listed.counts));
    }
    TRY(context_.catalog.mark_excluded(key));
    medium_->problems = problems_of(medium_->problems, counts, Assessment(), now);
    if (!medium_->enum_done) medium_->enum_done = iso8601_utc(context_.clock.wall_us());
    if (counts.new_inodes > 0) medium_->copy_done.reset();
    TRY(context_.catalog.update_medium(*medium_));
    TRY(transaction->commit());
    report_.medium_hash = request_.medium_hash;
    report_.medium_human = medium_->medium_human;
    return {};
}

}  // namespace

Result<EntryCounts> enumerate_to_file(const IngestContext& context, const EnumerateRequest& request, const IngestOptions& options) {
    TRY_ASSIGN(NewFile file, NewFile::make(context.env, request.out_file));
    Listing listing(context, options);
    Result<void> opened = listing.open(request.source);
    Result<EntryCounts> written = !opened.ok() ? Result<EntryCounts>(opened.error())
                                  : request.format == EnumerationAs::ntt ? write_own_format(context, request, options, listing, file.fd())
                                                                         : write_raw_records(context, listing, file.fd());
    if (!written.ok()) {
        file.remove();
        return written;
    }
    TRY(file.publish());
    return written;
}

Result<IngestReport> load_enumeration(const IngestContext& context, const LoadRequest& request, const IngestOptions& options) {
    Load load(context, request, options);
    TRY(load.open());
    TRY(load.check_image());
    TRY(load.load());
    return load.conclude();
}

}  // namespace ntt

#include "ingest/assess.h"

#include <algorithm>

#include <fmt/format.h>
#include <nlohmann/json.hpp>

#include "fs/repair/repair.h"
#include "image/isolated_archive.h"
#include "volume/detail.h"
#include "volume/recognise.h"

namespace ntt {
namespace {

using nlohmann::json;

constexpr uint64_t kSuperblockBytes = 128 << 10;  // every filesystem says what it is within these
constexpr uint64_t kSectorBytes = 512;

json json_of(const Fill& fill) {
    json out = {{"fill", fill.pattern.word()}, {fill.pattern.byte() ? "fill_byte" : "fill_pattern", fill.pattern.text()}, {"fill_share", fill.share()}};
    if (fill.unread_bytes != 0) out["unread_bytes"] = fill.unread_bytes;
    return out;
}

json json_of(const std::vector<ByteRange>& ranges) {
    json out = json::array();
    for (const ByteRange& range : ranges) out.push_back({{"offset", range.offset}, {"length", range.length}});
    return out;
}

void add_to_detail(Volume& volume, const json& facts) {
    json detail = parse_detail(volume.detail);
    detail.update(facts);
    volume.detail = detail.dump(-1, ' ', false, json::error_handler_t::replace);
}

// Whether files may be there that are read, or would be by someone who can. Where a parser was lost nobody knows.
bool is_filesystem(const Volume& volume) {
    const bool parser_lost = volume.outcome == Outcome::parser_crash || volume.outcome == Outcome::parser_timeout ||
                             volume.outcome == Outcome::budget || volume.outcome == Outcome::failed;
    return parser_lost || volume.readable || volume.role == Role::filesystem || volume.role == Role::encrypted || volume.role == Role::swap;
}

// One image under assessment.
class Assessor {
public:
    explicit Assessor(const AssessmentContext& context) : context_(context), whole_{0, context.source.size_bytes()} {}

    Result<void> look_at_medium(const std::vector<Volume>& volumes) {
        if (std::any_of(volumes.begin(), volumes.end(), is_filesystem)) return {};
        // A boot sector alone can be what is missing of an almost empty filesystem.
        TRY_ASSIGN(const std::optional<BootSectorLoss> loss, lost_boot_sector(context_.source, whole_));
        if (loss) return {};
        TRY_ASSIGN(out.fill, fill_of(whole_));
        if (!out.fill) return {};
        const Fill& fill = *out.fill;
        json evidence = json_of(fill);
        evidence["length"] = fill.length;
        evidence["others"] = json_of(fill.others);
        evidence["other_ranges"] = fill.other_ranges;
        const std::string which = fill.whole() ? fmt::format("every byte is {}", fill.pattern.text())
                                               : fmt::format("all is {} but {} bytes of {}", fill.pattern.text(), fill.other_bytes(), fill.length);
        const std::string unread = fill.unread_bytes == 0 ? "" : fmt::format("; {} bytes were not read", fill.unread_bytes);
        report("erased_disk", fmt::format("the medium is {}: {}{}", fill.pattern.word(), which, unread), evidence, 0);
        return {};
    }

    // A filesystem in the middle of the medium, and nothing that points to it: where a table would stand may not have been read.
    void look_at_table(const std::vector<Volume>& volumes) {
        const bool in_table = std::any_of(volumes.begin(), volumes.end(), [](const Volume& v) { return parse_detail(v.detail).contains("slot"); });
        if (in_table || volumes.empty() || volumes.front().offset_bytes == 0 || volumes.front().view.empty()) return;
        const std::vector<MissingRange> missing = context_.damage.missing_in(intersect({0, kSectorBytes}, whole_));
        if (missing.empty()) return;
        report("partition_table_damaged", "the sector of the partition table was not read: partitions may be missing",
               {{"sector", 0}, {"cause", to_string(missing.front().cause)}}, 0);
    }

    Result<void> look_at(Volume& volume, const std::vector<Volume>& volumes) {
        const json detail = parse_detail(volume.detail);
        if (detail.contains("found_by") || detail.contains("found_inside")) return {};  // its finding says all that is known
        if (volume.readable) {
            if (replaces_boot_sector(volume.detail)) TRY(look_for_boot_sector(volume, intersect(volume.range(), whole_)));
            return look_behind(volume, volumes);
        }
        if (volume.role == Role::extended || is_filesystem(volume)) return {};
        const ByteRange place = intersect(volume.range(), whole_);
        std::optional<Fill> fill = out.fill;
        if (!fill || place != whole_) {
            TRY_ASSIGN(fill, fill_of(place));
        }
        if (fill) add_to_detail(volume, json_of(*fill));
        if (volume.role != Role::unknown || !volume.view.empty() || volume.outcome != Outcome::no_filesystem) return {};

        const std::vector<MissingRange> missing = context_.damage.missing_in({place.offset, std::min(place.length, kSuperblockBytes)});
        if (fill && fill->whole() && (missing.empty() || out.fill)) return {};  // empty, as the whole medium where a superblock was not read
        add_to_detail(volume, {{"not_empty", true}});
        if (!out.fill || place != whole_) report_unrecognised(volume, place, missing);
        return look_for_boot_sector(volume, place);
    }

    Assessment out;

private:
    Result<std::optional<Fill>> fill_of(ByteRange place) const {
        std::vector<ByteRange> unread;
        for (const MissingRange& missing : context_.damage.missing_in(place))
            if (missing.image_offset) unread.push_back({*missing.image_offset, missing.length});
        return ntt::fill_of(context_.source, place, unread, context_.cancel);
    }

    // Something is lost here, or it is nothing that we know.
    void report_unrecognised(const Volume& volume, ByteRange place, const std::vector<MissingRange>& missing) {
        json evidence = {{"offset", place.offset}, {"length", place.length}};
        if (!missing.empty())
            evidence["missing"] = {{"image_offset", *missing.front().image_offset}, {"length", missing.front().length}, {"cause", to_string(missing.front().cause)}};
        report("filesystem_unrecognised",
               missing.empty() ? "there are bytes here, but no filesystem that is known"
                               : "no filesystem is seen here, but the sectors where it would say what it is were not read",
               evidence, volume.number);
    }

    Result<void> look_for_boot_sector(Volume& volume, ByteRange place) {
        const std::vector<MissingRange> first = context_.damage.missing_in({place.offset, std::min(place.length, kSectorBytes)});
        TRY_ASSIGN(const std::optional<BootSectorLoss> loss, lost_boot_sector(context_.source, place));
        const bool repaired = replaces_boot_sector(volume.detail);
        if (!loss && first.empty() && !repaired) return {};
        json evidence = loss ? json::parse(loss->evidence) : json{{"offset", place.offset}};
        evidence["state"] = !first.empty() ? std::string_view("unread") : loss ? loss->state : std::string_view("garbage");
        if (!first.empty()) evidence["cause"] = to_string(first.front().cause);
        if (loss) evidence["filesystem"] = loss->filesystem;
        add_to_detail(volume, {{"lost_boot_sector", evidence}});
        if (!out.boot_sector_lost) out.boot_sector_lost = evidence.dump();
        report("boot_sector_corruption",
               repaired ? fmt::format("the boot sector is lost ({}); the volume is read with another one in its place", evidence["state"].get<std::string>())
               : loss ? fmt::format("the boot sector is lost ({}), but what stands behind it is a {} filesystem's", evidence["state"].get<std::string>(), loss->filesystem)
                    : "the first sector was not read, and without it no filesystem is recognised",
               evidence, volume.number);
        return {};
    }

    // A filesystem over the whole image that ends before the image does, and before any other.
    Result<void> look_behind(Volume& volume, const std::vector<Volume>& volumes) {
        const json detail = parse_detail(volume.detail);
        const auto declared = number_in(detail, "declared_bytes");
        if (text_in(detail, "table") != "none" || !declared) return {};
        if (detail.contains("raid_member") || detail.contains("logical_volume")) return {};      // the rest is the container's
        const json views = detail.value("views", json());
        if (views.is_array() && !views.empty() && views.front() != volume.view) return {};  // said of the disc's first view
        const auto end = checked_add(volume.offset_bytes, *declared);
        // NTFS keeps a copy of its boot sector behind its last sector.
        const uint64_t allowed = volume.fs_type == "ntfs" ? 4096 : 0;
        if (!end || *end >= whole_.length || whole_.length - *end <= allowed) return {};
        if (std::any_of(volumes.begin(), volumes.end(), [&](const Volume& other) { return other.offset_bytes >= *end; })) return {};
        const ByteRange behind{*end, whole_.length - *end};
        TRY_ASSIGN(const std::optional<Fill> fill, fill_of(behind));
        json facts = {{"behind_bytes", behind.length}};
        json evidence = {{"filesystem_end", *end}, {"image_bytes", whole_.length}, {"behind_bytes", behind.length}};
        const bool nothing_there = fill && fill->whole() && fill->unread_bytes == 0;
        if (fill) evidence.update(json_of(*fill));
        add_to_detail(volume, facts);
        report("image_larger_than_filesystem",
               fmt::format("the image has {} bytes behind the end of its filesystem{}", behind.length,
                           nothing_there ? fmt::format(", all of them {}", fill->pattern.text()) : ": something may stand there that nobody looked at"),
               evidence, volume.number);
        return {};
    }

    void report(std::string code, std::string message, const json& evidence, int volume) {
        context_.findings.add({std::move(code), std::move(message), evidence.dump(-1, ' ', false, json::error_handler_t::replace), volume, std::nullopt});
    }

    const AssessmentContext& context_;
    const ByteRange whole_;
};

}  // namespace

Result<Assessment> assess_volumes(const AssessmentContext& context, std::vector<Volume>& volumes) {
    Assessor assessor(context);
    TRY(assessor.look_at_medium(volumes));
    assessor.look_at_table(volumes);
    for (Volume& volume : volumes) TRY(assessor.look_at(volume, volumes));
    return std::move(assessor.out);
}

Result<AssessedArchive> assess_archive(const AssessmentContext& context) {
    AssessedArchive out;
    TRY_ASSIGN(out.assessment.archive, look_into_archive_apart(context.source, context.program, context.clock, context.cancel));
    ArchiveContents& inside = *out.assessment.archive;
    if (!inside.head.empty()) {  // not looked into by a process of its own
        TRY_ASSIGN(inside.image, recognised_in(std::move(inside.head)));
    }
    out.volume.number = 1;
    out.volume.size_bytes = context.source.size_bytes();
    out.volume.detail = json{{"table", "none"}, {"archive", inside.type}}.dump();
    json first = json::array();
    for (const std::string& name : inside.first) first.push_back(to_terminal_text(name));
    Finding finding;
    finding.code = "archive_not_disk";
    finding.message = fmt::format("this is an archive, not the sectors of a disk: {}; unpack it, then give {}", inside.text(), inside.single ? "what comes out of it" : "the images or the folder that come out of it");
    finding.evidence = json{{"file_type", inside.type}, {"entries", inside.entries}, {"bytes", inside.bytes}, {"first", first}, {"image", inside.image}, {"complete", inside.complete}, {"stopped", inside.stopped}}
                           .dump(-1, ' ', false, json::error_handler_t::replace);
    context.findings.add(std::move(finding));
    return out;
}

}  // namespace ntt

#include "fs/repair/repair.h"

#include <algorithm>

#include <fmt/format.h>

#include "base/check.h"
#include "base/hash.h"

namespace ntt {

using nlohmann::json;

namespace {

Result<json> record_of(const Patch& patch, size_t shown_bytes, const ByteSource& image) {
    json out = {{"offset", patch.place.offset}, {"length", patch.place.length}};
    if (patch.copied_from) out["copied_from"] = *patch.copied_from;
    else out["bytes"] = to_hex(patch.bytes);
    NTT_CHECK(patch.place.length <= kMaxPatchBytes, "a patch that is too large to record");
    std::vector<uint8_t> replaced(patch.place.length);
    TRY(image.read(patch.place.offset, replaced));
    out["replaced"] = to_hex(ByteView(replaced).first(std::min(replaced.size(), shown_bytes)));
    out["replaced_blake3"] = blake3_of(replaced).hex();
    return out;
}

Error no_record(std::string_view what) {
    return make_error(ErrorCode::malformed, fmt::format("the volume's record of repairs cannot be used: {}", what));
}

// A field that must be an unsigned number.
std::optional<uint64_t> number_in(const json& object, const char* field) {
    const auto found = object.find(field);
    if (found == object.end() || !found->is_number_unsigned()) return std::nullopt;
    return found->get<uint64_t>();
}

std::optional<Patch> patch_of(const json& record) {
    if (!record.is_object()) return std::nullopt;
    const auto offset = number_in(record, "offset"), length = number_in(record, "length");
    if (!offset || !length || *length > kMaxPatchBytes) return std::nullopt;
    Patch patch;
    patch.place = {*offset, *length};
    patch.copied_from = number_in(record, "copied_from");
    if (patch.copied_from) return patch;
    const auto bytes = record.find("bytes");
    if (bytes == record.end() || !bytes->is_string()) return std::nullopt;
    const std::optional<std::string> given = from_hex(bytes->get_ref<const std::string&>());
    if (!given) return std::nullopt;
    patch.bytes.assign(given->begin(), given->end());
    return patch;
}

json repairs_in(const std::string& detail) {
    const json parsed = json::parse(detail, nullptr, false);
    return parsed.is_object() && parsed.contains("repairs") ? parsed["repairs"] : json();
}

}  // namespace

Result<json> record_of(const std::vector<Repair>& repairs, const ByteSource& image) {
    json out = json::array();
    size_t recorded = 0;
    for (const Repair& repair : repairs) {
        json patches = json::array();
        for (const Patch& patch : repair.patches) {
            TRY_ASSIGN(json one, record_of(patch, recorded++ < kMaxPatchesShown ? kMaxReplacedShown : 0, image));
            patches.push_back(std::move(one));
        }
        out.push_back({{"repair", repair.name}, {"from", repair.from}, {"patches", std::move(patches)}, {"evidence", repair.evidence}});
    }
    return out;
}

Result<std::vector<Patch>> recorded_patches(const std::string& detail) {
    std::vector<Patch> out;
    const json repairs = repairs_in(detail);
    if (repairs.is_null()) return out;
    if (!repairs.is_array()) return no_record("it is no list");
    size_t given = 0;
    for (const json& repair : repairs) {
        if (!repair.is_object() || !repair.contains("patches") || !repair["patches"].is_array()) return no_record("a repair has no patches");
        for (const json& record : repair["patches"]) {
            std::optional<Patch> patch = patch_of(record);
            if (!patch) return no_record("a patch is incomplete");
            given += patch->bytes.size();
            out.push_back(*std::move(patch));
            if (out.size() > kMaxPatches || given > kMaxGivenBytes) return no_record("it is too large");
        }
    }
    return out;
}

bool replaces_boot_sector(const std::string& detail) {
    const json repairs = repairs_in(detail);
    return std::any_of(repairs.begin(), repairs.end(), [](const json& repair) {
        const json name = repair.is_object() ? repair.value("repair", json()) : json();
        return name == repairs::kFatBackup || name == repairs::kFatRebuilt || name == repairs::kExfatBackup || name == repairs::kNtfsBackup;
    });
}

std::shared_ptr<const std::vector<UnreadRange>> without(const std::shared_ptr<const std::vector<UnreadRange>>& unread,
                                                        const std::vector<Patch>& patches) {
    if (!unread || patches.empty()) return unread;
    std::vector<ByteRange> covered;
    for (const Patch& patch : patches) covered.push_back(patch.place);
    std::sort(covered.begin(), covered.end());
    auto out = std::make_shared<std::vector<UnreadRange>>();
    for (const UnreadRange& lost : *unread) {
        uint64_t at = lost.range.offset;
        for (const ByteRange& cover : covered) {
            if (cover.end() <= at || cover.offset >= lost.range.end()) continue;
            if (cover.offset > at) out->push_back({{at, cover.offset - at}, lost.cause});
            at = std::min(cover.end(), lost.range.end());
        }
        if (at < lost.range.end()) out->push_back({{at, lost.range.end() - at}, lost.cause});
    }
    return out;
}

}  // namespace ntt

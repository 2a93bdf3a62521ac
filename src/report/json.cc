#include "report/json.h"

#include <algorithm>

#include "base/bytes.h"

namespace ntt {
namespace {

template <typename T>
Json or_null(const std::optional<T>& value) {
    return value ? Json(*value) : Json(nullptr);
}

Json or_null(const std::optional<Cause>& cause) { return cause ? Json(to_string(*cause)) : Json(nullptr); }
Json or_null(const std::optional<BlobId>& id) { return id ? Json(id->hex()) : Json(nullptr); }

Json display(std::string_view bytes) { return to_display_utf8(bytes); }

// What a row does not have is null.
Json or_null(const std::string& text) { return text.empty() ? Json(nullptr) : display(text); }

}  // namespace

std::string to_line(const Json& object) { return object.dump(-1, ' ', false, Json::error_handler_t::replace) + "\n"; }
std::string to_pretty(const Json& object) { return object.dump(2, ' ', false, Json::error_handler_t::replace); }

Json embedded(std::string_view json_text) {
    Json value = Json::parse(json_text, nullptr, false);
    return value.is_discarded() ? display(json_text) : value;
}

Json embedded(const std::optional<std::string>& json_text) {
    return json_text ? embedded(std::string_view(*json_text)) : Json(nullptr);
}

Json text_or_null(const std::optional<std::string>& bytes) { return bytes ? display(*bytes) : Json(nullptr); }

void put_path(Json& object, const std::string& path) {
    object["path"] = display(path);
    object["path_hex"] = is_utf8(path) ? Json(nullptr) : Json(to_hex(as_bytes(path)));
}

Json json_of(const MediumRow& row) {
    return {{"type", "medium"},
            {"medium_hash", row.medium_hash},
            {"medium_human", display(row.medium_human)},
            {"kind", row.kind},
            {"image_path", display(row.image_path)},
            {"map_path", text_or_null(row.map_path)},
            {"size_bytes", row.size_bytes},
            {"hash_method", row.hash_method},
            {"health", row.health},
            {"rescued_bytes", or_null(row.rescued_bytes)},
            {"message", text_or_null(row.message)},
            {"added_at", row.added_at},
            {"enum_done", or_null(row.enum_done)},
            {"copy_done", or_null(row.copy_done)},
            {"problems", embedded(row.problems)},
            {"diagnostics", embedded(row.diagnostics)}};
}

Json json_of(const VolumeRow& row) {
    return {{"volume", row.volume},
            {"offset_bytes", row.offset_bytes},
            {"size_bytes", row.size_bytes},
            {"view", or_null(row.view)},
            {"role", row.role},
            {"fs_type", or_null(row.fs_type)},
            {"label", or_null(row.label)},
            {"uuid", or_null(row.uuid)},
            {"outcome", row.outcome},
            {"detail", embedded(std::string_view(row.detail))}};
}

Json json_of(const Totals& totals) {
    return {{"paths", totals.paths},     {"inodes", totals.inodes},         {"stored", totals.stored},
            {"damaged", totals.damaged}, {"unreadable", totals.unreadable}, {"excluded", totals.excluded},
            {"nonfile", totals.nonfile}, {"pending", totals.pending}};
}

Json json_of(const FindingRow& row) {
    return {{"volume", row.finding.volume},
            {"ino", or_null(row.finding.ino)},
            {"code", row.finding.code},
            {"message", display(row.finding.message)},
            {"evidence", embedded(std::string_view(row.finding.evidence))},
            {"at", row.at}};
}

Json json_of(const EventRow& row) {
    return {{"type", "event"},
            {"id", row.id},
            {"medium_hash", row.medium_hash},
            {"volume", row.volume},
            {"ino", or_null(row.ino)},
            {"retry_count", row.retry_count},
            {"checks", embedded(std::string_view(row.checks))},
            {"action", row.action},
            {"cause", or_null(row.cause)},
            {"evidence", embedded(std::string_view(row.evidence))},
            {"exception_type", text_or_null(row.exception_type)},
            {"exception_msg", text_or_null(row.exception_msg)},
            {"worker_id", display(row.worker_id)},
            {"timestamp", row.timestamp}};
}

Json json_of(const FileRow& row) {
    const InodeRow& inode = row.inode;
    Json out = {{"type", "file"},
                {"medium_hash", row.medium_hash},
                {"volume", inode.volume},
                {"ino", inode.ino},
                {"stream", inode.stream.empty() ? Json(nullptr) : display(inode.stream)},
                {"kind", std::string(1, inode.fs_type)}};
    put_path(out, row.path.path);
    out["size"] = inode.size;
    out["mtime"] = or_null(inode.mtime);
    out["status"] = to_string(inode.counted_as());
    out["blobid"] = or_null(inode.blobid);
    out["partial_blobid"] = or_null(inode.partial_blobid);
    out["cause"] = or_null(inode.cause);
    out["missing_bytes"] = inode.missing_bytes;
    out["missing"] = json_of(joined(row.missing));
    return out;
}

Json json_of(const std::vector<MissingRow>& missing) {
    Json out = Json::array();
    for (const MissingRow& range : missing)
        out.push_back({{"offset", range.file_offset}, {"length", range.length}, {"cause", to_string(range.cause)}});
    return out;
}

Json json_of(const Error& error, const std::optional<std::string>& source) {
    return {{"type", "error"},
            {"source", text_or_null(source)},
            {"code", to_string(error.code)},
            {"message", display(error.text())},
            {"hint", error.hint.empty() ? Json(nullptr) : display(error.hint)}};
}

std::vector<MissingRow> joined(std::vector<MissingRow> missing) {
    std::sort(missing.begin(), missing.end(), [](const auto& a, const auto& b) { return a.file_offset < b.file_offset; });
    std::vector<MissingRow> out;
    for (const MissingRow& range : missing) {
        if (!out.empty() && out.back().cause == range.cause && out.back().file_offset + out.back().length >= range.file_offset) {
            const uint64_t end = std::max(out.back().file_offset + out.back().length, range.file_offset + range.length);
            out.back().length = end - out.back().file_offset;
        } else {
            out.push_back(range);
        }
    }
    return out;
}

}  // namespace ntt

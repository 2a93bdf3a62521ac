#include "ingest/identify.h"

#include <algorithm>
#include <filesystem>
#include <vector>

#include <fmt/format.h>

#include "base/hash.h"
#include "os/mount_table.h"

namespace ntt {
namespace {

constexpr size_t kDigestChunk = size_t{1} << 20;  // read and hashed while it is still in a core's cache

}  // namespace

Result<OpenedImage> open_medium_image(Env& env, const std::string& path, const std::optional<std::string>& map_path, const ReaderProgram* program) {
    OpenedImage out;
    std::error_code not_there;
    out.path = std::filesystem::weakly_canonical(path, not_there).string();
    if (not_there) out.path = path;
    TRY_ASSIGN(out.source, open_image(env, path, program));
    const ImagePart& first = out.source->parts().front();
    // Device and inode are numbers of this machine; a catalog may be shared with others.
    out.lock_name = fmt::format("image-{}-{}-{}", blake3_of(as_bytes(machine_id())).hex().substr(0, 12), first.device, first.inode);

    out.map_path = map_path;
    if (!out.map_path) {
        TRY_ASSIGN(out.map_path, find_map_beside(env, path));
    }
    if (out.map_path) {
        TRY_ASSIGN(out.map, RescueMap::load(env, *out.map_path));
        out.map_path = std::filesystem::weakly_canonical(*out.map_path, not_there).string();
    }
    return out;
}

Result<std::optional<NamedHash>> named_hash(const std::optional<std::string>& given, const std::string& path) {
    if (given) {
        if (!is_medium_hash(*given))
            return make_error(ErrorCode::invalid_argument, fmt::format("'{}' is no medium hash", to_terminal_text(*given)),
                              "a medium hash is 16 to 64 lowercase hexadecimal digits");
        return std::optional(NamedHash{*given, "given"});
    }
    const std::string stem = std::filesystem::path(path).stem().string();
    if (stem.size() >= 32 && is_medium_hash(stem)) return std::optional(NamedHash{stem, "file_name"});
    return std::optional<NamedHash>();
}

Result<BlobId> digest_of(const ByteSource& source, const CancelToken& cancel, std::atomic<uint64_t>* signs_of_life) {
    Blake3 hasher;
    std::vector<uint8_t> buffer(static_cast<size_t>(std::min<uint64_t>(kDigestChunk, source.size_bytes())));
    for (uint64_t at = 0; at < source.size_bytes();) {
        TRY(cancel.check());
        const ByteSpan piece = ByteSpan(buffer).first(static_cast<size_t>(std::min<uint64_t>(buffer.size(), source.size_bytes() - at)));
        TRY(source.read(at, piece));
        hasher.update(piece);
        if (signs_of_life != nullptr) ++*signs_of_life;
        at += piece.size();
    }
    return hasher.digest();
}

Result<std::string> fingerprint_of(Env& env, const ByteSource& source, const std::string& medium_hash) {
    const auto ns = [](const timespec& time) { return int64_t{time.tv_sec} * 1'000'000'000 + time.tv_nsec; };
    std::string text = fmt::format("{}\n{}\n{}\n{}\n", machine_id(), boot_id(), medium_hash, source.format());
    for (const ImagePart& part : source.parts()) {
        TRY_ASSIGN(const struct stat now, env.stat_path(part.path));
        if (now.st_dev != part.device || now.st_ino != part.inode)
            return make_error(ErrorCode::source_changed, fmt::format("{} is another file now", part.path), "run again when it is not written to any more");
        text += fmt::format("{} {} {} {} {}\n", now.st_dev, now.st_ino, now.st_size, ns(now.st_mtim), ns(now.st_ctim));
    }
    return blake3_of(as_bytes(text)).hex();
}

std::string medium_hash_of(const BlobId& digest) { return digest.hex().substr(0, 32); }

}  // namespace ntt

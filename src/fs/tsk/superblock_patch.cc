#include "fs/tsk/superblock_patch.h"

#include <algorithm>
#include <utility>

#include "volume/probe_window.h"

namespace ntt {

namespace {

class PatchedSource : public ByteSource {
public:
    PatchedSource(const ByteSource& source, uint64_t offset, std::string patch)
        : source_(source), range_{offset, patch.size()}, patch_(std::move(patch)) {}
    uint64_t size_bytes() const override { return source_.size_bytes(); }
    uint32_t sector_size() const override { return source_.sector_size(); }
    std::string_view format() const override { return source_.format(); }
    const std::vector<ImagePart>& parts() const override { return source_.parts(); }
    Result<void> read(uint64_t offset, ByteSpan out) const override {
        TRY(source_.read(offset, out));
        const ByteRange here = intersect(range_, {offset, out.size()});
        for (uint64_t at = here.offset; at < here.end(); ++at)
            out[at - offset] = static_cast<uint8_t>(patch_[at - range_.offset]);
        return {};
    }

private:
    const ByteSource& source_;
    ByteRange range_;
    std::string patch_;
};

}  // namespace

Result<std::unique_ptr<ByteSource>> with_readable_superblock(const ByteSource& source, const Volume& volume) {
    const ProbeWindow window(source, volume.range());
    if (window.failure()) return *window.failure();
    const ProbeBytes& head = window.head();
    if (volume.fs_type == "ext" && head.le32(1024 + 0x4C) == 0) {
        std::string fields(20, '\0');  // s_first_ino, s_inode_size, s_block_group_nr, three words of features
        fields[0] = 11;
        fields[4] = static_cast<char>(128);
        return std::unique_ptr<ByteSource>(
            std::make_unique<PatchedSource>(source, volume.offset_bytes + 1024 + 0x54, std::move(fields)));
    }
    if (volume.fs_type == "ufs") {
        constexpr uint64_t kMagicAt = 1372, kSuperblock = 8192, kLookedFor = 65536;
        constexpr uint32_t kUfs2 = 0x19540119;
        const auto is_ufs2 = [&](uint64_t at) { return head.le32(at + kMagicAt) == kUfs2 || head.be32(at + kMagicAt) == kUfs2; };
        if (is_ufs2(kSuperblock) && !is_ufs2(kLookedFor))
            return std::unique_ptr<ByteSource>(std::make_unique<PatchedSource>(source, volume.offset_bytes + kLookedFor,
                                                                               std::string(head.text(kSuperblock, 2048))));
    }
    return std::unique_ptr<ByteSource>();
}

}  // namespace ntt

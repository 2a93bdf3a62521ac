#include "fs/tsk/ext_revision0.h"

#include <algorithm>
#include <array>

namespace ntt {

namespace {

constexpr uint64_t kSuperblock = 1024, kRevisionAt = 0x4C, kNewFieldsAt = 0x54;
// s_first_ino, s_inode_size, s_block_group_nr, three words of features
constexpr std::array<uint8_t, 20> kDefaults = {11, 0, 0, 0, 128, 0};

class Revision0Source : public ByteSource {
public:
    Revision0Source(const ByteSource& source, uint64_t volume_offset)
        : source_(source), fields_{volume_offset + kSuperblock + kNewFieldsAt, kDefaults.size()} {}
    uint64_t size_bytes() const override { return source_.size_bytes(); }
    uint32_t sector_size() const override { return source_.sector_size(); }
    std::string_view format() const override { return source_.format(); }
    const std::vector<ImagePart>& parts() const override { return source_.parts(); }
    Result<void> read(uint64_t offset, ByteSpan out) const override {
        TRY(source_.read(offset, out));
        const ByteRange here = intersect(fields_, {offset, out.size()});
        for (uint64_t at = here.offset; at < here.end(); ++at) out[at - offset] = kDefaults[at - fields_.offset];
        return {};
    }

private:
    const ByteSource& source_;
    ByteRange fields_;
};

}  // namespace

Result<bool> is_ext_revision0(const ByteSource& source, uint64_t volume_offset) {
    std::array<uint8_t, 4> revision{};
    const auto at = checked_add(volume_offset, kSuperblock + kRevisionAt);
    if (!at || *at > source.size_bytes() || source.size_bytes() - *at < revision.size()) return false;
    TRY(source.read(*at, revision));
    return std::all_of(revision.begin(), revision.end(), [](uint8_t byte) { return byte == 0; });
}

std::unique_ptr<ByteSource> with_revision0_defaults(const ByteSource& source, uint64_t volume_offset) {
    return std::make_unique<Revision0Source>(source, volume_offset);
}

}  // namespace ntt

#include "copy/content.h"

#include <algorithm>

#include <fmt/format.h>

#include "fs/isolated/reader_client.h"

namespace ntt {
namespace {

struct NoFindings final : FindingSink {
    void add(Finding) override {}  // the listing has recorded them already
};

}  // namespace

Result<size_t> VolumeReaders::read(const WorkItem& item, uint64_t offset, ByteSpan out) {
    Slot* slot = nullptr;
    {
        const std::lock_guard lock(mutex_);
        slot = &slots_[item.volume];
    }
    const std::lock_guard lock(slot->mutex);
    if (!slot->reader) {
        const auto volume = std::find_if(volumes_.begin(), volumes_.end(), [&](const Volume& v) { return v.number == item.volume; });
        if (volume == volumes_.end())
            return make_error(ErrorCode::catalog_damaged, fmt::format("volume {} of the catalog is not in the image", item.volume));
        NoFindings ignored;
        TRY_ASSIGN(slot->reader, open_apart(source_, *volume, options_, ignored));
    }
    return slot->reader->read_content(item.fs_ino, item.stream, offset, out);
}

}  // namespace ntt

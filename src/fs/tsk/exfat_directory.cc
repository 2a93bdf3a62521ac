#include "fs/tsk/exfat_directory.h"

#include <algorithm>
#include <array>
#include <set>

namespace ntt {

namespace {

constexpr uint64_t kSector = 512;
constexpr uint8_t kInUse = 0x80, kSecondary = 0x40, kBenign = 0x20;
constexpr uint8_t kBitmap = 0x81, kUpcase = 0x82, kLabel = 0x83, kFile = 0x85, kStream = 0xC0;

uint16_t checksum(uint16_t sum, ByteView entry, bool first) {
    for (size_t i = 0; i < entry.size(); ++i)
        if (!first || (i != 2 && i != 3)) sum = static_cast<uint16_t>((sum << 15 | sum >> 1) + entry[i]);
    return sum;
}

class Scan {
public:
    explicit Scan(ExfatDirectory& out) : out_(out) {}

    void take(ByteView entry, uint64_t image_offset) {
        const uint8_t type = entry[0];
        const bool continues = (type & kInUse) != 0 && (type & kSecondary) != 0;
        if (left_ > 0 && continues) return go_on(entry);
        drop();
        if (type == 0) {
            if (!end_) end_ = image_offset;
        } else if (type == kFile) {
            begin(entry, image_offset);
        } else if (continues && passed_ > 0) {
            --passed_;
        } else if ((type & kInUse) != 0) {
            const bool known = type == kBitmap || type == kUpcase || type == kLabel || (!continues && (type & kBenign) != 0);
            passed_ = known && (type & kBenign) != 0 ? entry[1] : 0;
            if (!known && !end_) damage(image_offset, continues ? "a part of an entry set stands without its first entry" : "there are no entries of this kind");
        }
    }
    // What follows does not continue what came before.
    void drop() {
        if (left_ > 0) out_.sets.push_back(set_);
        left_ = 0;
    }
    void finish() {
        drop();
        if (end_ && *end_ % kSector == sector_phase_) out_.ends_with_sector_at = end_;
    }
    void set_sector_phase(uint64_t image_offset) { sector_phase_ = image_offset % kSector; }

private:
    void begin(ByteView entry, uint64_t image_offset) {
        set_ = {image_offset, false};
        left_ = entry[1];
        expected_ = static_cast<uint16_t>(entry[2] | entry[3] << 8);
        sum_ = checksum(0, entry, true);
        has_stream_ = false;
        second_ = true;
        passed_ = 0;
        if (left_ == 0) out_.sets.push_back(set_);
    }
    void go_on(ByteView entry) {
        if (second_) has_stream_ = entry[0] == kStream;
        second_ = false;
        sum_ = checksum(sum_, entry, false);
        if (--left_ > 0) return;
        set_.fits = has_stream_ && sum_ == expected_;
        out_.sets.push_back(set_);
        if (set_.fits && end_) {
            damage(*end_, "entries stand behind what looks like the end");
            end_.reset();
        }
    }
    void damage(uint64_t image_offset, const char* reason) {
        if (!out_.damage) out_.damage = ExfatDirectory::Damage{image_offset, reason};
    }

    ExfatDirectory& out_;
    ExfatSet set_;  // that is not complete
    unsigned left_ = 0, passed_ = 0;  // entries to come: of the set, of an entry that is passed over
    uint16_t expected_ = 0, sum_ = 0;
    bool has_stream_ = false, second_ = false;
    std::optional<uint64_t> end_;
    uint64_t sector_phase_ = 0;
};

}  // namespace

Result<ExfatDirectory> read_exfat_directory(const ByteSource& source, const std::vector<ByteRange>& places, const UnreadRanges& unread,
                                            const CancelToken& cancel) {
    ExfatDirectory out;
    Scan scan(out);
    uint64_t left = kMaxExfatDirectoryBytes;
    std::array<uint8_t, kSector> sector{};
    for (const ByteRange& place : places) {
        scan.set_sector_phase(place.offset);
        const uint64_t end = std::min({place.end(), source.size_bytes(), place.offset + left});
        for (uint64_t at = place.offset; at + kSector <= end; at += kSector) {
            TRY(cancel.check());
            left -= kSector;
            if (unread.in({at, kSector})) {
                scan.drop();
                continue;
            }
            TRY(source.read(at, sector));
            for (uint64_t i = 0; i < kSector; i += kExfatEntryBytes) scan.take(ByteView(sector).subspan(i, kExfatEntryBytes), at + i);
        }
    }
    scan.finish();
    return out;
}

Result<ExfatLostClusters> lost_exfat_clusters(const ByteSource& source, const ExfatHeap& heap, const std::vector<ByteRange>& bitmap,
                                              std::vector<ByteRange> claimed, const UnreadRanges& unread, const CancelToken& cancel) {
    constexpr uint64_t kFirstCluster = 2, kPageBytes = 64 << 10;
    ExfatLostClusters out;
    std::sort(claimed.begin(), claimed.end());
    std::set<uint64_t> lengths;
    ExfatLostClusters::Run run;
    const auto close = [&] {
        if (run.count == 0) return;
        ++out.runs;
        if (out.first.size() < ExfatLostClusters::kMaxRunsNamed) out.first.push_back(run);
        if (lengths.size() < ExfatLostClusters::kMaxLengths) lengths.insert(run.count);
        run.count = 0;
    };
    size_t next = 0;              // of the claims
    uint64_t claimed_to = 0;      // of all claims before
    uint64_t number = 0;          // of the bit
    const uint64_t inside = source.size_bytes() > heap.image_offset ? (source.size_bytes() - heap.image_offset) / heap.cluster_bytes : 0;
    const uint64_t count = std::min(heap.clusters, inside);
    std::vector<uint8_t> page;
    for (const ByteRange& place : bitmap) {
        for (uint64_t at = place.offset; at < place.end() && number < count; at += page.size()) {
            TRY(cancel.check());
            const uint64_t end = std::min(place.end(), source.size_bytes());
            if (at >= end) break;
            page.resize(static_cast<size_t>(std::min(kPageBytes, end - at)));
            TRY(source.read(at, page));
            unread.blank(at, page);
            for (uint64_t bit = 0; bit < 8 * page.size() && number < count; ++bit, ++number) {
                const ByteRange cluster{heap.image_offset + number * heap.cluster_bytes, heap.cluster_bytes};
                for (; next < claimed.size() && claimed[next].offset < cluster.end(); ++next) claimed_to = std::max(claimed_to, claimed[next].end());
                const bool lost = (page[bit / 8] >> (bit % 8) & 1) != 0 && claimed_to <= cluster.offset;
                if (!lost) {
                    close();
                    continue;
                }
                if (run.count == 0) run.first = number + kFirstCluster;
                ++run.count;
                ++out.clusters;
            }
        }
    }
    close();
    out.lengths.assign(lengths.begin(), lengths.end());
    return out;
}

}  // namespace ntt

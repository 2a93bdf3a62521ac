#include "patched_image.h"

#include <algorithm>
#include <array>
#include <cstdio>
#include <cstdlib>
#include <cstring>
#include <filesystem>
#include <fstream>
#include <iterator>
#include <random>

namespace ntt::fuzz {
namespace {

namespace fs = std::filesystem;

// One patch; any 16 bytes are one.
//   0      what is done
//   1      how: width, byte order, which number
//   2, 3   place
//   4, 5   offset in its sector
//   6, 7   place to copy from, or length
//   8 …    bytes
enum class Operation : uint8_t { set, add, number, copy, fill };
constexpr uint8_t kOperations = 5;

uint16_t le16(ByteView bytes, size_t at) { return static_cast<uint16_t>(bytes[at] | bytes[at + 1] << 8); }

bool is_empty(ByteView sector) { return std::all_of(sector.begin(), sector.end(), [](uint8_t b) { return b == 0; }); }

// Sectors that hold something, and the one behind each: a table grows there.
std::vector<uint32_t> sectors_in_use(const std::vector<uint8_t>& bytes) {
    std::vector<uint32_t> out;
    bool before = false;
    for (uint64_t at = 0; at + kSectorBytes <= bytes.size(); at += kSectorBytes) {
        const bool used = !is_empty(ByteView(bytes).subspan(at, kSectorBytes));
        if (used || before) out.push_back(static_cast<uint32_t>(at / kSectorBytes));
        before = used;
    }
    return out;
}

// Limits of fields, and numbers that speak of this image.
uint64_t telling_number(size_t which, uint64_t image_bytes) {
    const std::array<uint64_t, 24> numbers = {
        0, 1, 2, 3, 0x7F, 0x80, 0xFF, 0x100, 0x7FFF, 0x8000, 0xFFFF, 0x0FFFFFF7, 0x0FFFFFFF, 0x7FFFFFFF, 0x80000000, 0xFFFFFFFF,
        uint64_t{1} << 32, INT64_MAX, uint64_t{1} << 63, UINT64_MAX, image_bytes, image_bytes / kSectorBytes, image_bytes / 1024,
        image_bytes / 4096};
    return numbers[which % numbers.size()];
}

uint64_t load(ByteView bytes, bool big_endian) {
    uint64_t out = 0;
    for (size_t i = 0; i < bytes.size(); ++i) out = out << 8 | bytes[big_endian ? i : bytes.size() - 1 - i];
    return out;
}

void store(ByteSpan bytes, uint64_t value, bool big_endian) {
    for (size_t i = 0; i < bytes.size(); ++i, value >>= 8) bytes[big_endian ? bytes.size() - 1 - i : i] = static_cast<uint8_t>(value);
}

}  // namespace

std::vector<Seed> load_seeds(const std::string& folder, const std::string& name) {
    std::vector<fs::path> paths;
    std::error_code failure;
    for (const auto& entry : fs::directory_iterator(folder, failure)) {
        const std::string stem = entry.path().stem();
        if (name.empty() || stem == name || stem.starts_with(name + "-")) paths.push_back(entry.path());
    }
    std::sort(paths.begin(), paths.end());
    std::vector<Seed> seeds;
    for (const fs::path& path : paths) {
        std::ifstream in(path, std::ios::binary);
        Seed seed{path.filename(), {std::istreambuf_iterator<char>(in), {}}, {}};
        seed.places = sectors_in_use(seed.bytes);
        if (!seed.places.empty()) seeds.push_back(std::move(seed));
    }
    if (seeds.empty()) {
        std::fprintf(stderr, "no image %s in %s: fuzz/make-seeds makes them\n", name.c_str(), folder.c_str());
        std::exit(2);
    }
    return seeds;
}

Request read_request(ByteView input) {
    if (input.size() < 3) return {};
    return {input[0], input[1], (input[2] & 1) != 0, (input[2] & 2) != 0};
}

PatchedImage::PatchedImage(Seed& seed, ByteView input) : seed_(seed), size_bytes_(seed.bytes.size()) {
    if (input.size() < kPatchBytes) return;
    if (input[3] & 1) {  // cut: at a place where something begins, or anywhere
        const uint64_t place = le16(input, 4) % (seed_.places.size() + 1);
        const uint64_t sector = place < seed_.places.size() ? seed_.places[place] : seed_.bytes.size() / kSectorBytes;
        size_bytes_ = std::clamp<uint64_t>(sector * kSectorBytes + le16(input, 6) % kSectorBytes, 1, seed_.bytes.size());
    }
    input = input.subspan(kPatchBytes);
    for (size_t i = 0; i < kMaxPatches && input.size() >= kPatchBytes; ++i, input = input.subspan(kPatchBytes))
        apply(input.first(kPatchBytes));
}

PatchedImage::~PatchedImage() {
    for (auto kept = kept_.rbegin(); kept != kept_.rend(); ++kept)
        std::copy(kept->bytes.begin(), kept->bytes.end(), seed_.bytes.begin() + static_cast<std::ptrdiff_t>(kept->offset));
}

void PatchedImage::apply(ByteView patch) {
    const auto operation = static_cast<Operation>(patch[0] % kOperations);
    const bool whole_sectors = patch[1] & 16;  // of a copy or a fill
    const bool big_endian = patch[1] & 1;
    const size_t width = size_t{1} << (patch[1] >> 1 & 3);
    const auto place_of = [&](size_t at) { return uint64_t{seed_.places[le16(patch, at) % seed_.places.size()]} * kSectorBytes; };
    const uint64_t offset = place_of(2) + le16(patch, 4) % kSectorBytes;
    switch (operation) {
        case Operation::set: {
            const ByteSpan here = at(offset, 1 + patch[1] % 8);
            std::copy_n(patch.begin() + 8, here.size(), here.begin());
            return;
        }
        case Operation::add: {
            const ByteSpan here = at(offset & ~(width - 1), width);
            store(here, load(here, big_endian) + static_cast<uint64_t>(int64_t{static_cast<int8_t>(patch[8])}), big_endian);
            return;
        }
        case Operation::number:
            store(at(offset & ~(width - 1), width), telling_number(patch[8], seed_.bytes.size()), big_endian);
            return;
        case Operation::copy: {
            uint64_t from = place_of(6) + le16(patch, 8) % kSectorBytes, length = 1 + le16(patch, 10) % kSectorBytes;
            if (patch[1] & 8) length = width;
            if (whole_sectors) from = place_of(6), length = kSectorBytes;
            const ByteSpan here = at(whole_sectors ? place_of(2) : offset, length);
            const uint64_t there = std::min<uint64_t>(here.size(), seed_.bytes.size() - from);
            std::memmove(here.data(), seed_.bytes.data() + from, there);
            return;
        }
        case Operation::fill: {
            constexpr std::array<uint8_t, 4> kFillers = {0x00, 0xFF, 0xF6, 0x55};
            const ByteSpan here = whole_sectors ? at(place_of(2), kSectorBytes * (1 + patch[6] % 16)) : at(offset, 1 + le16(patch, 6) % kSectorBytes);
            std::fill(here.begin(), here.end(), kFillers[patch[8] % kFillers.size()]);
            return;
        }
    }
}

ByteSpan PatchedImage::at(uint64_t offset, uint64_t length) {
    const ByteRange range = intersect({offset, length}, {0, seed_.bytes.size()});
    const ByteSpan here = ByteSpan(seed_.bytes).subspan(range.offset, range.length);
    kept_.push_back({range.offset, {here.begin(), here.end()}});
    return here;
}

Result<void> PatchedImage::read(uint64_t offset, ByteSpan out) const {
    TRY(check_range(offset, out.size()));
    if (!out.empty()) std::memcpy(out.data(), seed_.bytes.data() + offset, out.size());
    return {};
}

std::vector<ByteRange> PatchedImage::patched() const {
    std::vector<ByteRange> all, out;
    for (const Kept& kept : kept_) {
        const uint64_t begin = kept.offset / kSectorBytes * kSectorBytes;
        const uint64_t end = (kept.offset + kept.bytes.size() + kSectorBytes - 1) / kSectorBytes * kSectorBytes;
        if (const ByteRange range = intersect({begin, end - begin}, {0, size_bytes_}); !range.empty()) all.push_back(range);
    }
    std::sort(all.begin(), all.end());
    for (const ByteRange& range : all) {
        if (!out.empty() && out.back().end() >= range.offset)
            out.back().length = std::max(out.back().end(), range.end()) - out.back().offset;
        else
            out.push_back(range);
    }
    return out;
}

size_t mutate_patches(uint8_t* data, size_t size, size_t max_size, uint32_t seed, size_t (*bytes)(uint8_t*, size_t, size_t)) {
    std::minstd_rand random(seed);
    const size_t limit = std::min(max_size, (1 + kMaxPatches) * kPatchBytes) / kPatchBytes;
    if (limit < 2) return bytes(data, size, max_size);
    size_t count = std::clamp<size_t>(size / kPatchBytes, 1, limit);  // the header counts
    if (count * kPatchBytes > size) std::memset(data + size, 0, count * kPatchBytes - size);
    const auto patch = [&](size_t i) { return data + i * kPatchBytes; };
    const auto any_patch = [&] { return patch(1 + random() % (count - 1)); };
    const auto new_patch = [&](uint8_t* to) {
        for (size_t i = 0; i < kPatchBytes; ++i) to[i] = static_cast<uint8_t>(random() >> 8);
        if (count > 1 && random() % 2 == 0) std::copy_n(any_patch() + 2, 4, to + 2);  // near another one
    };
    switch (random() % 8) {
        case 0:
        case 1:
            if (count < limit) {
                new_patch(patch(count++));
                break;
            }
            [[fallthrough]];
        case 2:
            if (count > 2) {
                uint8_t* gone = any_patch();
                std::memmove(gone, gone + kPatchBytes, static_cast<size_t>(patch(count) - gone) - kPatchBytes);
                --count;
                break;
            }
            [[fallthrough]];
        case 3:
            if (count > 1) {
                new_patch(any_patch());
                break;
            }
            [[fallthrough]];
        case 4: bytes(patch(0), 8, 8); break;
        case 5:
            if (count > 1) {  // the same, a little further on
                uint8_t* moved = any_patch();
                moved[4] = static_cast<uint8_t>(moved[4] + (1 << random() % 6));
                break;
            }
            [[fallthrough]];
        default: bytes(count > 1 ? any_patch() : patch(0), kPatchBytes, kPatchBytes); break;
    }
    return count * kPatchBytes;
}

}  // namespace ntt::fuzz

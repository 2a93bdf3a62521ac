// What a fuzzer changes: not megabytes of zeros, but a few places of a small image that holds a sound filesystem.
//
// An input is a header and a list of patches, 16 bytes each. A patch names a place by its number among the sectors that
// hold structures, not by its offset, so that nearly every mutation of an input damages something that is read.
#pragma once

#include <cstddef>
#include <cstdint>
#include <string>
#include <vector>

#include "base/bytes.h"
#include "image/byte_source.h"

namespace ntt::fuzz {

inline constexpr size_t kPatchBytes = 16;     // of the header too
inline constexpr size_t kMaxPatches = 24;
inline constexpr uint64_t kSectorBytes = 512;

// An image that is damaged, looked at and repaired again, many thousand times a second.
struct Seed {
    std::string name;             // the file's
    std::vector<uint8_t> bytes;
    std::vector<uint32_t> places;  // numbers of the sectors that patches go to
};

// The images NAME.* and NAME-*.* of the folder, in the order of their names, with every sector that is not empty as a place.
// Ends the program, with the reason, if there is none.
std::vector<Seed> load_seeds(const std::string& folder, const std::string& name);

// What the input's header asks for beyond the patches.
struct Request {
    size_t seed = 0;      // to be taken modulo their number
    size_t view = 0;      // likewise
    bool unread = false;  // the patched sectors are bad ones, whatever they hold, and the reader is told so
    bool detect = false;  // volumes are looked for in the patched image, not in the sound one
};
Request read_request(ByteView input);

// The seed with the input's patches, for as long as this lives. One at a time for each seed.
class PatchedImage final : public ByteSource {
public:
    PatchedImage(Seed& seed, ByteView input);
    ~PatchedImage() override;
    PatchedImage(const PatchedImage&) = delete;
    PatchedImage& operator=(const PatchedImage&) = delete;

    uint64_t size_bytes() const override { return size_bytes_; }  // the input may have cut the image
    std::string_view format() const override { return "memory"; }
    const std::vector<ImagePart>& parts() const override { return parts_; }
    Result<void> read(uint64_t offset, ByteSpan out) const override;

    // The sectors that were changed, sorted and merged.
    std::vector<ByteRange> patched() const;

private:
    void apply(ByteView patch);
    ByteSpan at(uint64_t offset, uint64_t length);  // clipped to the seed; what stands there is kept for the destructor

    struct Kept {
        uint64_t offset;
        std::vector<uint8_t> bytes;
    };
    Seed& seed_;
    uint64_t size_bytes_;
    std::vector<Kept> kept_;
    std::vector<ImagePart> parts_;
};

// Mutates a list of patches as a list of patches (for LLVMFuzzerCustomMutator); `random` gives new numbers, and `bytes`
// mutates a piece as libFuzzer does. Returns the new size.
size_t mutate_patches(uint8_t* data, size_t size, size_t max_size, uint32_t seed, size_t (*bytes)(uint8_t*, size_t, size_t));

}  // namespace ntt::fuzz

// Discs that were written in several sessions.
#pragma once

#include <vector>

#include "volume/identify.h"
#include "volume/probe_window.h"

namespace ntt {

// A later session of a disc: a tree of its own, over files of its own and those of earlier sessions. Its block numbers
// count from the start of the disc, its descriptors stand 16 sectors behind its own start.
struct Session {
    ByteRange range;  // of the disc, its own part; may reach beyond the image
    Identity identity;
};

// As much of an image is searched. A first gap has 11,400 sectors, later ones 6,900 (Orange Book part II: lead-out, lead-in,
// pregap), but the place cannot be told without the disc's table of contents, which no image has.
inline constexpr uint64_t kMaxSessionSearchBytes = uint64_t{1} << 30;
inline constexpr size_t kMaxSessions = 99;

// Later sessions of the disc that is `disc`, in order, searched from `from_bytes` on, the end of its first one. A session must have a
// primary descriptor whose root folder lies behind its start and points to itself by the disc's numbers: an image file on the
// disc has other numbers.
// Source: ECMA-119, 8.4 and 9.1. Whether reading failed is the window's to say.
std::vector<Session> later_sessions(const ProbeWindow& disc, uint64_t from_bytes);

}  // namespace ntt

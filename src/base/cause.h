// The stable codes of damage and failure (design, section 6). They stand in the catalog, in JSON and in `claimed_by`.
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>

namespace ntt {

enum class Cause : uint8_t {
    // in the image, for good
    BEYOND_EOF, BAD_SECTOR, FAT_CHAIN_SHORT, FAT_CHAIN_LOOP, FAT_CHAIN_INVALID, CROSS_LINK, IMPLAUSIBLE_SIZE, CHECKSUM, FS_CORRUPT,
    // re-imaging may help
    NOT_TRIED, NOT_TRIMMED, NOT_SCRAPED,
    // unclear, from the host
    IO_ERROR, MISSING_FILE, MOUNT_LOST, MOUNT_INACCESSIBLE, PERMISSION, TIMEOUT,
    // ours
    STORE_FULL, STORE_ERROR, CATALOG_ERROR,
    // not readable by us
    UNSUPPORTED_FS, UNSUPPORTED_COMPRESSION, ENCRYPTED, PARSER_CRASH, PARSER_TIMEOUT,
};

// What a cause means for the next step.
enum class CauseClass : uint8_t { in_image, reimage, host, ours, unreadable_by_us };

std::string_view to_string(Cause cause);
std::optional<Cause> cause_from(std::string_view text);
CauseClass class_of(Cause cause);

// The contract's `claimed_by` of a damaged or unreadable inode: FAT_ERROR_SKIP, IO_ERROR_SKIP or DIAGNOSTIC_SKIP:<CAUSE>.
std::string claimed_by_of(Cause cause);
// That of an inode whose attempts are used up.
constexpr const char* kRetriesUsedUp = "MAX_RETRIES_EXCEEDED";

// One sentence for people: what happened and what to do next.
std::string_view explain(Cause cause);

}  // namespace ntt

#include "base/cause.h"

#include <array>

#include "base/check.h"

namespace ntt {
namespace {

struct Row {
    Cause cause;
    std::string_view name;
    CauseClass kind;
    std::string_view words;
};

constexpr auto kImage = CauseClass::in_image;
constexpr std::array kRows = {
    Row{Cause::BEYOND_EOF, "BEYOND_EOF", kImage, "the image ends before these bytes; only a longer image can give them"},
    Row{Cause::BAD_SECTOR, "BAD_SECTOR", kImage, "ddrescue could not read these sectors; try another drive or another copy of the medium"},
    Row{Cause::FAT_CHAIN_SHORT, "FAT_CHAIN_SHORT", kImage, "the FAT chain ends before the file does; the rest cannot be located"},
    Row{Cause::FAT_CHAIN_LOOP, "FAT_CHAIN_LOOP", kImage, "the FAT chain runs in a circle; what follows cannot be located"},
    Row{Cause::FAT_CHAIN_INVALID, "FAT_CHAIN_INVALID", kImage, "the FAT chain leads to a free, reserved, bad or impossible cluster"},
    Row{Cause::CROSS_LINK, "CROSS_LINK", kImage, "the clusters belong to another file as well; the bytes may not be this file's"},
    Row{Cause::IMPLAUSIBLE_SIZE, "IMPLAUSIBLE_SIZE", kImage, "the directory entry claims a size that the volume cannot hold"},
    Row{Cause::CHECKSUM, "CHECKSUM", kImage, "the filesystem's own checksum fails; where the bytes lie cannot be trusted"},
    Row{Cause::FS_CORRUPT, "FS_CORRUPT", kImage, "the filesystem's structures are damaged; these bytes cannot be located"},
    Row{Cause::NOT_TRIED, "NOT_TRIED", CauseClass::reimage, "ddrescue has not tried these sectors yet; run it again over these ranges"},
    Row{Cause::NOT_TRIMMED, "NOT_TRIMMED", CauseClass::reimage, "ddrescue has not trimmed these sectors yet; run it again over these ranges"},
    Row{Cause::NOT_SCRAPED, "NOT_SCRAPED", CauseClass::reimage, "ddrescue has not scraped these sectors yet; run it again over these ranges"},
    Row{Cause::IO_ERROR, "IO_ERROR", CauseClass::host, "this computer could not read the image; check the disk that holds it, then requeue"},
    Row{Cause::MISSING_FILE, "MISSING_FILE", CauseClass::host, "the file was not found where it was listed; check the mount, then requeue"},
    Row{Cause::MOUNT_LOST, "MOUNT_LOST", CauseClass::host, "the mount disappeared; mount it again, then requeue"},
    Row{Cause::MOUNT_INACCESSIBLE, "MOUNT_INACCESSIBLE", CauseClass::host, "the mount does not answer; mount it again, then requeue"},
    Row{Cause::PERMISSION, "PERMISSION", CauseClass::host, "access was refused; grant it, then requeue"},
    Row{Cause::TIMEOUT, "TIMEOUT", CauseClass::host, "the read did not return in time; requeue to try again"},
    Row{Cause::STORE_FULL, "STORE_FULL", CauseClass::ours, "the store is full; make room and run again"},
    Row{Cause::STORE_ERROR, "STORE_ERROR", CauseClass::ours, "the store could not be written; run again once it can"},
    Row{Cause::CATALOG_ERROR, "CATALOG_ERROR", CauseClass::ours, "the catalog could not be written; run again once it can"},
    Row{Cause::UNSUPPORTED_FS, "UNSUPPORTED_FS", CauseClass::unreadable_by_us, "this filesystem is not read"},
    Row{Cause::UNSUPPORTED_COMPRESSION, "UNSUPPORTED_COMPRESSION", CauseClass::unreadable_by_us, "this compression is not read"},
    Row{Cause::ENCRYPTED, "ENCRYPTED", CauseClass::unreadable_by_us, "the content is encrypted"},
    Row{Cause::PARSER_CRASH, "PARSER_CRASH", CauseClass::unreadable_by_us, "the filesystem reader crashed on this volume"},
    Row{Cause::PARSER_TIMEOUT, "PARSER_TIMEOUT", CauseClass::unreadable_by_us, "the filesystem reader made no progress on this volume"},
};

const Row& row_of(Cause cause) {
    const auto& row = kRows[static_cast<size_t>(cause)];
    NTT_CHECK(row.cause == cause, "the table of causes is out of order");
    return row;
}

}  // namespace

std::string_view to_string(Cause cause) { return row_of(cause).name; }
CauseClass class_of(Cause cause) { return row_of(cause).kind; }
std::string_view explain(Cause cause) { return row_of(cause).words; }

std::optional<Cause> cause_from(std::string_view text) {
    for (const Row& row : kRows)
        if (row.name == text) return row.cause;
    return std::nullopt;
}

std::string claimed_by_of(Cause cause) {
    switch (cause) {
        case Cause::FAT_CHAIN_SHORT:
        case Cause::FAT_CHAIN_LOOP:
        case Cause::FAT_CHAIN_INVALID: return "FAT_ERROR_SKIP";
        case Cause::IO_ERROR: return "IO_ERROR_SKIP";
        default: return "DIAGNOSTIC_SKIP:" + std::string(to_string(cause));
    }
}

}  // namespace ntt

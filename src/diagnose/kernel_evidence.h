// What a record of the kernel's log says of a block device.
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>

namespace ntt {

struct KernelEvidence {
    enum class Kind : uint8_t { beyond_eof, fat_error, io_error };
    Kind kind = Kind::io_error;
    std::string device;               // as the kernel names it: loop38, sda1
    std::optional<uint64_t> sector;   // of 512 bytes, of the device: the first that was asked for
    std::optional<uint64_t> sectors;  // how many
    std::optional<uint64_t> limit;    // sectors that the device has
};

// The contract's check: dmesg:beyond_eof, dmesg:fat_error, dmesg:io_error.
std::string_view check_of(KernelEvidence::Kind kind);

// nullopt: the record speaks of something else. A device is named where the kernel names it; that it is this medium's is for
// the caller to see. Sources, and their older forms: Linux block/blk-core.c (bio_check_eod, blk_print_req_error), fs/buffer.c
// (buffer_io_error), fs/fat/{misc,cache,inode}.c.
std::optional<KernelEvidence> evidence_in(std::string_view record_text);

}  // namespace ntt

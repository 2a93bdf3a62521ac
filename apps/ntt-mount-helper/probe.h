// What libblkid finds in an image. It reads untrusted bytes, so each look happens in a child process that has given up
// everything else: user nobody, no new privileges, the sandbox of os/sandbox.h, a time limit.
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <vector>

#include "base/bytes.h"
#include "base/result.h"
#include "os/env.h"
#include "timed_child.h"

namespace ntt::mount_helper {

inline constexpr size_t kMaxPartitions = 256;

struct Partition {
    ByteRange range;                                                  // as the table has it; may go beyond the image's end
    enum class Kind : uint8_t { data, container } kind = Kind::data;  // container: an extended partition
};

// What stands in a range.
struct Signature {
    std::string fs_type;  // libblkid's name; empty: nothing known
    enum class Use : uint8_t { filesystem, other, ambiguous } use = Use::other;
    std::string label, uuid;  // raw bytes; empty if there is none
};

// The entries of the partition table at the start of the file, nested ones too, in the table's order; empty without a table.
// limit if there are more than kMaxPartitions.
Result<std::vector<Partition>> probe_partitions(const Fd& file, uint64_t size_bytes, Clock::time_point deadline);

// What stands at the start of a range of the file.
Result<Signature> probe_signature(const Fd& file, ByteRange range, Clock::time_point deadline, OnInterrupt on_interrupt);

}  // namespace ntt::mount_helper

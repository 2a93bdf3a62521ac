// Whether a boot sector that was not read can be believed: what the volume itself says of where clusters lie.
#pragma once

#include <cstdint>
#include <string>

#include "fs/fat/directory_sector.h"

namespace ntt {

// What stands in the place of a boot sector that was not read may be another one (an earlier format's, another disk's). A
// wrong start of the data area or size of a cluster shifts every content, and nothing in a file shows it. Two things do:
// a directory's "." names its own cluster, and the length of a chain fits the size in the entry. Feed it a whole walk.
class BootProof {
public:
    // The first entries of a directory below the root, met for the first time. Give each once.
    void add_directory(Dots dots) { ++(dots == Dots::wrong_self ? directories_elsewhere_ : directories_in_place_); }
    // The chain of a file of more than one cluster: does it end, and just where the size says?
    void add_chain(bool fits) { ++(fits ? chains_that_fit_ : chains_that_do_not_); }

    // One directory alone may stand right by chance (at cluster 2 the size of a cluster does not matter): two do not, and
    // neither does one together with chains.
    bool bears_out() const;
    // A JSON object with the four counts.
    std::string evidence() const;

private:
    uint64_t directories_in_place_ = 0, directories_elsewhere_ = 0;
    uint64_t chains_that_fit_ = 0, chains_that_do_not_ = 0;
};

}  // namespace ntt

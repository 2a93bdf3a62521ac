// Which inodes have been seen: one bit each where numbers are dense, as they are in every filesystem read here.
#pragma once

#include <bitset>
#include <cstdint>
#include <unordered_map>

namespace ntt {

class InodeSet {
public:
    // Whether `ino` is new to the set; it is in it afterwards.
    bool insert(uint64_t ino) {
        std::bitset<kPage>& page = pages_[ino / kPage];
        const uint64_t bit = ino % kPage;
        if (page[bit]) return false;
        page[bit] = true;
        return true;
    }
    bool contains(uint64_t ino) const {
        const auto page = pages_.find(ino / kPage);
        return page != pages_.end() && page->second[ino % kPage];
    }

private:
    static constexpr uint64_t kPage = 512;  // a number far from all others costs about 100 bytes
    std::unordered_map<uint64_t, std::bitset<kPage>> pages_;
};

}  // namespace ntt

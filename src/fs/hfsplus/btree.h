// The B-trees of HFS+: catalogue, extents overflow, attributes. Read by walking their leaf nodes one after the other, so that
// a node that is lost costs its own records only and not those that the index reaches through it.
// Source: Apple Technical Note TN1150, "B-Trees" and "Fork Data Structure".
#pragma once

#include <cstdint>
#include <functional>
#include <optional>
#include <string>
#include <vector>

#include "base/bytes.h"
#include "base/cancel.h"
#include "base/result.h"
#include "fs/listing/unread_ranges.h"
#include "image/byte_source.h"
#include "volume/probe_window.h"

namespace ntt {

// One run of a fork; bytes of the image.
struct HfsPlusFork {
    uint64_t size = 0;              // bytes of content
    std::vector<ByteRange> places;  // in file order; may fall short of the size
};

// A sector of a node that cannot be believed.
struct HfsPlusLostSector {
    uint64_t at = 0;             // place in the node
    std::optional<Cause> cause;  // from the rescue map; its bytes are zeros then
    bool certain = true;         // false: all zeros, and the node's records end in it, which may just be how the last one ends
};

// One record of a leaf. The bytes belong to the node, which lives until the callback returns.
struct HfsPlusRecord {
    const ProbeBytes& node;
    uint64_t key = 0, key_length = 0;    // key_length without its own two bytes
    uint64_t data = 0, data_length = 0;  // places in the node
    ByteRange place;                     // of the node, in the image
    const std::vector<HfsPlusLostSector>& lost;  // in order

    // The first lost sector that bytes [at, at + length) of the node touch.
    const HfsPlusLostSector* lost_in(uint64_t at, uint64_t length) const;
};

// Whether a record has the form that its tree's records have.
using HfsPlusRecordForm = bool (*)(const HfsPlusRecord&);

struct HfsPlusNodeDamage {
    uint64_t node = 0;
    std::optional<uint64_t> image_offset;
    std::string reason;
    std::optional<Cause> cause;  // from the rescue map
};

class HfsPlusTree {
public:
    HfsPlusTree(const ByteSource& source, HfsPlusFork fork, UnreadRanges unread, HfsPlusRecordForm has_form)
        : source_(source), fork_(std::move(fork)), unread_(std::move(unread)), has_form_(has_form) {}

    // Reads the header node: how large nodes are, which are in use, how many records the leaves have. Without it the size is
    // found out from the nodes themselves, and a leaf is what looks like one and what a neighbour leads to. False if there are no nodes.
    Result<bool> open();

    // Hands out the records of all leaves, in the order of the nodes. A node that was not read, or that is none, goes to
    // `damage`, and so does one of which a part was not read, or where a record does not have its form or a sector is of one
    // byte alone; the records that have their form are handed out all the same, with what is lost of their node: a record that
    // touches it may have lost its later part, which then looks like zeros.
    Result<void> for_each_leaf_record(const std::function<Result<void>(const HfsPlusRecord&)>& take,
                                      const std::function<void(const HfsPlusNodeDamage&)>& damage, const CancelToken& cancel);

    std::optional<uint64_t> leaf_records() const { return leaf_records_; }  // as the header says
    bool header_is_lost() const { return !leaf_records_.has_value(); }
    const std::vector<ByteRange>& places() const { return fork_.places; }

private:
    struct Node {
        ProbeBytes bytes;
        ByteRange place;
        std::optional<HfsPlusNodeDamage> damage;
        std::vector<HfsPlusLostSector> unread;  // if that is the damage
    };
    Result<Node> read_node(uint64_t number, uint64_t node_bytes) const;
    Result<void> read_map(const ProbeBytes& header);
    Result<uint64_t> guessed_node_bytes() const;
    uint64_t bytes_placed() const;
    bool is_in_use(uint64_t number) const;
    Result<bool> is_chained(uint64_t number, const ProbeBytes& node) const;
    // False if some of its records are damaged.
    Result<bool> hand_out(const Node& node, const std::function<Result<void>(const HfsPlusRecord&)>& take) const;

    const ByteSource& source_;
    HfsPlusFork fork_;
    UnreadRanges unread_;
    HfsPlusRecordForm has_form_;
    uint64_t node_bytes_ = 0;
    uint64_t nodes_ = 0;           // those that have a place
    uint64_t without_extent_ = 0;  // those that the fork's size counts besides
    std::optional<uint64_t> leaf_records_;
    std::string map_;            // a bit for each node, as far as it could be read
};

}  // namespace ntt

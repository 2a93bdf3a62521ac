#include "fs/hfsplus/hfsplus_reader.h"

#include <fmt/format.h>

#include <algorithm>
#include <bit>
#include <map>
#include <nlohmann/json.hpp>
#include <unordered_map>
#include <utility>

#include "fs/hfsplus/btree.h"
#include "fs/listing/content_map.h"
#include "fs/listing/inode_set.h"
#include "fs/listing/listing_report.h"
#include "fs/listing/path_names.h"
#include "fs/tsk/tsk_reader.h"

namespace ntt {

namespace {

using nlohmann::json;

constexpr uint32_t kRootParent = 1, kRoot = 2, kFirstUserId = 16;
constexpr int64_t kFirstStreamIno = int64_t{1} << 62;
constexpr uint8_t kDataFork = 0x00, kResourceFork = 0xFF;
constexpr size_t kMaxOverflowRecords = size_t{1} << 22;
constexpr int kMaxDepth = 1000;

std::string text_of(const json& value) { return value.dump(-1, ' ', false, json::error_handler_t::replace); }

// UTF-16 as UTF-8; lone surrogates as three bytes each, so that no two names become one.
std::string name_text(std::string_view utf16) {
    std::string out;
    const auto unit = [&](size_t i) { return static_cast<uint32_t>(static_cast<uint8_t>(utf16[i]) << 8 | static_cast<uint8_t>(utf16[i + 1])); };
    for (size_t i = 0; i + 1 < utf16.size(); i += 2) {
        uint32_t c = unit(i);
        if (c >= 0xD800 && c < 0xDC00 && i + 3 < utf16.size() && unit(i + 2) >= 0xDC00 && unit(i + 2) < 0xE000) {
            c = 0x10000 + ((c - 0xD800) << 10 | (unit(i + 2) - 0xDC00));
            i += 2;
        }
        if (c == 0) c = 0x2400;
        if (c == '/') c = ':';
        const auto put = [&](uint32_t byte) { out += static_cast<char>(byte); };
        if (c < 0x80) {
            put(c);
        } else if (c < 0x800) {
            put(0xC0 | c >> 6), put(0x80 | (c & 63));
        } else if (c < 0x10000) {
            put(0xE0 | c >> 12), put(0x80 | (c >> 6 & 63)), put(0x80 | (c & 63));
        } else {
            put(0xF0 | c >> 18), put(0x80 | (c >> 12 & 63)), put(0x80 | (c >> 6 & 63)), put(0x80 | (c & 63));
        }
    }
    return out;
}

std::optional<int64_t> time_of(uint32_t stored) {
    constexpr int64_t k1904 = 2082844800;  // seconds to 1970
    return stored == 0 ? std::nullopt : std::optional(int64_t{stored} - k1904);
}

struct CatalogueName {
    uint32_t parent = 0;
    std::string name;  // as name_text gives it
};

// --- the form of records ---

constexpr int kFolderRecord = 1, kFileRecord = 2, kFolderThread = 3, kFileThread = 4;
constexpr uint64_t kFolderBytes = 88, kFileBytes = 248;
constexpr uint64_t kIdEnd = 12;  // of a folder's and a file's record: what comes before says whose it is

bool is_catalogue_record(const HfsPlusRecord& record) {
    constexpr uint64_t kKeyBytes = 6, kThreadBytes = 10;  // without the names
    if (record.key_length < kKeyBytes || record.key_length != kKeyBytes + 2 * uint64_t{record.node.be16(record.key + 4)}) return false;
    switch (record.data_length < 2 ? 0 : record.node.be16(record.data)) {
        case kFolderRecord: return record.data_length >= kFolderBytes;
        case kFileRecord: return record.data_length >= kFileBytes;
        case kFolderThread:
        case kFileThread: return record.data_length >= kThreadBytes && record.data_length >= kThreadBytes + 2 * uint64_t{record.node.be16(record.data + 8)};
        default: return false;
    }
}

bool is_overflow_record(const HfsPlusRecord& record) {
    constexpr uint64_t kKeyBytes = 10, kExtentBytes = 64;
    return record.key_length == kKeyBytes && record.data_length >= kExtentBytes;
}

bool is_attribute_record(const HfsPlusRecord& record) {
    constexpr uint64_t kKeyBytes = 12;  // without the name
    return record.key_length >= kKeyBytes && record.key_length >= kKeyBytes + 2 * uint64_t{record.node.be16(record.key + 10)} && record.data_length >= 4;
}

class HfsPlusReader final : public FsReader {
public:
    HfsPlusReader(const ByteSource& source, const Volume& volume, const ReaderOptions& options)
        : source_(source), volume_(volume), options_(options), unread_(options.unread), report_(volume.number) {}

    Result<void> open(FindingSink& findings);
    Result<void> list(EntrySink& sink, const CancelToken& cancel) override;
    Result<size_t> read_content(const std::string& fs_ino, const std::string& stream, uint64_t offset, ByteSpan out) override {
        TRY_ASSIGN(FsReader * decoder, decoder_of_compressed());
        return decoder->read_content(fs_ino, stream, offset, out);
    }
    std::string detail() const override {
        json out = {{"block_size", block_bytes_}};
        report_.add_counts_to(out);
        return text_of(out);
    }

private:
    struct Compressed {
        uint64_t size = 0;  // of the content
        ByteRange place;    // of the node that says so
    };
    using ForkKey = std::pair<uint32_t, uint8_t>;  // file, kind of fork
    // Why a fork cannot be believed.
    struct Doubt {
        Cause cause = Cause::FS_CORRUPT;
        std::string reason;
    };

    HfsPlusFork fork_at(const ProbeBytes& bytes, uint64_t at, ForkKey key) const;
    void add_extents(const ProbeBytes& bytes, uint64_t at, uint64_t& blocks, HfsPlusFork& out) const;
    Result<void> read_overflow(const ProbeBytes& header);
    Result<void> read_compressed(const ProbeBytes& header, const CancelToken& cancel);
    Result<FsReader*> decoder_of_compressed();

    Result<void> gather(EntrySink& sink, const CancelToken& cancel);
    Result<void> give(const HfsPlusRecord& record, EntrySink& sink);
    Result<void> give_file(const HfsPlusRecord& record, uint32_t id, std::string path, EntrySink& sink);
    std::optional<Doubt> doubt_of_place(const HfsPlusRecord& record, uint64_t end) const;
    std::optional<Doubt> doubt_of_fork(const HfsPlusRecord& record, uint64_t at, const HfsPlusFork& fork) const;
    InodeEntry describe(const HfsPlusRecord& record, uint32_t id, char type) const;
    void map_fork(const HfsPlusFork& fork, const std::optional<Doubt>& doubt, InodeEntry& out) const;
    std::string link_target(const HfsPlusFork& fork) const;
    std::optional<std::string> path_of(uint32_t folder, EntrySink& sink);

    const ByteSource& source_;
    Volume volume_;
    ReaderOptions options_;
    UnreadRanges unread_;
    ListingReport report_;
    uint64_t block_bytes_ = 0;
    ProbeBytes header_;
    std::optional<HfsPlusTree> catalogue_;
    std::map<ForkKey, std::map<uint32_t, std::string>> overflow_;  // first block -> eight extents as they stand
    std::unique_ptr<FsReader> decoder_;

    // of the running list()
    std::unordered_map<uint32_t, CatalogueName> folders_;
    std::unordered_map<uint32_t, uint32_t> linked_files_, linked_folders_;  // number in the private folders -> ID
    std::unordered_map<uint32_t, Compressed> compressed_;
    uint32_t private_files_ = 0;
    bool catalogue_is_damaged_ = false;
    InodeSet given_;
    uint32_t last_folder_ = 0;  // whose path is last_path_
    std::optional<std::string> last_path_;
    uint64_t lost_files_ = 0;
    bool links_first_ = false;
};

// --- opening ---

Result<void> HfsPlusReader::open(FindingSink& findings) {
    constexpr uint64_t kHeaderAt = 1024, kHeaderBytes = 512, kCatalogueAt = 272, kAttributesAt = 4;
    constexpr uint32_t kUnmounted = 0x100, kJournaled = 0x2000;
    const auto at = checked_add(volume_.offset_bytes, kHeaderAt);
    if (!at || *at + kHeaderBytes > source_.size_bytes()) return make_error(ErrorCode::unsupported, "the volume header lies beyond the image");
    std::string bytes(kHeaderBytes, '\0');
    TRY(source_.read(*at, {reinterpret_cast<uint8_t*>(bytes.data()), bytes.size()}));
    header_ = ProbeBytes(std::move(bytes));
    block_bytes_ = header_.be32(40);
    if (!header_.has(0, "H+") && !header_.has(0, "HX")) return make_error(ErrorCode::unsupported, "there is no HFS+ volume header");
    if (block_bytes_ < 512 || block_bytes_ > (1u << 24) || !std::has_single_bit(block_bytes_))
        return make_error(ErrorCode::unsupported, "the HFS+ volume header makes no sense: the block size");
    if (const auto lost = unread_.in({*at, kHeaderBytes}))
        findings.add({"superblock_on_missing_sectors",
                      "the volume header was not read from the medium: what stands there in the image is taken as it is",
                      text_of({{"image_offset", *at}, {"length", kHeaderBytes}, {"cause", to_string(lost->cause)}}), volume_.number, std::nullopt});
    const uint32_t attributes = header_.be32(kAttributesAt);
    if ((attributes & kJournaled) != 0 && (attributes & kUnmounted) == 0)
        findings.add({"journal_not_replayed", "the volume was not unmounted: what its journal holds of the last seconds is not read",
                      text_of({{"image_offset", *at + kAttributesAt}}), volume_.number, std::nullopt});
    TRY(read_overflow(header_));
    constexpr uint32_t kCatalogueId = 4;
    catalogue_.emplace(source_, fork_at(header_, kCatalogueAt, {kCatalogueId, kDataFork}), unread_, is_catalogue_record);
    TRY_ASSIGN(const bool has_nodes, catalogue_->open());
    if (!has_nodes) return make_error(ErrorCode::unsupported, "the HFS+ catalogue has no nodes");
    return {};
}

// Eight extents: first block and number of blocks, four bytes each.
void HfsPlusReader::add_extents(const ProbeBytes& bytes, uint64_t at, uint64_t& blocks, HfsPlusFork& out) const {
    for (uint64_t i = 0; i < 8; ++i) {
        const uint64_t first = bytes.be32(at + 8 * i), count = bytes.be32(at + 8 * i + 4);
        if (count == 0) return;
        blocks += count;
        out.places.push_back({volume_.offset_bytes + first * block_bytes_, count * block_bytes_});
    }
}

HfsPlusFork HfsPlusReader::fork_at(const ProbeBytes& bytes, uint64_t at, ForkKey key) const {
    HfsPlusFork out;
    out.size = bytes.be64(at);
    uint64_t blocks = 0;
    add_extents(bytes, at + 16, blocks, out);
    if (blocks * block_bytes_ >= out.size) return out;
    const auto more = overflow_.find(key);
    if (more == overflow_.end()) return out;
    // Each further record is found by the number of blocks before it.
    for (auto next = more->second.find(static_cast<uint32_t>(blocks)); next != more->second.end();
         next = more->second.find(static_cast<uint32_t>(blocks))) {
        const uint64_t before = blocks;
        add_extents(ProbeBytes(next->second), 0, blocks, out);
        if (blocks == before || blocks > UINT32_MAX) break;
    }
    return out;
}

Result<void> HfsPlusReader::read_overflow(const ProbeBytes& header) {
    constexpr uint64_t kForkAt = 192, kExtentBytes = 64;
    HfsPlusTree tree(source_, fork_at(header, kForkAt, {3, kDataFork}), unread_, is_overflow_record);
    TRY_ASSIGN(const bool has_nodes, tree.open());
    if (!has_nodes) return {};
    size_t records = 0;
    // A file whose record is lost has a gap in its places, and says so itself.
    return tree.for_each_leaf_record(
        [&](const HfsPlusRecord& record) -> Result<void> {
            if (record.lost_in(record.key, record.data + kExtentBytes - record.key) || ++records > kMaxOverflowRecords) return {};
            const ProbeBytes& node = record.node;
            overflow_[{node.be32(record.key + 2), node.u8(record.key)}][node.be32(record.key + 6)] = std::string(node.text(record.data, kExtentBytes));
            return {};
        },
        [](const HfsPlusNodeDamage&) {}, CancelToken());
}

// Which files the filesystem compressed: the attribute "com.apple.decmpfs" of each.
Result<void> HfsPlusReader::read_compressed(const ProbeBytes& header, const CancelToken& cancel) {
    constexpr uint64_t kForkAt = 352;
    constexpr uint32_t kAttributesId = 8, kInline = 0x10;
    HfsPlusTree tree(source_, fork_at(header, kForkAt, {kAttributesId, kDataFork}), unread_, is_attribute_record);
    TRY_ASSIGN(const bool has_nodes, tree.open());
    if (!has_nodes) return {};
    return tree.for_each_leaf_record(
        [&](const HfsPlusRecord& record) -> Result<void> {
            const ProbeBytes& node = record.node;
            report_.count("extended_attributes");
            if (node.be32(record.data) != kInline || record.lost_in(record.key, record.data + record.data_length - record.key)) return {};
            const uint64_t characters = node.be16(record.key + 10);
            if (name_text(node.text(record.key + 12, 2 * characters)) != "com.apple.decmpfs") return {};
            constexpr uint64_t kValue = 16;
            if (!node.has(record.data + kValue, "fpmc")) return {};
            compressed_[node.be32(record.key + 2)] = {node.le64(record.data + kValue + 8), record.place};
            return {};
        },
        [](const HfsPlusNodeDamage&) {}, cancel);
}

Result<FsReader*> HfsPlusReader::decoder_of_compressed() {
    struct Nothing : FindingSink {
        void add(Finding) override {}
    } nothing;
    if (!decoder_) {
        TRY_ASSIGN(decoder_, open_tsk(source_, volume_, options_, nothing));
    }
    return decoder_.get();
}

// --- listing ---

// "iNode" or "dir_" and a number, as files and folders in the private folders are called.
std::optional<uint32_t> number_behind(std::string_view name, std::string_view prefix) {
    if (!name.starts_with(prefix) || name.size() == prefix.size() || name.size() > prefix.size() + 10) return {};
    uint64_t out = 0;
    for (const char c : name.substr(prefix.size())) {
        if (c < '0' || c > '9') return {};
        out = out * 10 + static_cast<uint64_t>(c - '0');
    }
    return out <= UINT32_MAX ? std::optional(static_cast<uint32_t>(out)) : std::nullopt;
}

// The key: the folder's ID, the number of characters, the characters.
std::optional<CatalogueName> name_in(const HfsPlusRecord& record, uint64_t at, uint64_t length) {
    if (length < 6) return {};
    const uint64_t characters = record.node.be16(at + 4);
    if (characters > 255 || 6 + 2 * characters > length) return {};
    return CatalogueName{record.node.be32(at), name_text(record.node.text(at + 6, 2 * characters))};
}

Result<void> HfsPlusReader::gather(EntrySink& sink, const CancelToken& cancel) {
    TRY(read_compressed(header_, cancel));
    uint64_t records = 0;
    std::unordered_map<uint32_t, CatalogueName> threads;  // a folder whose record is lost may still have its thread
    std::vector<std::pair<uint32_t, CatalogueName>> numbered;  // files called iNode<n>: private_files_ may come later
    std::vector<HfsPlusNodeDamage> damages;
    TRY(catalogue_->for_each_leaf_record(
        [&](const HfsPlusRecord& record) -> Result<void> {
            ++records;
            const auto name = name_in(record, record.key, record.key_length);
            if (!name) return {};
            const int type = record.node.be16(record.data);
            if (type == kFolderRecord && record.data_length >= kFolderBytes) {
                if (record.lost_in(record.key, record.data + kIdEnd - record.key)) return {};  // it may still have its thread
                const uint32_t id = record.node.be32(record.data + 8);
                if (name->parent == kRoot && name->name == "\u2400\u2400\u2400\u2400HFS+ Private Data") private_files_ = id;
                if (const auto number = number_behind(name->name, "dir_")) linked_folders_[*number] = id;
                folders_[id] = *name;
            } else if (type == kFolderThread && !record.lost_in(record.key, record.data + record.data_length - record.key)) {
                if (auto place = name_in(record, record.data + 4, record.data_length - std::min<uint64_t>(record.data_length, 4)))
                    threads[name->parent] = *std::move(place);
            } else if (type == kFileRecord && record.data_length >= kFileBytes) {
                if (number_behind(name->name, "iNode")) numbered.push_back({record.node.be32(record.data + 8), *name});
            }
            return {};
        },
        [&](const HfsPlusNodeDamage& damage) { damages.push_back(damage); }, cancel));
    for (auto& [id, name] : threads)
        if (id != kRoot) folders_.try_emplace(id, std::move(name));
    for (const auto& [id, name] : numbered)
        if (name.parent == private_files_) linked_files_[*number_behind(name.name, "iNode")] = id;

    const uint64_t expected = catalogue_->leaf_records().value_or(0);
    const bool some_missing = catalogue_->header_is_lost() || records < expected;
    catalogue_is_damaged_ = some_missing || !damages.empty();
    json missing = {{"structure", "catalogue"}, {"records_found", records}};
    if (!catalogue_->header_is_lost()) missing["records_missing"] = expected - std::min(expected, records);
    for (const HfsPlusNodeDamage& damage : damages) {
        json evidence = missing;
        evidence["node"] = damage.node;
        evidence["reason"] = damage.reason;
        if (damage.image_offset) evidence["image_offset"] = *damage.image_offset;
        if (damage.cause) evidence["cause"] = to_string(*damage.cause);
        if (some_missing)
            report_.add("directory_unreadable", "a node of the catalogue cannot be read: files and folders may be missing", evidence, std::nullopt, sink);
        else
            report_.add("catalogue_node_damaged", "a node of the catalogue is damaged; no record is missing", evidence, std::nullopt, sink);
    }
    if (catalogue_->header_is_lost())
        report_.add("directory_unreadable", "the header of the catalogue is lost: whether files and folders are missing is not known", missing, std::nullopt, sink);
    else if (some_missing && damages.empty())
        report_.add("directory_unreadable", "the catalogue has fewer records than its header says: files and folders may be missing", missing, std::nullopt, sink);
    return {};
}

Result<void> HfsPlusReader::list(EntrySink& sink, const CancelToken& cancel) {
    folders_.clear();
    linked_files_.clear();
    linked_folders_.clear();
    compressed_.clear();
    given_ = {};
    last_path_.reset();
    last_folder_ = 0;
    lost_files_ = 0;
    TRY(gather(sink, cancel));
    sink.add_directory({"", std::nullopt, catalogue_->places()});
    // A link is a name of a file in the private folder: those come first, so that each inode comes before its names.
    for (const bool links_first : {true, false}) {
        links_first_ = links_first;
        if (links_first && linked_files_.empty() && linked_folders_.empty()) continue;
        TRY(catalogue_->for_each_leaf_record([&](const HfsPlusRecord& record) { return give(record, sink); },
                                             [](const HfsPlusNodeDamage&) {}, cancel));
    }
    if (lost_files_ > 0) {
        report_.count("lost_files", lost_files_);
        report_.add("lost_files", fmt::format("the folders of {} files and folders are lost: they are listed below $lost", lost_files_),
                    {{"count", lost_files_}}, std::nullopt, sink);
    }
    return {};
}

// nullopt for a folder that leads into a ring, or too deep.
std::optional<std::string> HfsPlusReader::path_of(uint32_t folder, EntrySink& sink) {
    if (folder == last_folder_) return last_path_;
    last_folder_ = folder;
    last_path_.reset();
    std::vector<std::string_view> parts;
    std::string top;
    uint32_t at = folder;
    for (int depth = 0; at != kRoot; ++depth) {
        if (depth > kMaxDepth) {
            report_.add("directory_loop", "files may be missing here: a folder lies in itself, or deeper than any does", {{"ino", folder}, {"structure", "catalogue"}},
                        static_cast<int64_t>(folder), sink);
            return {};
        }
        const auto found = folders_.find(at);
        if (found == folders_.end()) {
            top = fmt::format("$lost/ino-{}/", at);
            break;
        }
        parts.push_back(found->second.name);
        at = found->second.parent;
    }
    std::string path = std::move(top);
    for (auto part = parts.rbegin(); part != parts.rend(); ++part) path += (is_path_part(*part) ? std::string(*part) : as_path_part(*part)) + '/';
    if (path.size() > kMaxPathBytes) {
        report_.add("path_too_long", "files may be missing here: the folders are nested too deeply", {{"path_bytes", path.size()}}, std::nullopt, sink);
        return {};
    }
    last_path_ = std::move(path);
    return last_path_;
}

Result<void> HfsPlusReader::give(const HfsPlusRecord& record, EntrySink& sink) {
    const ProbeBytes& node = record.node;
    const int type = node.be16(record.data);
    const bool folder = type == kFolderRecord && record.data_length >= kFolderBytes;
    if (!folder && (type != kFileRecord || record.data_length < kFileBytes)) return {};
    const auto name = name_in(record, record.key, record.key_length);
    if (!name || name->parent == kRootParent) return {};
    const uint32_t id = node.be32(record.data + 8);
    if (links_first_) {
        const bool target = folder ? number_behind(name->name, "dir_").has_value() : name->parent == private_files_ && number_behind(name->name, "iNode").has_value();
        if (!target) return {};
    }
    const auto parent = path_of(name->parent, sink);
    if (!parent) return {};
    std::string path = *parent + (is_path_part(name->name) ? name->name : as_path_part(name->name));
    if (!is_path_part(name->name))
        report_.add("name_invalid", "a name cannot stand in a path and was changed", {{"path", path}, {"name_hex", to_hex(as_bytes(name->name))}}, static_cast<int64_t>(id), sink);

    if (const auto doubt = doubt_of_place(record, record.data + kIdEnd)) {
        report_.add("inode_unreadable", "a file or folder is lost: its record is lost in part",
                    {{"path", path}, {"image_offset", record.place.offset + record.data}, {"cause", to_string(doubt->cause)}, {"reason", doubt->reason}}, std::nullopt, sink);
        return {};
    }
    if (!folder) {
        const bool link = node.has(record.data + 48, "hlnkhfs+"), folder_link = node.has(record.data + 48, "fdrpMACS");
        if (link || folder_link) {
            const auto& targets = link ? linked_files_ : linked_folders_;
            const auto target = targets.find(node.be32(record.data + 44));
            if (target != targets.end() && given_.contains(target->second)) {
                report_.count("hard_links");
                return sink.add_name({std::move(path), "", static_cast<int64_t>(target->second)});
            }
            report_.add("inode_unreadable", "a file is lost: what its link leads to is not in the catalogue",
                        {{"path", path}, {"ino", id}, {"link", node.be32(record.data + 44)}, {"image_offset", record.place.offset}}, static_cast<int64_t>(id), sink);
            return {};
        }
    }
    if (id < kFirstUserId) {
        report_.count("system_files");
        return {};
    }
    if (!given_.insert(id)) {
        if (links_first_ || (folder ? number_behind(name->name, "dir_") : number_behind(name->name, "iNode"))) return {};  // it came first
        report_.add("inode_doubled", "two records of the catalogue have one number; the first is read", {{"path", path}, {"ino", id}, {"image_offset", record.place.offset}},
                    static_cast<int64_t>(id), sink);
        return {};
    }
    if (path.starts_with("$lost/")) ++lost_files_;
    if (!folder) return give_file(record, id, std::move(path), sink);
    TRY(sink.add_inode(describe(record, id, 'd')));
    return sink.add_name({std::move(path), "", static_cast<int64_t>(id)});
}

InodeEntry HfsPlusReader::describe(const HfsPlusRecord& record, uint32_t id, char type) const {
    const ProbeBytes& node = record.node;
    const uint64_t at = record.data;
    InodeEntry out;
    out.ino = id;
    out.fs_ino = std::to_string(id);
    out.fs_type = type;
    out.crtime = time_of(node.be32(at + 12));
    out.mtime = time_of(node.be32(at + 16));
    out.ctime = time_of(node.be32(at + 20));
    out.atime = time_of(node.be32(at + 24));
    const uint16_t mode = node.be16(at + 42);
    if (mode != 0) {  // written by Mac OS X
        out.mode = mode;
        out.uid = node.be32(at + 32);
        out.gid = node.be32(at + 36);
    }
    return out;
}

// Whether a record, from its key to `end`, touches what is lost of its node. Zeros at the end of a node's records are
// that in a catalogue with other damage; in a sound one they are how a file without content ends.
std::optional<HfsPlusReader::Doubt> HfsPlusReader::doubt_of_place(const HfsPlusRecord& record, uint64_t end) const {
    const HfsPlusLostSector* lost = record.lost_in(record.key - 2, end - (record.key - 2));
    if (!lost || (!lost->certain && !catalogue_is_damaged_)) return {};
    return Doubt{lost->cause.value_or(Cause::FS_CORRUPT), lost->cause ? "a part of the file's record was not read" : "the file's record may be lost in part"};
}

// What a fork's record says twice: its length in bytes and in blocks, the blocks and the extents.
std::optional<HfsPlusReader::Doubt> HfsPlusReader::doubt_of_fork(const HfsPlusRecord& record, uint64_t at, const HfsPlusFork& fork) const {
    constexpr uint64_t kForkBytes = 80, kBlocksAt = 12, kExtentsAt = 16, kExtents = 8;
    if (auto doubt = doubt_of_place(record, at + kForkBytes)) return doubt;
    const uint64_t blocks = record.node.be32(at + kBlocksAt);
    uint64_t bytes = 0;
    for (const ByteRange& place : fork.places) bytes += place.length;
    if (fork.size > blocks * block_bytes_) return Doubt{Cause::FS_CORRUPT, "the fork is longer than its blocks"};
    if (bytes > blocks * block_bytes_) return Doubt{Cause::FS_CORRUPT, "the fork's extents have more blocks than it says"};
    bool ended = false;
    for (uint64_t i = 0; i < kExtents; ++i) {
        const uint64_t count = record.node.be32(at + kExtentsAt + 8 * i + 4);
        if (ended && count != 0) return Doubt{Cause::FS_CORRUPT, "the fork's extents have a gap"};
        ended = ended || count == 0;
    }
    return {};
}

void HfsPlusReader::map_fork(const HfsPlusFork& fork, const std::optional<Doubt>& doubt, InodeEntry& out) const {
    out.access = ContentAccess::extents;
    ContentMap map(out.size, volume_.size_bytes);
    if (doubt) map.add_fault(0, out.size, doubt->cause, text_of({{"reason", doubt->reason}}));
    uint64_t at = 0;
    for (const ByteRange& place : fork.places) {
        map.add_data(at, place.offset, place.length);
        at += place.length;
    }
    map.finish(ContentMap::Gap::missing, out);
}

std::string HfsPlusReader::link_target(const HfsPlusFork& fork) const {
    constexpr uint64_t kMaxTarget = 4096;
    std::string target;
    for (const ByteRange& place : fork.places) {
        const uint64_t length = std::min(place.length, std::min(fork.size, kMaxTarget) - target.size());
        const ByteRange here{place.offset, length};
        if (length == 0 || here.end() > source_.size_bytes() || unread_.in(here)) break;
        std::string piece(length, '\0');
        if (!source_.read(here.offset, {reinterpret_cast<uint8_t*>(piece.data()), piece.size()}).ok()) break;
        target += piece;
    }
    return target;
}

Result<void> HfsPlusReader::give_file(const HfsPlusRecord& record, uint32_t id, std::string path, EntrySink& sink) {
    constexpr uint64_t kDataAt = 88, kResourceAt = 168;
    constexpr uint8_t kCompressedFlag = 0x20;
    const ProbeBytes& node = record.node;
    const uint16_t mode = node.be16(record.data + 42);
    char type = 'f';
    switch (mode & 0170000) {
        case 0120000: type = 'l'; break;
        case 0060000: type = 'b'; break;
        case 0020000: type = 'c'; break;
        case 0010000: type = 'p'; break;
        case 0140000: type = 's'; break;
        default: break;
    }
    const HfsPlusFork data = fork_at(node, record.data + kDataAt, {id, kDataFork});
    const HfsPlusFork resource = fork_at(node, record.data + kResourceAt, {id, kResourceFork});
    const auto doubt_of_data = doubt_of_fork(record, record.data + kDataAt, data);
    const auto doubt_of_resource = doubt_of_fork(record, record.data + kResourceAt, resource);
    const bool never_written = node.be32(record.data + 12) == 0 && node.be32(record.data + 16) == 0 && data.size == 0 && resource.size == 0;
    const auto lost = [&](const std::string& of, const std::string& reason, Cause cause) {  // no byte to put the doubt on
        report_.add("inode_unreadable", "a file is lost: its record cannot be believed",
                    {{"path", of}, {"ino", id}, {"image_offset", record.place.offset + record.data}, {"reason", reason}, {"cause", to_string(cause)}}, id, sink);
    };
    if (resource.size == 0 && doubt_of_resource && !(data.size == 0 && doubt_of_data)) lost(path + ":rsrc", doubt_of_resource->reason, doubt_of_resource->cause);
    if (data.size == 0 && doubt_of_data) {
        lost(path, doubt_of_data->reason, doubt_of_data->cause);
        return {};
    }
    if (never_written) {
        lost(path, "a file that was never made", Cause::FS_CORRUPT);
        return {};
    }
    InodeEntry file = describe(record, id, type);
    file.size = std::min<uint64_t>(data.size, INT64_MAX);
    if (linked_files_.size() + linked_folders_.size() > 0 && node.be32(record.data + 44) > 1 && number_behind(path.substr(path.rfind('/') + 1), "iNode"))
        file.nlink = node.be32(record.data + 44);
    bool fork_is_content = false;
    if (type == 'l') {
        file.target = doubt_of_data ? std::string() : link_target(data);
    } else if (type == 'f' && data.size == 0 && (node.u8(record.data + 41) & kCompressedFlag)) {
        report_.count("compressed_files");
        const auto found = compressed_.find(id);
        if (found == compressed_.end()) {
            report_.add("inode_unreadable", "a file is lost: it is compressed, and the attribute that says how cannot be read",
                        {{"path", path}, {"ino", id}, {"image_offset", record.place.offset}}, id, sink);
            return {};
        }
        fork_is_content = true;
        file.size = std::min<uint64_t>(found->second.size, INT64_MAX);
        if (doubt_of_resource) {
            file.access = ContentAccess::unreadable;
            if (file.size > 0) file.faults.push_back({doubt_of_resource->cause, 0, file.size, text_of({{"reason", doubt_of_resource->reason}})});
        } else if (decoder_of_compressed().ok()) {
            file.access = ContentAccess::through_reader;
            file.extents.push_back({0, found->second.place.offset, found->second.place.length, ExtentKind::opaque});
            for (const ByteRange& place : resource.places) file.extents.push_back({0, place.offset, place.length, ExtentKind::opaque});
        } else {
            file.access = ContentAccess::unreadable;
            if (file.size > 0) file.faults.push_back({Cause::UNSUPPORTED_COMPRESSION, 0, file.size, R"({"reason":"decmpfs"})"});
        }
    } else if (type == 'f') {
        map_fork(data, doubt_of_data, file);
    }
    InodeEntry stream = file;
    TRY(sink.add_inode(std::move(file)));
    if (resource.size > 0 && !fork_is_content) {
        stream.ino = kFirstStreamIno + (static_cast<int64_t>(id) << 16 | 1);
        stream.fs_ino = fmt::format("{}-4353-1", id);
        stream.stream = "rsrc";
        stream.fs_type = 'f';
        stream.target.reset();
        stream.extents.clear();
        stream.faults.clear();
        stream.size = std::min<uint64_t>(resource.size, INT64_MAX);
        map_fork(resource, doubt_of_resource, stream);
        const int64_t ino = stream.ino;
        report_.count("streams");
        TRY(sink.add_inode(std::move(stream)));
        TRY(sink.add_name({path + ":rsrc", "", ino}));
    }
    return sink.add_name({std::move(path), "", static_cast<int64_t>(id)});
}

}  // namespace

Result<std::unique_ptr<FsReader>> open_hfsplus(const ByteSource& source, const Volume& volume, const ReaderOptions& options,
                                               FindingSink& findings) {
    auto reader = std::make_unique<HfsPlusReader>(source, volume, options);
    TRY(reader->open(findings));
    return std::unique_ptr<FsReader>(std::move(reader));
}

}  // namespace ntt

#include "fs/fat/fat_image.h"

#include <algorithm>
#include <filesystem>

namespace ntt::test {
namespace {

std::string with_image(std::string command, const std::string& image) {
    for (size_t at = 0; (at = command.find("IMG", at)) != std::string::npos; at += image.size()) command.replace(at, 3, image);
    return command;
}

}  // namespace

Result<void> Listing::add_inode(InodeEntry inode) {
    inodes.push_back(std::move(inode));
    return {};
}

Result<void> Listing::add_name(NameEntry name) {
    names.push_back(std::move(name));
    return {};
}

std::vector<std::string> Listing::paths() const {
    std::vector<std::string> out;
    for (const NameEntry& name : names) out.push_back(name.path);
    return out;
}

const NameEntry& Listing::name(const std::string& path) const {
    static const NameEntry kNone;
    for (const NameEntry& name : names)
        if (name.path == path) return name;
    ADD_FAILURE() << "no entry " << path;
    return kNone;
}

const InodeEntry& Listing::at(const std::string& path) const {
    static const InodeEntry kNone;
    const int64_t ino = name(path).ino;
    for (const InodeEntry& inode : inodes)
        if (inode.ino == ino) return inode;
    ADD_FAILURE() << "no inode of " << path;
    return kNone;
}

size_t Listing::count(std::string_view code) const {
    return static_cast<size_t>(std::count_if(findings.begin(), findings.end(), [&](const Finding& f) { return f.code == code; }));
}

nlohmann::json Listing::evidence(std::string_view code) const {
    for (const Finding& finding : findings)
        if (finding.code == code) return nlohmann::json::parse(finding.evidence);
    ADD_FAILURE() << "no finding " << code;
    return {};
}

std::string Listing::all_findings() const {
    std::string out;
    for (const Finding& finding : findings) out += finding.code + ": " + finding.message + " " + finding.evidence + "\n";
    return out;
}

Listing list_fat(const std::string& image, Where where) {
    Listing listing;
    const auto source = memory_image(image);
    Volume volume;
    volume.number = 1;
    volume.offset_bytes = where.offset_bytes;
    volume.size_bytes = image.size() - std::min<uint64_t>(image.size(), where.offset_bytes);
    auto reader = open_fat(*source, volume, where.options, listing);
    if (!reader.ok()) {
        listing.outcome = reader.error();
        return listing;
    }
    const CancelToken cancel;
    listing.outcome = (*reader)->list(listing, cancel);
    listing.detail = nlohmann::json::parse((*reader)->detail());
    return listing;
}

Listing list_with_unread(const std::string& image, ByteRange unread) {
    Where where;
    where.options.unread = std::make_shared<const std::vector<UnreadRange>>(std::vector<UnreadRange>{{unread, Cause::BAD_SECTOR}});
    return list_fat(image, where);
}

std::string content(const std::string& image, const InodeEntry& inode) {
    std::string out;
    for (const Extent& extent : inode.extents) {
        EXPECT_EQ(extent.file_offset, out.size());
        if (extent.image_offset < image.size()) out += image.substr(extent.image_offset, extent.length);
    }
    return out;
}

void expect_covered(const Listing& listing) {
    for (const InodeEntry& inode : listing.inodes) {
        struct Part {
            uint64_t offset, length;
        };
        std::vector<Part> parts;
        for (const Extent& extent : inode.extents) parts.push_back({extent.file_offset, extent.length});
        for (const ContentFault& fault : inode.faults) {
            parts.push_back({fault.file_offset, fault.length});
            ASSERT_TRUE(nlohmann::json::accept(fault.evidence)) << fault.evidence;
        }
        std::sort(parts.begin(), parts.end(), [](const Part& a, const Part& b) { return a.offset < b.offset; });
        uint64_t end = 0;
        for (const Part& part : parts) {
            ASSERT_EQ(part.offset, end) << "ino " << inode.ino;
            ASSERT_GT(part.length, 0u) << "ino " << inode.ino;
            end += part.length;
        }
        ASSERT_EQ(end, inode.size) << "ino " << inode.ino;
        ASSERT_LE(inode.extents.size(), listing.detail["clusters"].get<uint64_t>());
    }
    for (const Finding& finding : listing.findings) ASSERT_TRUE(nlohmann::json::accept(finding.evidence)) << finding.evidence;
}

FatMaker::FatMaker(const std::string& make_command) : image_path_(dir_ / "image") { run(make_command); }

void FatMaker::run(const std::string& command) {
    must("export MTOOLS_SKIP_CHECK=1; " + with_image(command, image_path_), dir_.path());
}

void FatMaker::put(const std::string& path, std::string_view bytes) {
    write_file(dir_ / "content", bytes);
    run("mcopy -i IMG content " + shell_quoted("::" + path));
}

std::map<std::string, std::string> FatMaker::oracle() {
    const std::filesystem::path out = dir_ / "out";
    std::filesystem::remove_all(out);
    std::filesystem::create_directory(out);
    const CommandResult result = sh(with_image("MTOOLS_SKIP_CHECK=1 mcopy -s -n -i IMG '::*' out/", image_path_), dir_.path());
    const bool is_empty = result.err.find("File \"::*\" not found") != std::string::npos;
    EXPECT_TRUE(result.exit == 0 || is_empty) << result.err;
    std::map<std::string, std::string> files;
    for (const auto& entry : std::filesystem::recursive_directory_iterator(out))
        if (entry.is_regular_file()) files[entry.path().lexically_relative(out)] = read_file(entry.path());
    return files;
}

FatPatch::FatPatch(std::string& image, int fat_bits) : image_(image), fat_bits_(fat_bits) {
    const size_t sector = get(11, 2);
    cluster_size_ = sector * get(13, 1);
    fat_offset_ = sector * get(14, 2);
    fat_length_ = sector * (get(22, 2) != 0 ? get(22, 2) : get(36, 4));
    data_offset_ = fat_offset_ + get(16, 1) * fat_length_ + (get(17, 2) * 32 + sector - 1) / sector * sector;
}

uint32_t FatPatch::get(size_t offset, int bytes) const {
    uint32_t value = 0;
    for (int i = bytes - 1; i >= 0; --i) value = value << 8 | static_cast<uint8_t>(image_.at(offset + static_cast<size_t>(i)));
    return value;
}

void FatPatch::put16(size_t offset, uint16_t value) {
    image_.at(offset) = static_cast<char>(value & 0xFF);
    image_.at(offset + 1) = static_cast<char>(value >> 8);
}

void FatPatch::put32(size_t offset, uint32_t value) {
    put16(offset, static_cast<uint16_t>(value & 0xFFFF));
    put16(offset + 2, static_cast<uint16_t>(value >> 16));
}

uint32_t FatPatch::entry_in_copy(uint32_t cluster, int copy) const {
    const size_t at = fat_offset(copy);
    if (fat_bits_ == 32) return get(at + cluster * 4, 4) & 0x0FFFFFFF;
    if (fat_bits_ == 16) return get(at + cluster * 2, 2);
    const uint32_t pair = get(at + cluster / 2 * 3, 3);
    return cluster % 2 == 0 ? pair & 0xFFF : pair >> 12;
}

void FatPatch::set_in_copy(uint32_t cluster, uint32_t value, int copy) {
    const size_t at = fat_offset(copy);
    if (fat_bits_ == 32) return put32(at + cluster * 4, value);
    if (fat_bits_ == 16) return put16(at + cluster * 2, static_cast<uint16_t>(value));
    const size_t pair_at = at + cluster / 2 * 3;
    const uint32_t pair = get(pair_at, 3);
    const uint32_t patched = cluster % 2 == 0 ? (pair & 0xFFF000) | value : (pair & 0x000FFF) | value << 12;
    for (size_t i = 0; i < 3; ++i) image_.at(pair_at + i) = static_cast<char>(patched >> (8 * i) & 0xFF);
}

void FatPatch::set(uint32_t cluster, uint32_t value) {
    set_in_copy(cluster, value, 0);
    set_in_copy(cluster, value, 1);
}

size_t FatPatch::find(std::string_view eleven, size_t from) const {
    for (size_t at = std::max(from, fat_offset(0)); (at = image_.find(eleven, at)) != std::string::npos; ++at)
        if (at % 32 == 0) return at;
    return std::string::npos;
}

uint32_t FatPatch::start_of(std::string_view eleven) const {
    const size_t at = find(eleven);
    EXPECT_NE(at, std::string::npos) << eleven;
    return get(at + 26, 2) | (fat_bits_ == 32 ? get(at + 20, 2) << 16 : 0);
}

std::vector<uint32_t> FatPatch::chain_of(std::string_view eleven) const {
    std::vector<uint32_t> chain;
    const uint32_t end = fat_bits_ == 12 ? 0xFF8 : fat_bits_ == 16 ? 0xFFF8 : 0x0FFFFFF8;
    for (uint32_t cluster = start_of(eleven); cluster >= 2 && cluster < end && chain.size() < 100000; cluster = entry(cluster))
        chain.push_back(cluster);
    return chain;
}

}  // namespace ntt::test

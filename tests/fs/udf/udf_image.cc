#include "udf_image.h"

#include <algorithm>
#include <utility>

namespace ntt::test {

namespace {

constexpr uint32_t kBlocks = 2000, kPartition = 300, kPartitionBlocks = 1600;
constexpr uint32_t kMain = 32, kReserve = 64, kSparingTable = 100, kSpareArea = 128, kPacket = 16;
constexpr uint32_t kMetadataFile = 0, kMetadataMirror = 1, kMetadataFirst = 8, kMetadataSecond = 300, kMetadataHalf = 100;
constexpr uint32_t kMovedPacket = 16;  // a packet of the sparable partition that lies in the spare area

void put(std::string& out, size_t at, uint64_t value, size_t bytes) {
    for (size_t i = 0; i < bytes; ++i) out[at + i] = static_cast<char>(value >> (8 * i));
}

std::string number(uint64_t value, size_t bytes) {
    std::string out(bytes, '\0');
    put(out, 0, value, bytes);
    return out;
}

uint32_t crc(const std::string& bytes, size_t at, size_t length) {
    uint32_t out = 0;
    for (size_t i = at; i < at + length; ++i) {
        out ^= static_cast<uint32_t>(static_cast<uint8_t>(bytes[i])) << 8;
        for (int bit = 0; bit < 8; ++bit) out = (out & 0x8000) ? (out << 1 ^ 0x1021) & 0xFFFF : out << 1 & 0xFFFF;
    }
    return out;
}

void identify(std::string& out, size_t at, const std::string& name) { out.replace(at + 1, name.size(), name); }

std::string text(const std::string& utf8, size_t field) {  // Latin-1 only: the tests give 16-bit names whole
    std::string out(field, '\0');
    out[0] = 8;
    out.replace(1, utf8.size(), utf8);
    out[field - 1] = static_cast<char>(utf8.size() + 1);
    return out;
}

// A name as it stands on the disc; the tests' names are BMP, given in UTF-8.
std::string compressed(const std::string& utf8) {
    std::vector<uint32_t> points;
    for (size_t i = 0; i < utf8.size();) {
        const auto c = static_cast<uint8_t>(utf8[i]);
        const size_t more = c < 0x80 ? 0 : c < 0xE0 ? 1 : 2;
        uint32_t point = more == 0 ? c : more == 1 ? c & 0x1F : c & 0x0F;
        for (size_t k = 1; k <= more; ++k) point = point << 6 | (static_cast<uint8_t>(utf8[i + k]) & 0x3F);
        points.push_back(point);
        i += more + 1;
    }
    const bool wide = std::any_of(points.begin(), points.end(), [](uint32_t p) { return p > 0xFF; });
    std::string out(1, wide ? '\x10' : '\x08');
    for (const uint32_t point : points) {
        if (wide) out.push_back(static_cast<char>(point >> 8));
        out.push_back(static_cast<char>(point));
    }
    return out;
}

std::string timestamp() {  // 2001-02-03 04:05:06.5, one hour east of UTC
    return number(0x1000 | 60, 2) + number(2001, 2) + std::string("\x02\x03\x04\x05\x06\x32\0\0", 8);
}

}  // namespace

void UdfImage::seal(std::string& image, size_t at, uint16_t id, uint32_t location, size_t length) {
    put(image, at, id, 2);
    put(image, at + 2, 3, 2);
    put(image, at + 6, 1, 2);
    put(image, at + 8, crc(image, at + 16, length - 16), 2);
    put(image, at + 10, length - 16, 2);
    put(image, at + 12, location, 4);
    uint8_t sum = 0;
    image[at + 4] = 0;
    for (size_t i = 0; i < 16; ++i) sum = static_cast<uint8_t>(sum + static_cast<uint8_t>(image[at + i]));
    image[at + 4] = static_cast<char>(sum);
}

UdfImage::UdfImage(UdfParts parts, bool extended) : parts_(parts), extended_(extended), image_(kBlocks * kUdfBlock, '\0') {
    if (parts == UdfParts::metadata) next_ = kMetadataFirst + kMetadataHalf;
    file_set_ = reserve_icb();
}

size_t UdfImage::place(uint32_t block) const {
    if (parts_ == UdfParts::sparable && block / kPacket * kPacket == kMovedPacket) return (kSpareArea + block % kPacket) * kUdfBlock;
    return (kPartition + block) * kUdfBlock;
}

uint32_t UdfImage::take_blocks(size_t count) {
    const uint32_t out = next_;
    next_ += static_cast<uint32_t>(count);
    if (parts_ == UdfParts::metadata && out < kMetadataSecond && next_ > kMetadataSecond) {
        next_ = kMetadataSecond + kMetadataHalf;
        return take_blocks(count);
    }
    return out;
}

uint32_t UdfImage::reserve_icb() {
    switch (parts_) {
        case UdfParts::plain:
        case UdfParts::sparable: return take_blocks(1);
        case UdfParts::virtual_blocks: virtual_.push_back(take_blocks(1)); return static_cast<uint32_t>(virtual_.size() - 1);
        case UdfParts::metadata: return next_metadata_++;
    }
    return 0;
}

size_t UdfImage::place_of_icb(uint32_t icb) const {
    switch (parts_) {
        case UdfParts::plain:
        case UdfParts::sparable: return place(icb);
        case UdfParts::virtual_blocks: return place(virtual_[icb]);
        case UdfParts::metadata:
            return (kPartition + (icb < kMetadataHalf ? kMetadataFirst + icb : kMetadataSecond + icb - kMetadataHalf)) * kUdfBlock;
    }
    return 0;
}

size_t UdfImage::file_set_place() const { return place_of_icb(file_set_); }

void UdfImage::write_blocks(uint32_t block, const std::string& bytes, bool is_content) {
    for (size_t at = 0; at < bytes.size(); at += kUdfBlock, ++block) {
        const std::string piece = bytes.substr(at, kUdfBlock);
        image_.replace(place(block), piece.size(), piece);
        if (is_content) content_blocks_.push_back(place(block));
    }
}

std::string UdfImage::extents_of(const std::string& content, UdfForm form, bool is_content) {
    if (form == UdfForm::embedded) return content;
    if (content.empty()) return {};
    const uint32_t block = take_blocks((content.size() + kUdfBlock - 1) / kUdfBlock);
    write_blocks(block, content, is_content);
    const std::string start = number(content.size(), 4) + number(block, 4);
    return form == UdfForm::short_form ? start : start + number(0, 2) + number(0, 6);
}

void UdfImage::write_icb(uint32_t icb, uint8_t type, uint64_t size, UdfForm form, const std::string& descriptors, uint32_t streams) {
    const size_t at = place_of_icb(icb), lengths = extended_ ? 208 : 168;
    put(image_, at + 20, 4, 2);
    put(image_, at + 24, 1, 2);
    image_[at + 27] = static_cast<char>(type);
    put(image_, at + 34, static_cast<uint64_t>(form) | 0x40, 2);  // set-uid
    put(image_, at + 36, 1000, 4);
    put(image_, at + 40, 100, 4);
    put(image_, at + 44, 7 << 10 | 5 << 5 | 4, 4);  // rwxr-xr--
    put(image_, at + 48, 1, 2);
    put(image_, at + 56, size, 8);
    for (size_t i = 0; i < (extended_ ? 4u : 3u); ++i) image_.replace(at + (extended_ ? 80 : 72) + 12 * i, 12, timestamp());
    if (streams != 0) {
        put(image_, at + 152, kUdfBlock, 4);
        put(image_, at + 156, streams, 4);
        put(image_, at + 160, top(), 2);
    }
    put(image_, at + lengths + 4, descriptors.size(), 4);
    image_.replace(at + lengths + 8, descriptors.size(), descriptors);
    seal(image_, at, extended_ ? 266 : 261, icb, lengths + 8 + descriptors.size());
}

uint32_t UdfImage::add_file(const std::string& content, UdfForm form, uint8_t type, uint32_t stream_folder) {
    const uint32_t icb = reserve_icb();
    // The short form means the partition of the ICB itself: not for content where that holds metadata only.
    if (form == UdfForm::short_form && top() != 0) form = UdfForm::long_form;
    write_icb(icb, type, content.size(), form, extents_of(content, form, true), stream_folder);
    return icb;
}

uint32_t UdfImage::add_scattered(const std::string& content, size_t piece, size_t per_table) {
    const uint32_t icb = reserve_icb();
    std::vector<std::string> extents;
    for (size_t at = 0; at < content.size(); at += piece) {
        extents.push_back(extents_of(content.substr(at, piece), UdfForm::long_form, true));
        take_blocks(1);
    }
    std::vector<std::string> tables(1);
    for (size_t i = 0; i < extents.size(); ++i) {
        if (i > 0 && i % per_table == 0) tables.emplace_back();
        tables.back() += extents[i];
    }
    std::string behind;  // what leads from one table to the next, made from the last one on
    for (size_t i = tables.size(); i-- > 1;) {
        const uint32_t block = take_blocks(1);
        const size_t at = place(block);
        const std::string body = tables[i] + behind;
        put(image_, at + 20, body.size(), 4);
        image_.replace(at + 24, body.size(), body);
        seal(image_, at, 258, block, 24 + body.size());
        behind = number(uint64_t{3} << 30 | kUdfBlock, 4) + number(block, 4) + number(0, 8);
    }
    write_icb(icb, 5, content.size(), UdfForm::long_form, tables[0] + behind);
    return icb;
}

uint32_t UdfImage::add_folder(const std::vector<UdfChild>& children, uint32_t parent, UdfForm form, uint8_t type) {
    const uint32_t icb = reserve_icb();
    add_folder_at(icb, children, parent, form, type);
    return icb;
}

void UdfImage::add_folder_at(uint32_t icb, const std::vector<UdfChild>& children, uint32_t parent, UdfForm form, uint8_t type) {
    std::string names;
    const auto add = [&](const std::string& name, uint32_t to, uint8_t flags) {
        const size_t at = names.size(), length = (38 + name.size() + 3) / 4 * 4;
        names.resize(at + length);
        put(names, at + 16, 1, 2);
        names[at + 18] = static_cast<char>(flags);
        names[at + 19] = static_cast<char>(name.size());
        put(names, at + 20, kUdfBlock, 4);
        put(names, at + 24, to, 4);
        put(names, at + 28, top(), 2);
        names.replace(at + 38, name.size(), name);
        seal(names, at, 257, icb, length);
    };
    add("", parent, 8 | 2);
    for (const UdfChild& child : children) add(compressed(child.name), child.icb, child.folder ? 2 : 0);
    if (form == UdfForm::short_form && top() != 0) form = UdfForm::long_form;
    write_icb(icb, type, names.size(), form, extents_of(names, form, false));
}

void UdfImage::link_icb(uint32_t icb, uint32_t newer) {
    const size_t at = place_of_icb(icb), next = place_of_icb(icb + 1);
    put(image_, at + 20, 4096, 2);
    const auto id = static_cast<uint16_t>(static_cast<uint8_t>(image_[at]) | static_cast<uint8_t>(image_[at + 1]) << 8);
    const auto length = static_cast<size_t>(static_cast<uint8_t>(image_[at + 10]) | static_cast<uint8_t>(image_[at + 11]) << 8) + 16;
    seal(image_, at, id, icb, length);
    put(image_, next + 20, 4096, 2);
    image_[next + 27] = 3;
    put(image_, next + 36, kUdfBlock, 4);
    put(image_, next + 40, newer, 4);
    put(image_, next + 44, top(), 2);
    seal(image_, next, 259, icb + 1, 52);
}

std::string UdfImage::finish(uint32_t root) {
    for (const auto& [block, name] : {std::pair{16, "BEA01"}, {17, "NSR03"}, {18, "TEA01"}}) {
        image_.replace(static_cast<size_t>(block) * kUdfBlock + 1, 5, name);
        image_[static_cast<size_t>(block) * kUdfBlock + 6] = 1;
    }
    const size_t file_set = file_set_place();
    put(image_, file_set + 400, kUdfBlock, 4);
    put(image_, file_set + 404, root, 4);
    put(image_, file_set + 408, top(), 2);
    seal(image_, file_set, 256, file_set_, 512);

    if (parts_ == UdfParts::metadata)
        for (const uint32_t block : {kMetadataFile, kMetadataMirror}) {
            const UdfParts kept = std::exchange(parts_, UdfParts::plain);
            const std::string extents = number(kMetadataHalf * kUdfBlock, 4) + number(kMetadataFirst, 4) +
                                        number(kMetadataHalf * kUdfBlock, 4) + number(kMetadataSecond, 4);
            write_icb(block, block == kMetadataFile ? 250 : 251, 2 * kMetadataHalf * kUdfBlock, UdfForm::short_form, extents);
            parts_ = kept;
        }
    if (parts_ == UdfParts::sparable) {
        const size_t table = kSparingTable * kUdfBlock;
        identify(image_, table + 16, "*UDF Sparing Table");
        put(image_, table + 48, 2, 2);
        put(image_, table + 56, kMovedPacket, 4);
        put(image_, table + 60, kSpareArea, 4);
        put(image_, table + 64, 0xFFFFFFFF, 4);
        seal(image_, table, 0, kSparingTable, 72);
    }
    size_t end = kBlocks;
    if (parts_ == UdfParts::virtual_blocks) {
        std::string table;
        if (extended_) {
            table = std::string(152, '\0');
            put(table, 0, 152, 2);
        }
        for (const uint32_t block : virtual_) table += number(block, 4);
        if (!extended_) {
            std::string tail(36, '\0');
            identify(tail, 0, "*UDF Virtual Alloc Tbl");
            put(tail, 32, 0xFFFFFFFF, 4);
            table += tail;
        }
        const uint32_t block = take_blocks(1);
        const std::vector<uint32_t> kept = std::exchange(virtual_, {});
        const UdfParts kind = std::exchange(parts_, UdfParts::plain);
        write_icb(block, extended_ ? 248 : 0, table.size(), UdfForm::embedded, table);
        virtual_ = kept;
        parts_ = kind;
        end = kPartition + block + 1;
    }

    for (const uint32_t sequence : {kMain, kReserve}) {
        size_t at = sequence * kUdfBlock;
        image_.replace(at + 24, 32, text("TEST", 32));
        seal(image_, at, 1, sequence, 512);
        at += kUdfBlock;
        put(image_, at + 20, 1, 2);
        identify(image_, at + 24, "+NSR03");
        put(image_, at + 184, 1, 4);
        put(image_, at + 188, kPartition, 4);
        put(image_, at + 192, kPartitionBlocks, 4);
        seal(image_, at, 5, sequence + 1, 512);
        at += kUdfBlock;
        image_.replace(at + 84, 128, text("TEST", 128));
        put(image_, at + 212, kUdfBlock, 4);
        identify(image_, at + 216, "*OSTA UDF Compliant");
        put(image_, at + 240, extended_ ? 0x0250 : 0x0150, 2);
        put(image_, at + 248, kUdfBlock, 4);
        put(image_, at + 252, file_set_, 4);
        put(image_, at + 256, top(), 2);
        std::string maps = number(1 | 6 << 8, 2) + number(1, 2) + number(0, 2);
        if (parts_ != UdfParts::plain) {
            std::string map(64, '\0');
            map[0] = 2;
            map[1] = 64;
            put(map, 36, 1, 2);
            if (parts_ == UdfParts::virtual_blocks) identify(map, 4, "*UDF Virtual Partition");
            if (parts_ == UdfParts::sparable) {
                identify(map, 4, "*UDF Sparable Partition");
                put(map, 40, kPacket, 2);
                map[42] = 1;
                put(map, 44, kUdfBlock, 4);
                put(map, 48, kSparingTable, 4);
            }
            if (parts_ == UdfParts::metadata) {
                identify(map, 4, "*UDF Metadata Partition");
                put(map, 40, kMetadataFile, 4);
                put(map, 44, kMetadataMirror, 4);
            }
            maps = parts_ == UdfParts::sparable ? map : maps + map;
        }
        put(image_, at + 264, maps.size(), 4);
        put(image_, at + 268, maps.size() > 64 ? 2 : 1, 4);
        image_.replace(at + 440, maps.size(), maps);
        seal(image_, at, 6, sequence + 2, 440 + maps.size());
        seal(image_, at + kUdfBlock, 8, sequence + 3, 512);
    }
    for (const size_t anchor : {size_t{256}, size_t{kBlocks - 1}}) {
        if (anchor >= end) continue;
        const size_t at = anchor * kUdfBlock;
        put(image_, at + 16, 16 * kUdfBlock, 4);
        put(image_, at + 20, kMain, 4);
        put(image_, at + 24, 16 * kUdfBlock, 4);
        put(image_, at + 28, kReserve, 4);
        seal(image_, at, 2, static_cast<uint32_t>(anchor), 512);
    }
    return image_.substr(0, end * kUdfBlock);
}

}  // namespace ntt::test

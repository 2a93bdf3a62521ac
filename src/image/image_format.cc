#include "image/image_format.h"

#include <algorithm>
#include <array>

namespace ntt {
namespace {

using namespace std::string_view_literals;
using Kind = ImageFormat::Kind;

constexpr std::string_view kConvert = "convert it: qemu-img convert -O raw FILE disk.img";
constexpr std::string_view kUnpack = "unpack it, then give the images or the folder that come out of it";
constexpr std::string_view kDecodeFlux = "decode it to sectors first (Greaseweazle: gw convert; HxC; disk-analyse)";
constexpr std::string_view kNotAnImage = "give the file that holds the sectors";

bool has(ByteView bytes, size_t offset, std::string_view magic) {
    return offset <= bytes.size() && as_text(bytes.subspan(offset)).starts_with(magic);
}

bool always(ByteView) { return true; }

// RFC 1952: deflate, no reserved flags, and values of XFL and OS that packers write.
bool is_gzip(ByteView head) {
    return head.size() >= 18 && (head[3] & 0xE0) == 0 && (head[8] == 0 || head[8] == 2 || head[8] == 4) &&
           (head[9] <= 13 || head[9] == 255);
}

// After "BZh" the level, then a block, or the end mark of an empty stream.
bool is_bzip2(ByteView head) {
    return head.size() >= 10 && head[3] >= '1' && head[3] <= '9' &&
           (has(head, 4, "1AY&SY") || has(head, 4, "\x17\x72\x45\x38\x50\x90"));
}

bool is_elf(ByteView head) {
    return head.size() >= 52 && (head[4] == 1 || head[4] == 2) && (head[5] == 1 || head[5] == 2) && head[6] == 1;
}

// Source: SuperCard Pro image specification 2.4, header: revolutions, start and end track, flags, cell width, heads.
bool is_scp(ByteView head) { return head.size() >= 16 && head[6] <= head[7] && head[7] < 168 && head[10] <= 2; }

// Before the magic stands the name of the program that wrote it: "<<< Oracle VM VirtualBox Disk Image >>>".
bool is_vdi(ByteView head) { return has(head, 0, "<<< "); }

struct Signature {
    size_t offset;
    std::string_view magic;
    bool (*certain)(ByteView head);
    ImageFormat format;
};

constexpr ImageFormat foreign(std::string_view name, std::string_view hint) { return {Kind::foreign, {name, hint}}; }

// Sources: the formats' own specifications as far as published, else file(1)'s database, each checked on real files
// where Debian has a program that writes them.
const std::array kHeadSignatures = {
    Signature{0, "EVF\x09\x0d\x0a\xff\x00"sv, always, {Kind::ewf, {}}},
    Signature{0, "KDMV"sv, always, {Kind::vmdk, {}}},
    Signature{0, "COWD"sv, always, {Kind::vmdk, {}}},
    Signature{0, "# Disk DescriptorFile"sv, always, {Kind::vmdk, {}}},
    Signature{0, "conectix"sv, always, {Kind::vhd, {}}},

    Signature{0, "QFI\xfb"sv, always, foreign("a qcow2 disk image", kConvert)},
    Signature{64, "\x7f\x10\xda\xbe"sv, is_vdi, foreign("a VDI (VirtualBox) disk image", kConvert)},
    Signature{0, "vhdxfile"sv, always, foreign("a VHDX disk image", kConvert)},
    Signature{0, "AFF1"sv, always, foreign("an AFF evidence file", "convert it: affconvert -r FILE")},
    Signature{0, "EVF2\x0d\x0a\x81\x00"sv, always, foreign("an EWF version 2 (Ex01) evidence file", "export it as raw or E01")},
    Signature{0, "LVF\x09\x0d\x0a\xff\x00"sv, always, foreign("an EWF logical evidence file (L01)", kUnpack)},
    Signature{0, "LEF2\x0d\x0a\x81\x00"sv, always, foreign("an EWF version 2 logical evidence file (Lx01)", kUnpack)},
    Signature{0, "partclone-image"sv, always,
              foreign("a partclone image", "restore it: partclone.restore -C -s FILE -o disk.img")},

    Signature{0, "SCP"sv, is_scp, foreign("an SCP flux recording", kDecodeFlux)},
    Signature{0, "HXCPICFE"sv, always, foreign("an HFE floppy track image", kDecodeFlux)},
    Signature{0, "HXCHFEV3"sv, always, foreign("an HFE floppy track image", kDecodeFlux)},
    Signature{0, "WOZ1\xff\x0a\x0d\x0a"sv, always, foreign("a WOZ flux recording", kDecodeFlux)},
    Signature{0, "WOZ2\xff\x0a\x0d\x0a"sv, always, foreign("a WOZ flux recording", kDecodeFlux)},

    Signature{0, "\x1f\x8b\x08"sv, is_gzip, foreign("a gzip file", "unpack it: gzip -dc FILE > disk.img")},
    Signature{0, "BZh"sv, is_bzip2, foreign("a bzip2 file", "unpack it: bzip2 -dc FILE > disk.img")},
    Signature{0,
              "\xfd"
              "7zXZ\x00"sv,
              always, foreign("an xz file", "unpack it: xz -dc FILE > disk.img")},
    Signature{0, "\x28\xb5\x2f\xfd"sv, always, foreign("a zstd file", "unpack it: zstd -dc FILE > disk.img")},
    Signature{0, "\x04\x22\x4d\x18"sv, always, foreign("an LZ4 file", "unpack it: lz4 -dc FILE > disk.img")},
    Signature{0, "PK\x03\x04"sv, always, foreign("a zip archive", kUnpack)},
    Signature{0, "PK\x05\x06"sv, always, foreign("a zip archive", kUnpack)},
    Signature{0, "7z\xbc\xaf\x27\x1c"sv, always, foreign("a 7z archive", kUnpack)},
    Signature{0, "Rar!\x1a\x07"sv, always, foreign("a rar archive", kUnpack)},

    Signature{0,
              "\x7f"
              "ELF"sv,
              is_elf, foreign("an ELF program", kNotAnImage)},
    Signature{0, "%PDF-"sv, always, foreign("a PDF document", kNotAnImage)},
    Signature{0, "SQLite format 3\x00"sv, always, foreign("an SQLite database", kNotAnImage)},
    Signature{0, "# Mapfile. Created by GNU ddrescue"sv, always,
              foreign("a ddrescue mapfile", "give the image; --map names its map")},
    Signature{0, "# Rescue Logfile. Created by GNU ddrescue"sv, always,
              foreign("a ddrescue mapfile", "give the image; --map names its map")},
};

// The footer in the last sector; it is the only trace of the format in a VHD of fixed size, so its checksum must be right.
// Source: Microsoft, Virtual Hard Disk Image Format Specification, "Hard Disk Footer Format".
bool is_vhd_footer(ByteView tail) {
    if (tail.size() != 512 || !has(tail, 0, "conectix")) return false;
    constexpr size_t kChecksumAt = 64;
    uint32_t sum = 0;
    for (size_t i = 0; i < tail.size(); ++i)
        if (i < kChecksumAt || i >= kChecksumAt + 4) sum += tail[i];
    uint32_t stated = 0;
    for (const uint8_t byte : tail.subspan(kChecksumAt, 4)) stated = stated << 8 | byte;
    return ~sum == stated;
}

// Source: measured on images of hdiutil: the last 512 bytes are "koly", version 4, and their own length.
bool is_udif_trailer(ByteView tail) { return tail.size() == 512 && has(tail, 0, "koly\x00\x00\x00\x04\x00\x00\x02\x00"sv); }

}  // namespace

std::optional<std::string_view> tar_variant(ByteView head) {
    constexpr size_t kHeaderBytes = 512, kChecksumAt = 148, kChecksumBytes = 8;
    if (head.size() < kHeaderBytes) return std::nullopt;
    const bool posix = has(head, 257, "ustar\0"sv), gnu = has(head, 257, "ustar  \0"sv);
    if (!posix && !gnu) return std::nullopt;

    // The checksum field counts as spaces. Old programs summed signed chars.
    uint32_t stated = 0, sum = 0;
    int32_t signed_sum = 0;
    bool digits = false;
    for (const uint8_t c : head.subspan(kChecksumAt, kChecksumBytes)) {
        if (c >= '0' && c <= '7') {
            stated = stated * 8 + (c - uint32_t{'0'});
            digits = true;
        } else if (digits) {
            break;
        }
    }
    for (size_t i = 0; i < kHeaderBytes; ++i) {
        const uint8_t c = i >= kChecksumAt && i < kChecksumAt + kChecksumBytes ? uint8_t{' '} : head[i];
        sum += c;
        signed_sum += static_cast<int8_t>(c);
    }
    if (!digits || (stated != sum && static_cast<int32_t>(stated) != signed_sum)) return std::nullopt;
    return posix ? "a tar archive (POSIX)" : "a tar archive (GNU)";
}

ImageFormat identify_format(ByteView head, ByteView tail) {
    for (const Signature& signature : kHeadSignatures)
        if (has(head, signature.offset, signature.magic) && signature.certain(head)) return signature.format;
    if (const auto tar = tar_variant(head)) return foreign(*tar, kUnpack);
    if (is_vhd_footer(tail)) return {Kind::vhd, {}};
    if (is_udif_trailer(tail))
        return foreign("an Apple UDIF (.dmg) disk image", "convert it: dmg2img FILE disk.img, or hdiutil convert -format UDTO");
    return {};
}

}  // namespace ntt

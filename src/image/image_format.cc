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

// Source: Dave Dunfield's ImageDisk manual, "IMD file format": "IMD 1.18: date time", comment, 0x1A.
bool is_imd(ByteView head) { return head.size() >= 8 && head[4] >= '0' && head[4] <= '9' && head[5] == '.'; }

// Source: Dave Dunfield, "TeleDisk TD0 file format": twelve bytes of header, the last two a CRC (polynomial 0xA097) of the others.
bool is_td0(ByteView head) {
    if (head.size() < 12 || head[2] != 0) return false;
    unsigned crc = 0;
    for (const uint8_t byte : head.first(10)) {
        crc ^= static_cast<unsigned>(byte) << 8;
        for (int bit = 0; bit < 8; ++bit) crc = (crc << 1) ^ ((crc & 0x8000) != 0 ? 0xA097u : 0u);
        crc &= 0xFFFF;
    }
    return crc == (static_cast<unsigned>(head[10]) | static_cast<unsigned>(head[11]) << 8);
}

// No magic, so the whole header must make sense, and the first track's table must point into the track.
// Source: David Keil, "DMK disk image format": write protection, tracks, track length, flags, 11 bytes of which most are 0.
bool is_dmk(ByteView head) {
    if (head.size() < 18 || (head[0] != 0x00 && head[0] != 0xFF)) return false;
    const unsigned track_bytes = head[2] | static_cast<unsigned>(head[3]) << 8, first = (head[16] | static_cast<unsigned>(head[17]) << 8) & 0x3FFF;
    const bool reserved_is_zero = std::all_of(head.begin() + 5, head.begin() + 16, [](uint8_t byte) { return byte == 0; });
    return head[1] >= 35 && head[1] <= 96 && track_bytes >= 0xB00 && track_bytes <= 0x3FFF && reserved_is_zero && first >= 128 && first < track_bytes;
}

// Raw CD sectors begin with a synchronisation mark; two in a row are no chance. Source: ECMA-130, 14.1; with subchannels 2448 bytes.
bool is_raw_cd(ByteView head) {
    constexpr std::string_view kSync = "\x00\xff\xff\xff\xff\xff\xff\xff\xff\xff\xff\x00"sv;
    return has(head, 2352, kSync) || has(head, 2448, kSync);
}

// Source: Apple, "Disk Copy 4.2 format": Pascal string of the name, sizes of data and tags at 64 and 68, 0x0100 at 82.
bool is_disk_copy(ByteView head) {
    if (head.size() < 84 || head[0] == 0 || head[0] > 63) return false;
    const auto be32 = [&](size_t at) { return uint32_t{head[at]} << 24 | uint32_t{head[at + 1]} << 16 | uint32_t{head[at + 2]} << 8 | head[at + 3]; };
    const uint32_t data = be32(64);
    return (data == 409'600 || data == 819'200 || data == 737'280 || data == 1'474'560) && be32(68) % 12 == 0;
}

// Before the magic stands the name of the program that wrote it: "<<< Oracle VM VirtualBox Disk Image >>>".
bool is_vdi(ByteView head) { return has(head, 0, "<<< "); }

struct Signature {
    size_t offset;
    std::string_view magic;
    bool (*certain)(ByteView head);
    ImageFormat format;
};

constexpr ImageFormat foreign(std::string_view name, std::string_view hint) { return {Kind::foreign, {name, hint}}; }
constexpr ImageFormat archive(std::string_view name, std::string_view hint) { return {Kind::archive, {name, hint}}; }

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

    Signature{0, "partclone-image"sv, always, foreign("a partclone image", "restore it: partclone.restore -C -s FILE -o disk.img")},
    Signature{0, "PaRtImAgE-VoLuMe"sv, always, foreign("a partimage image", "restore it with partimage")},
    Signature{0, "\0ntfsclone-image"sv, always, foreign("an ntfsclone image", "restore it: ntfsclone --restore-image -O disk.img FILE")},
    Signature{0, "\xfe\xef\x01"sv, always, foreign("a Norton Ghost image", "restore it with Ghost or its Explorer")},
    Signature{0, "QED\0"sv, always, foreign("a QED disk image", kConvert)},
    Signature{0, "WithoutFreeSpace"sv, always, foreign("a Parallels disk image", kConvert)},
    Signature{0, "WithouFreSpacExt"sv, always, foreign("a Parallels disk image", kConvert)},
    Signature{0, "MComprHD"sv, always, foreign("a CHD disk image", "extract it: chdman extracthd -i FILE -o disk.img")},
    Signature{0, "MSWIM\0\0\0"sv, always, foreign("a Windows WIM archive", kUnpack)},

    Signature{0, "\x00\xff\xff\xff\xff\xff\xff\xff\xff\xff\xff\x00"sv, is_raw_cd,
              foreign("a CD image with raw sectors (BIN, MDF)", "convert its data track to 2048-byte sectors: bchunk FILE FILE.cue disc")},
    Signature{82, "\x01\x00"sv, is_disk_copy,
              foreign("an Apple Disk Copy 4.2 floppy image", "take its 84-byte header off: tail -c +85 FILE > disk.img")},

    Signature{0, "IMD "sv, is_imd, foreign("an ImageDisk (IMD) floppy image", kDecodeFlux)},
    Signature{0, "TD"sv, is_td0, foreign("a TeleDisk (TD0) floppy image", kDecodeFlux)},
    Signature{0, "td"sv, is_td0, foreign("a TeleDisk (TD0) floppy image", kDecodeFlux)},
    Signature{0, ""sv, is_dmk, foreign("a DMK floppy track image", kDecodeFlux)},
    Signature{0, "CAPS\0\0\0\x0c"sv, always, foreign("an IPF floppy track image", kDecodeFlux)},
    Signature{0, "A2R2\xff\x0a\x0d\x0a"sv, always, foreign("an A2R flux recording", kDecodeFlux)},
    Signature{0, "A2R3\xff\x0a\x0d\x0a"sv, always, foreign("an A2R flux recording", kDecodeFlux)},
    Signature{0, "SCP"sv, is_scp, foreign("an SCP flux recording", kDecodeFlux)},
    Signature{0, "HXCPICFE"sv, always, foreign("an HFE floppy track image", kDecodeFlux)},
    Signature{0, "HXCHFEV3"sv, always, foreign("an HFE floppy track image", kDecodeFlux)},
    Signature{0, "WOZ1\xff\x0a\x0d\x0a"sv, always, foreign("a WOZ flux recording", kDecodeFlux)},
    Signature{0, "WOZ2\xff\x0a\x0d\x0a"sv, always, foreign("a WOZ flux recording", kDecodeFlux)},

    Signature{0, "\x1f\x8b\x08"sv, is_gzip, archive("a gzip file", "unpack it: gzip -dc FILE > disk.img")},
    Signature{0, "BZh"sv, is_bzip2, archive("a bzip2 file", "unpack it: bzip2 -dc FILE > disk.img")},
    Signature{0,
              "\xfd"
              "7zXZ\x00"sv,
              always, archive("an xz file", "unpack it: xz -dc FILE > disk.img")},
    Signature{0, "\x28\xb5\x2f\xfd"sv, always, archive("a zstd file", "unpack it: zstd -dc FILE > disk.img")},
    Signature{0, "\x04\x22\x4d\x18"sv, always, archive("an LZ4 file", "unpack it: lz4 -dc FILE > disk.img")},
    Signature{0, "PK\x03\x04"sv, always, archive("a zip archive", kUnpack)},
    Signature{0, "PK\x05\x06"sv, always, archive("a zip archive", kUnpack)},
    Signature{0, "7z\xbc\xaf\x27\x1c"sv, always, archive("a 7z archive", kUnpack)},
    Signature{0, "Rar!\x1a\x07"sv, always, archive("a rar archive", kUnpack)},

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

// Chunks stand behind the sectors, and the last bytes say where. A track of plain sectors from the file's beginning is
// read as it is. Sources: measured on images of Nero and DiscJuggler by the authors of cdemu (libmirage, "NRG", "CDI").
bool is_nrg_footer(ByteView tail) {
    return tail.size() >= 12 && (has(tail, tail.size() - 12, "NER5\0\0"sv) || has(tail, tail.size() - 8, "NERO"sv));
}
bool is_cdi_footer(ByteView tail) {
    if (tail.size() < 8) return false;
    const ByteView version = tail.subspan(tail.size() - 8, 4);
    return version[0] >= 4 && version[0] <= 6 && version[1] == 0 && version[2] == 0 && version[3] == 0x80;
}

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
    if (const auto tar = tar_variant(head)) return archive(*tar, kUnpack);
    if (is_vhd_footer(tail)) return {Kind::vhd, {}};
    if (is_udif_trailer(tail))
        return foreign("an Apple UDIF (.dmg) disk image", "convert it: dmg2img FILE disk.img, or hdiutil convert -format UDTO");
    constexpr size_t kIso9660At = 32769;
    if (!has(head, kIso9660At, "CD001")) {
        if (is_nrg_footer(tail)) return foreign("a Nero (NRG) disc image", "convert it: nrg2iso FILE disc.iso");
        if (is_cdi_footer(tail)) return foreign("a DiscJuggler (CDI) disc image", "convert it to an ISO or to BIN and CUE");
    }
    return {};
}

}  // namespace ntt

// NTFS, exFAT and HFS+.
#include "fs/reader_listing.h"

namespace ntt::test {
namespace {

TEST(Ntfs, FilesAndStreamsAreReadAndSystemFilesAreLeftOut) {
    NTT_NEED_TOOL("ntfscp");
    TempDir dir;
    must("truncate -s 8M i && mkfs.ntfs -q -F i", dir.path().string());
    write_file(dir / "big", chosen_bytes(1, 300'000));
    write_file(dir / "small", "resident");
    write_file(dir / "stream", chosen_bytes(2, 9'000));
    must("ntfscp i big big.bin && ntfscp i small small.txt && ntfscp -N hidden i stream small.txt", dir.path().string());
    const auto list = list_file(dir / "i");
    EXPECT_EQ(list->paths(), (std::vector<std::string>{"big.bin", "small.txt", "small.txt:hidden"}));
    EXPECT_EQ(list->content("big.bin"), read_file(dir / "big"));
    EXPECT_EQ(list->at("big.bin").access, ContentAccess::extents);
    EXPECT_EQ(list->at("small.txt").access, ContentAccess::through_reader);
    EXPECT_EQ(list->content("small.txt"), "resident");
    EXPECT_EQ(list->content("small.txt:hidden"), read_file(dir / "stream"));
    EXPECT_EQ(list->at("small.txt:hidden").stream, "hidden");
    EXPECT_GE(list->at("small.txt:hidden").ino, int64_t{1} << 62);
    EXPECT_NE(list->reader->detail().find("system_files"), std::string::npos);
}

TEST(Ntfs, AFileIsZeroBeyondWhatWasWrittenOfIt) {
    NTT_NEED_TOOL("ntfscp");
    TempDir dir;
    must("truncate -s 8M i && mkfs.ntfs -q -F i", dir.path().string());
    write_file(dir / "big", chosen_bytes(1, 100'000));
    must("ntfscp i big big.bin", dir.path().string());
    std::string image = read_file(dir / "i");
    // In the attribute: allocated size, size, initialised size, 8 bytes each.
    const std::string sizes("\xa0\x86\1\0\0\0\0\0\xa0\x86\1\0\0\0\0\0", 16);  // 100,000 twice
    int patched = 0;
    for (size_t at = 0; (at = image.find(sizes, at)) != std::string::npos; at += 16, ++patched)
        image.replace(at + 8, 8, std::string("\x10\x27\0\0\0\0\0\0", 8));  // 10,000
    ASSERT_GT(patched, 0);
    const auto list = list_bytes(image);
    EXPECT_EQ(list->content("big.bin"), read_file(dir / "big").substr(0, 10'000) + std::string(90'000, '\0'));
    EXPECT_EQ(list->at("big.bin").extents.back().kind, ExtentKind::hole);
}

// --- exFAT: no tool here writes into one, so the entries are made by hand ---

void put(std::string& image, size_t at, uint64_t value, int bytes) {
    for (int i = 0; i < bytes; ++i) image[at + static_cast<size_t>(i)] = static_cast<char>(value >> (8 * i));
}
uint64_t get(const std::string& image, size_t at, int bytes) {
    uint64_t out = 0;
    for (int i = bytes; i-- > 0;) out = out << 8 | static_cast<uint8_t>(image[at + static_cast<size_t>(i)]);
    return out;
}

TEST(Exfat, AFileIsReadWithItsTimesAndIsZeroBehindItsValidLength) {
    NTT_NEED_TOOL("mkfs.exfat");
    TempDir dir;
    must("truncate -s 8M i && mkfs.exfat i", dir.path().string());
    std::string image = read_file(dir / "i");
    const size_t sector = size_t{1} << image[108], cluster = sector << image[109];
    const size_t heap = get(image, 88, 4) * sector;
    const auto place = [&](uint64_t number) { return heap + (number - 2) * cluster; };
    const size_t root = place(get(image, 96, 4));
    size_t entry = root;
    while (image[entry] != 0) entry += 32;
    const uint64_t first = 100;
    const std::string content = chosen_bytes(4, 10'000);
    image.replace(place(first), content.size(), content);
    image[entry] = static_cast<char>(0x85);
    image[entry + 1] = 2;
    put(image, entry + 4, 0x20, 2);
    put(image, entry + 12, (40u << 25) | (2u << 21) | (29u << 16) | (12u << 11) | (30u << 5) | 5u, 4);  // 2020-02-29 12:30:10
    image[entry + 21] = 50;                                                                             // half a second
    image[entry + 23] = static_cast<char>(0x80 | 8);                                                    // two hours east
    image[entry + 32] = static_cast<char>(0xC0);
    image[entry + 33] = 3;  // in one piece
    image[entry + 35] = 5;
    put(image, entry + 40, 6'000, 8);
    put(image, entry + 52, first, 4);
    put(image, entry + 56, content.size(), 8);
    image[entry + 64] = static_cast<char>(0xC1);
    for (size_t i = 0; i < 5; ++i) image[entry + 66 + 2 * i] = "a.txt"[i];
    uint16_t sum = 0;
    for (size_t i = 0; i < 96; ++i)
        if (i != 2 && i != 3) sum = static_cast<uint16_t>((sum << 15 | sum >> 1) + static_cast<uint8_t>(image[entry + i]));
    put(image, entry + 2, sum, 2);

    const auto list = list_bytes(image);
    EXPECT_EQ(list->paths(), std::vector<std::string>{"a.txt"});
    const InodeEntry& inode = list->at("a.txt");
    EXPECT_EQ(inode.size, content.size());
    EXPECT_EQ(list->content("a.txt"), content.substr(0, 6'000) + std::string(4'000, '\0'));
    EXPECT_EQ(inode.mtime, std::stol(must("date -u -d '2020-02-29 10:30:10' +%s")));
    EXPECT_EQ(inode.mtime_ns, 500'000'000);
    EXPECT_EQ(inode.attributes, 0x20);
}

TEST(Tsk, AVolumeThatIsNotWhatItWasTakenForIsRefused) {
    for (const char* type : {"ntfs", "ext", "hfsplus", "ufs", "exfat", "iso9660"}) {
        Listing list;
        list.source = memory_image(chosen_bytes(9, 1 << 20));
        list.volume.size_bytes = 1 << 20;
        list.volume.view = list.volume.fs_type = type;
        const auto reader = open_reader(*list.source, list.volume, {}, list);
        ASSERT_FALSE(reader.ok()) << type;
        EXPECT_EQ(reader.error().code, ErrorCode::unsupported);
    }
}

TEST(Tsk, ACancelledListingStops) {
    TempDir dir;
    must("mkdir t && mkfs.ext2 -q -F -d t i 2M", dir.path().string());
    const auto list = list_file(dir / "i");
    CancelToken cancel;
    cancel.cancel();
    Listing again;
    const auto stopped = list->reader->list(again, cancel);
    ASSERT_FALSE(stopped.ok());
    EXPECT_EQ(stopped.error().code, ErrorCode::cancelled);
}

}  // namespace
}  // namespace ntt::test

// EWF, VMDK and VHD: what is decoded, what is refused, and what is said of damage.
#include <algorithm>
#include <cerrno>

#include <gmock/gmock.h>

#include "image/sources.h"

namespace ntt {
namespace {

using test::make_image;
using test::must;
using test::read_all;
using test::read_file;
using test::shell_quoted;
using test::TempDir;
using test::write_file;
using ::testing::HasSubstr;

constexpr size_t kImageBytes = 4 * 1024 * 1024;

bool inside(const std::vector<ByteRange>& ranges, uint64_t offset) {
    return std::any_of(ranges.begin(), ranges.end(), [&](const ByteRange& r) { return offset >= r.offset && offset < r.end(); });
}

// Every byte outside the damaged ranges is as it was; returns how many are inside.
uint64_t expect_right_outside_damage(const ByteSource& source, const std::string& content) {
    const std::string decoded = read_all(source);
    const auto damaged = source.damaged_ranges();
    for (size_t i = 1; i < damaged.size(); ++i) EXPECT_LT(damaged[i - 1].end(), damaged[i].offset) << "sorted and merged";
    uint64_t wrong = 0, bytes = 0;
    for (size_t at = 0; at < content.size(); at += 512)
        if (!inside(damaged, at) && decoded.compare(at, 512, content, at, 512) != 0) ++wrong;
    EXPECT_EQ(wrong, 0u) << "sectors that differ and are not said to be damaged";
    for (const ByteRange& range : damaged) {
        EXPECT_LE(range.end(), source.size_bytes());
        bytes += range.length;
    }
    return bytes;
}

// --- the corpus ---

struct Twin {
    const char* container;
    const char* format;
    const char* raw;  // a file of the corpus with the same content; nullptr: what qemu-img makes of the container
};

class CorpusContainer : public ::testing::TestWithParam<Twin> {};

TEST_P(CorpusContainer, decodes_to_its_raw_twin) {
    const auto corpus = test::corpus_dir();
    if (!corpus) GTEST_SKIP() << "needs the corpus";
    const TempDir dir;
    const auto unpacked = [&](const std::string& name) {
        const auto plain = *corpus / name;
        write_file(dir / name, std::filesystem::exists(plain) ? read_file(plain.string())
                                                              : must("gzip -dc " + shell_quoted(plain.string() + ".gz")));
        return dir / name;
    };
    const std::string path = unpacked(GetParam().container);
    std::string expected;
    if (GetParam().raw != nullptr) {
        expected = read_file(unpacked(GetParam().raw));
    } else {
        NTT_NEED_TOOL("qemu-img");
        must("qemu-img convert -O raw " + shell_quoted(path) + " out.raw", dir.path().string());
        expected = read_file(dir / "out.raw");
    }
    ASSERT_OK_ASSIGN(const auto source, open_image(Env::host(), path));
    EXPECT_EQ(source->format(), GetParam().format);
    EXPECT_TRUE(read_all(*source) == expected);
    EXPECT_TRUE(source->damaged_ranges().empty());
}

INSTANTIATE_TEST_SUITE_P(corpus, CorpusContainer,
                         ::testing::Values(Twin{"tsk-image.E01", "ewf", "tsk-image.dd"}, Twin{"dfvfs-ext2.vmdk", "vmdk", nullptr},
                                           Twin{"dfvfs-ext2.vhd", "vhd", nullptr}));

TEST(CorpusEwf, equals_what_ewfexport_makes_of_it) {
    const auto corpus = test::corpus_dir();
    if (!corpus) GTEST_SKIP() << "needs the corpus";
    NTT_NEED_TOOL("ewfexport");
    const TempDir dir;
    must("ewfexport -u -q -f raw -t out " + shell_quoted((*corpus / "dfvfs-ext2.E01").string()), dir.path().string());
    ASSERT_OK_ASSIGN(const auto source, open_image(Env::host(), (*corpus / "dfvfs-ext2.E01").string()));
    EXPECT_TRUE(read_all(*source) == read_file(dir / "out.raw"));
}

// --- names do not matter ---

TEST(Container, is_known_by_content_whatever_it_is_called) {
    const TempDir dir;
    const std::string content = test::chosen_bytes(1, kImageBytes);
    for (const std::string kind : {"ewf", "vmdk", "vmdk_stream", "vhd", "vhd_fixed"}) {
        NTT_NEED_TOOL(test::tool_for(kind));
        const TempDir one;
        const std::string path = make_image(one, kind, content);
        ASSERT_EQ(::rename(path.c_str(), (dir / (kind + ".img")).c_str()), 0);
        ASSERT_OK_ASSIGN(const auto source, open_image(Env::host(), dir / (kind + ".img")));
        EXPECT_TRUE(kind.starts_with(source->format())) << kind << " " << source->format();
        EXPECT_TRUE(read_all(*source) == content) << kind;
    }
}

TEST(Ewf, any_segment_opens_the_whole) {
    NTT_NEED_TOOL("ewfacquire");
    const TempDir dir;
    const std::string content = test::chosen_bytes(1, kImageBytes);
    make_image(dir, "ewf_segments", content);
    ASSERT_OK_ASSIGN(const auto source, open_image(Env::host(), dir / "evidence.E03"));
    EXPECT_GT(source->parts().size(), 3u);
    EXPECT_TRUE(read_all(*source) == content);
}

// --- damage ---

TEST(Ewf, a_chunk_whose_checksum_is_wrong_is_damaged_and_nothing_else) {
    NTT_NEED_TOOL("ewfacquire");
    for (const std::string kind : {"ewf", "ewf_segments"}) {
        const TempDir dir;
        const std::string content = test::chosen_bytes(2, kImageBytes);
        const std::string path = make_image(dir, kind, content);
        test::patch_file(path, 500'000, "DAMAGE");
        ASSERT_OK_ASSIGN(const auto source, open_image(Env::host(), path));
        EXPECT_EQ(expect_right_outside_damage(*source, content), 32768u) << kind;
    }
}

TEST(Ewf, what_a_lost_segment_held_is_damaged) {
    NTT_NEED_TOOL("ewfacquire");
    const TempDir dir;
    const std::string content = test::chosen_bytes(3, kImageBytes);
    const std::string path = make_image(dir, "ewf_segments", content);
    ASSERT_TRUE(std::filesystem::remove(dir / "evidence.E03"));
    ASSERT_OK_ASSIGN(const auto source, open_image(Env::host(), path));
    const uint64_t damaged = expect_right_outside_damage(*source, content);
    EXPECT_GT(damaged, kImageBytes / 4);
    EXPECT_LT(damaged, kImageBytes);
    EXPECT_EQ(expect_right_outside_damage(*source, content), damaged) << "read again, it is the same";
}

struct FailingReads : Env {
    Result<size_t> read_at(const Fd& fd, ByteSpan out, uint64_t offset) override {
        if (fail) return errno_error(EIO, "read");
        return Env::read_at(fd, out, offset);
    }
    bool fail = false;
};

TEST(Ewf, nothing_is_called_damaged_while_this_computer_cannot_read_the_file) {
    NTT_NEED_TOOL("ewfacquire");
    const TempDir dir;
    const std::string path = make_image(dir, "ewf", test::chosen_bytes(2, kImageBytes));
    test::patch_file(path, 500'000, "DAMAGE");
    FailingReads env;
    ASSERT_OK_ASSIGN(const auto source, open_image(env, path));
    env.fail = true;
    std::string bytes(kImageBytes, 'x');
    const auto done = source->read(0, {reinterpret_cast<uint8_t*>(bytes.data()), bytes.size()});
    ASSERT_FALSE(done.ok());
    EXPECT_EQ(done.error().code, ErrorCode::io);
    EXPECT_EQ(done.error().sys_errno, EIO);
    EXPECT_THAT(done.error().message, HasSubstr(path));
}

TEST(Vmdk, what_a_cut_off_file_held_is_damaged) {
    NTT_NEED_TOOL("qemu-img");
    const TempDir dir;
    const std::string content = test::chosen_bytes(4, kImageBytes);
    const std::string path = make_image(dir, "vmdk", content);
    std::filesystem::resize_file(path, std::filesystem::file_size(path) / 2);
    ASSERT_OK_ASSIGN(const auto source, open_image(Env::host(), path));
    EXPECT_GT(expect_right_outside_damage(*source, content), kImageBytes / 4);
}

TEST(Vhd, what_was_cut_out_before_the_footer_is_damaged) {
    NTT_NEED_TOOL("qemu-img");
    const TempDir dir;
    const std::string content = test::chosen_bytes(5, kImageBytes);
    const std::string path = make_image(dir, "vhd", content);
    const std::string file = read_file(path);
    write_file(path, file.substr(0, file.size() / 2) + file.substr(file.size() - 512));
    ASSERT_OK_ASSIGN(const auto source, open_image(Env::host(), path));
    EXPECT_GT(expect_right_outside_damage(*source, content), kImageBytes / 4);
}

// Truncated or overwritten anywhere: an error of opening, or nothing wrong outside the damaged ranges where there is a
// checksum to tell; and never a crash.
class DamagedContainer : public ::testing::TestWithParam<std::string> {};

TEST_P(DamagedContainer, cut_at_any_length_it_is_an_error_or_says_what_is_missing) {
    const std::string tool = test::tool_for(GetParam());
    NTT_NEED_TOOL(tool);
    const TempDir dir;
    const std::string content = test::chosen_bytes(6, 1024 * 1024);
    const std::string path = make_image(dir, GetParam(), content);
    const std::string file = read_file(path);
    for (size_t cut = 1; cut < 40; ++cut) {
        const size_t length = cut < 20 ? cut * 97 : file.size() * (cut - 19) / 21;
        write_file(path, file.substr(0, length));
        const auto source = open_image(Env::host(), path);
        if (!source.ok()) {
            EXPECT_FALSE(source.error().message.empty());
        } else if ((*source)->format() != "raw") {
            expect_right_outside_damage(**source, content);
        }
    }
}

TEST_P(DamagedContainer, overwritten_anywhere_it_never_crashes) {
    const std::string tool = test::tool_for(GetParam());
    NTT_NEED_TOOL(tool);
    const TempDir dir;
    const std::string path = make_image(dir, GetParam(), test::chosen_bytes(8, 256 * 1024));
    const std::string file = read_file(path);
    const std::string noise = test::chosen_bytes(9, 4096);
    for (size_t i = 0; i < 150; ++i) {
        std::string damaged = file;
        // mostly in the structures at the beginning and at the end
        const size_t reach = std::min<size_t>(file.size() - 8, i % 3 == 2 ? file.size() : 4096);
        const size_t at = (i * 2654435761u) % reach;
        damaged.replace(i % 3 == 1 ? file.size() - 8 - at : at, 1 + i % 8, noise, i, 1 + i % 8);
        write_file(path, damaged);
        const auto source = open_image(Env::host(), path);
        if (!source.ok()) continue;
        std::string bytes(65536, 'x');
        const uint64_t end = std::min<uint64_t>((*source)->size_bytes(), 4 << 20);
        for (uint64_t offset = 0; offset < end; offset += bytes.size())
            (*source)
                ->read(offset, ByteSpan(reinterpret_cast<uint8_t*>(bytes.data()), std::min<uint64_t>(bytes.size(), end - offset)))
                .ignore("only that it returns matters");
        for (const ByteRange& range : (*source)->damaged_ranges()) EXPECT_LE(range.end(), (*source)->size_bytes());
    }
}

INSTANTIATE_TEST_SUITE_P(all, DamagedContainer, ::testing::Values("ewf", "vmdk", "vmdk_stream", "vhd"),
                         [](const auto& test_case) { return test_case.param; });

// --- refused ---

Error error_of_opening(const std::string& path) {
    const auto source = open_image(Env::host(), path);
    EXPECT_FALSE(source.ok()) << path;
    return source.ok() ? Error{} : source.error();
}

TEST(Vmdk, a_missing_extent_is_named) {
    NTT_NEED_TOOL("qemu-img");
    const TempDir dir;
    const std::string path = make_image(dir, "vmdk_flat", test::chosen_bytes(1, kImageBytes));
    ASSERT_TRUE(std::filesystem::remove(dir / "flat-flat.vmdk"));
    const Error error = error_of_opening(path);
    EXPECT_EQ(error.code, ErrorCode::not_found);
    EXPECT_THAT(error.message, HasSubstr("flat-flat.vmdk"));
}

TEST(Vmdk, a_descriptor_cannot_reach_outside_its_folder) {
    NTT_NEED_TOOL("qemu-img");
    const TempDir dir;
    const std::string path = make_image(dir, "vmdk_flat", test::chosen_bytes(1, kImageBytes));
    const std::string descriptor = read_file(path);
    for (const std::string name : {"/etc/passwd", "../flat-flat.vmdk", "..", "sub\\flat-flat.vmdk"}) {
        std::string hostile = descriptor;
        hostile.replace(hostile.find("flat-flat.vmdk"), std::string("flat-flat.vmdk").size(), name);
        write_file(path, hostile);
        const Error error = error_of_opening(path);
        EXPECT_EQ(error.code, ErrorCode::unsupported) << error.text();
        EXPECT_THAT(error.message, HasSubstr("no file in its folder"));
    }
}

TEST(Container, the_difference_to_another_disk_is_refused) {
    NTT_NEED_TOOL("qemu-img");
    const TempDir dir;
    make_image(dir, "vmdk", test::chosen_bytes(1, kImageBytes));
    must("qemu-img create -f vmdk -b disk.vmdk -F vmdk snapshot.vmdk", dir.path().string());
    const Error error = error_of_opening(dir / "snapshot.vmdk");
    EXPECT_EQ(error.code, ErrorCode::unsupported);
    EXPECT_THAT(error.message, HasSubstr("snapshot"));
}

TEST(Container, a_truncated_header_is_a_damaged_container_not_a_raw_image) {
    const TempDir dir;
    write_file(dir / "a.E01", std::string("EVF\x09\x0d\x0a\xff\x00\x01\x01\x00\x00\x00", 13));
    write_file(dir / "a.vmdk", "KDMV");
    write_file(dir / "a.vhd", "conectix" + std::string(504, '\0'));
    for (const std::string name : {"a.E01", "a.vmdk", "a.vhd"}) {
        const Error error = error_of_opening(dir / name);
        EXPECT_EQ(error.code, ErrorCode::malformed) << error.text();
        EXPECT_THAT(error.message, HasSubstr("damaged or incomplete"));
    }
}

}  // namespace
}  // namespace ntt

// Which files are refused by name, and that a raw image may begin with anything.
#include "image/image_format.h"

#include <gmock/gmock.h>

#include "image/byte_source.h"
#include "image/sources.h"

namespace ntt {
namespace {

using test::must;
using test::TempDir;
using test::write_file;
using ::testing::HasSubstr;

void expect_refused(const std::string& path, const std::string& name) {
    const auto source = open_image(Env::host(), path);
    ASSERT_FALSE(source.ok()) << path;
    EXPECT_EQ(source.error().code, ErrorCode::unsupported);
    EXPECT_THAT(source.error().message, HasSubstr(name));
    EXPECT_FALSE(source.error().hint.empty()) << name;
}

struct Made {
    const char* tool;
    const char* command;  // makes "out.img" of "in.raw"
    const char* name;     // in the message
};

class ForeignFile : public ::testing::TestWithParam<Made> {};

TEST_P(ForeignFile, is_refused_with_its_name_whatever_it_is_called) {
    NTT_NEED_TOOL(GetParam().tool);
    const TempDir dir;
    write_file(dir / "in.raw", test::chosen_bytes(1, 100'000));
    must(GetParam().command, dir.path().string());
    expect_refused(dir / "out.img", GetParam().name);
}

INSTANTIATE_TEST_SUITE_P(
    made, ForeignFile,
    ::testing::Values(Made{"qemu-img", "qemu-img convert -O qcow2 in.raw out.img", "qcow2"},
                      Made{"qemu-img", "qemu-img convert -O vdi in.raw out.img", "VDI"},
                      Made{"qemu-img", "qemu-img convert -O vhdx in.raw out.img", "VHDX"},
                      Made{"sh", "cp /bin/sh out.img", "ELF"}, Made{"sqlite3", "sqlite3 out.img 'create table t(a)'", "SQLite"}));

TEST(ForeignFile, of_the_corpus_are_refused) {
    const auto corpus = test::corpus_dir();
    if (!corpus) GTEST_SKIP() << "needs the corpus";
    const TempDir dir;
    for (const auto& [file, name] : {std::pair{"sampler-udif-udzo.img.gz", "UDIF"}, std::pair{"sampler-udif-udro.img.gz", "UDIF"},
                                     std::pair{"dfvfs-ext2.qcow2.gz", "qcow2"}}) {
        write_file(dir / "x.img", must("gzip -dc " + test::shell_quoted((*corpus / file).string())));
        expect_refused(dir / "x.img", name);
    }
}

TEST(ForeignFile, without_a_tool_here_are_refused_by_their_headers) {
    const TempDir dir;
    std::string scp(4096, '\0');  // version 0x22, disk type 0x80, 5 revolutions, tracks 0 to 159, flags, 16 bits, both heads
    scp.replace(0, 12, std::string("SCP\x22\x80\x05\x00\x9f\x03\x00\x00\x00", 12));
    std::string cd(8192, '\1');
    const std::string sync("\0\xff\xff\xff\xff\xff\xff\xff\xff\xff\xff\0", 12);
    cd.replace(0, 12, sync);
    cd.replace(2352, 12, sync);
    std::string dmk(8192, '\0');  // 40 tracks of 0x1900 bytes, the first mark at 0x80
    dmk.replace(0, 18, std::string("\0\x28\0\x19\0\0\0\0\0\0\0\0\0\0\0\0\x90\x80", 18));
    std::string disk_copy(900'000, '\2');
    disk_copy.replace(0, 84, "\x04" "Disk" + std::string(59, '\0') + std::string("\0\x0c\x80\0\0\0\0\0", 8) + std::string(10, '\0') + std::string("\1\0", 2));
    const std::string sectors = test::chosen_bytes(2, 8192);
    for (const auto& [bytes, name] :
         {std::pair<std::string, const char*>{std::string("AFF10\r\n\0", 8) + std::string(600, '\1'), "AFF"},
          {scp, "SCP"},
          {cd, "raw sectors"},
          {dmk, "DMK"},
          {disk_copy, "Disk Copy"},
          {std::string("TD\0\x60\x15\0\0\0\0\1\x8d\x34", 12) + sectors, "TeleDisk"},
          {"IMD 1.18: 12/03/2009 10:00:00\r\nlabel\x1a" + sectors, "ImageDisk"},
          {std::string("CAPS\0\0\0\x0c", 8) + sectors, "IPF"},
          {std::string("\xfe\xef\x01\x01", 4) + sectors, "Ghost"},
          {sectors + std::string("NER5\0\0\0\0\0\1\0\0", 12), "Nero"},
          {sectors + std::string("\6\0\0\x80\1\2\0\0", 8), "DiscJuggler"},
          {"%PDF-1.4\n%", "PDF"},
          {"# Mapfile. Created by GNU ddrescue version 1.27\n0x0 ? 1\n0x0 0x200 ?\n", "mapfile"}}) {
        write_file(dir / "x.img", bytes);
        expect_refused(dir / "x.img", name);
    }
}

std::string zeros_beginning_with(std::string beginning) { return beginning + std::string(8192 - beginning.size(), '\0'); }

TEST(RawImage, may_begin_with_anything_that_is_not_surely_something_else) {
    std::string bad_tar(8192, '\0');
    bad_tar.replace(257, 8, std::string("ustar\00000", 8));
    std::string vhd_footer_without_checksum(8192, '\7');
    vhd_footer_without_checksum.replace(8192 - 512, 8, "conectix");
    for (const std::string& content :
         {std::string(8192, '\0'), std::string(8192, '\xf6'), std::string(8192, 'U'), std::string(8192, '\xff'), std::string("x"),
          test::chosen_bytes(1, 8192), std::string("Plain text, which a wiped disk may hold.\n"), bad_tar,
          vhd_footer_without_checksum, zeros_beginning_with("\x1f\x8b"), zeros_beginning_with("\x1f\x8b\x08\xff"),
          zeros_beginning_with("BZh9 not bzip2"), zeros_beginning_with("PK not zip"),
          zeros_beginning_with("SCP\xff\xff\xff\xff\xff\xff\xff\xff"), zeros_beginning_with("MZ"),
          zeros_beginning_with("\x7f"
                               "ELF\xff\xff\xff"),
          zeros_beginning_with("TD not teledisk"), zeros_beginning_with("IMDB"), zeros_beginning_with(std::string("\0\x28\0\x19", 4)),
          zeros_beginning_with("EVF not ewf"), zeros_beginning_with("QFI")}) {
        const TempDir dir;
        write_file(dir / "x.tar.gz", content);
        ASSERT_OK_ASSIGN(const auto source, open_image(Env::host(), dir / "x.tar.gz"));
        EXPECT_EQ(source->format(), "raw");
        EXPECT_TRUE(test::read_all(*source) == content);
    }
}

TEST(RawImage, every_disk_image_of_the_corpus_opens_as_raw) {
    const auto corpus = test::corpus_dir();
    if (!corpus) GTEST_SKIP() << "needs the corpus";
    const TempDir dir;
    int opened = 0;
    for (const auto& entry : std::filesystem::directory_iterator(*corpus)) {
        const std::string name = entry.path().filename().string();
        if (!name.ends_with(".gz") || entry.file_size() > 200'000) continue;
        if (name.find("udif") != std::string::npos || name.find("qcow2") != std::string::npos ||
            name.find(".vmdk") != std::string::npos || name.find(".vhd") != std::string::npos)
            continue;
        // The first and the last of it are all that is looked at.
        must("gzip -dc " + test::shell_quoted(entry.path().string()) + " > x.img", dir.path().string());
        ASSERT_OK_ASSIGN(const auto source, open_image(Env::host(), dir / "x.img"));
        EXPECT_EQ(source->format(), "raw") << name;
        ++opened;
    }
    EXPECT_GT(opened, 30);
}

TEST(TarHeader, counts_only_with_a_right_checksum) {
    NTT_NEED_TOOL("tar");
    const TempDir dir;
    write_file(dir / "f", "content");
    std::string tar = must("tar -cf - f", dir.path().string());
    ASSERT_TRUE(tar_variant(as_bytes(tar)).has_value());
    for (size_t length = 0; length < 512; length += 37) EXPECT_FALSE(tar_variant(as_bytes(tar.substr(0, length))).has_value());
    ++tar[5];
    EXPECT_FALSE(tar_variant(as_bytes(tar)).has_value());
}

}  // namespace
}  // namespace ntt

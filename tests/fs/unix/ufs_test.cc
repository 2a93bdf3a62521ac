// UFS1 and UFS2 as makefs writes them, sound and damaged.
#include "fs/reader_listing.h"

namespace ntt::test {
namespace {

TEST(Ufs, BothVersionsInBothByteOrdersAreRead) {
    NTT_NEED_TOOL("makefs");
    TempDir dir;
    make_tree(dir);
    for (const char* version : {"1", "2"}) {
        for (const char* order : {"le", "be"}) {
            for (const char* sizes : {"bsize=8192,fsize=1024", "bsize=16384,fsize=2048", "bsize=4096,fsize=4096"}) {
                SCOPED_TRACE(std::string(version) + order + sizes);
                must(std::string("makefs -t ffs -B ") + order + " -s 8m -o version=" + version + "," + sizes + " i t",
                     dir.path().string());
                const auto list = list_file(dir / "i");
                EXPECT_EQ(list->volume.view, std::string("ufs") + version);
                EXPECT_EQ(list->names.size(), 7u);
                expect_tree(dir, *list);
                EXPECT_TRUE(list->findings.findings.empty());
            }
        }
    }
}

TEST(Ufs, ARootFolderThatCannotBeReadIsNotSilent) {
    NTT_NEED_TOOL("makefs");
    TempDir dir;
    make_tree(dir);
    must("makefs -t ffs -s 8m -o version=1 i t", dir.path().string());
    std::string image = read_file(dir / "i");
    // The folder's first block begins with "." and "..".
    const size_t at = image.find(std::string("\2\0\0\0\x0c\0\4\1.\0\0\0\2\0\0\0", 16));
    ASSERT_NE(at, std::string::npos);
    image.replace(at, 512, std::string(512, '\0'));
    const auto list = list_bytes(image);
    EXPECT_TRUE(list->findings.has("directory_unreadable"));
}

}  // namespace
}  // namespace ntt::test

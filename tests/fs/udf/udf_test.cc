// UDF: every kind of partition and of content, and that damage of its structures never gives a wrong content.
#include "fs/udf/udf_reader.h"

#include <filesystem>
#include <random>

#include "fs/reader_listing.h"
#include "udf_image.h"

namespace ntt::test {
namespace {

namespace fs = std::filesystem;

// Lists `image` as UDF; nothing if it cannot be opened.
std::unique_ptr<Listing> list_udf(std::string image, std::vector<UnreadRange> unread = {}) {
    auto out = std::make_unique<Listing>();
    out->source = memory_image(std::move(image));
    out->volume.number = 1;
    out->volume.size_bytes = out->source->size_bytes();
    out->volume.view = out->volume.fs_type = "udf";
    ReaderOptions options;
    if (!unread.empty()) options.unread = std::make_shared<const std::vector<UnreadRange>>(std::move(unread));
    auto reader = open_udf(*out->source, out->volume, options, *out);
    if (!reader.ok()) return nullptr;
    out->reader = *std::move(reader);
    const auto listed = out->reader->list(*out, CancelToken());
    EXPECT_TRUE(listed.ok()) << why(listed);
    return out;
}

// Files with every form of content, in two folders.
struct Sample {
    std::map<std::string, std::string> contents;
    std::string image;
    std::unique_ptr<UdfImage> made;
};

enum class WithTables { no, yes };  // 7z does not read tables of extents

Sample make_sample(UdfParts parts, bool extended, WithTables tables = WithTables::yes) {
    Sample out;
    out.made = std::make_unique<UdfImage>(parts, extended);
    UdfImage& udf = *out.made;
    std::vector<UdfChild> top, inner;
    const uint32_t root = udf.reserve_icb(), folder = udf.reserve_icb();
    const auto add = [&](const std::string& path, std::vector<UdfChild>& to, std::string content, uint32_t icb) {
        to.push_back({fs::path(path).filename().string(), icb, false});
        out.contents[path] = std::move(content);
    };
    for (uint32_t i = 0; i < 12; ++i) {
        const std::string small = chosen_bytes(i, 100 + i), big = chosen_bytes(100 + i, 5'000 + 700 * i);
        add("small" + std::to_string(i), top, small, udf.add_file(small, UdfForm::embedded));
        add("folder/short" + std::to_string(i), inner, big, udf.add_file(big, UdfForm::short_form));
        add("folder/long" + std::to_string(i), inner, small + big, udf.add_file(small + big, UdfForm::long_form));
    }
    const std::string scattered = chosen_bytes(7, 30 * kUdfBlock + 17);
    add("scattered", top, scattered, udf.add_scattered(scattered, kUdfBlock, tables == WithTables::yes ? 8 : 100));
    add("empty", top, "", udf.add_file("", UdfForm::short_form));
    add("n\xC3\xA4me", top, "latin", udf.add_file("latin", UdfForm::embedded));
    add("\xE6\xBC\xA2\xE5\xAD\x97.txt", top, "wide", udf.add_file("wide", UdfForm::embedded));
    top.push_back({"folder", folder, true});
    udf.add_folder_at(folder, inner, root, UdfForm::long_form);
    udf.add_folder_at(root, top, root, UdfForm::embedded);
    out.image = udf.finish(root);
    return out;
}

void expect_all(const Sample& sample, const Listing& list) {
    for (const auto& [path, content] : sample.contents) {
        SCOPED_TRACE(path);
        EXPECT_EQ(list.content(path), content);
        EXPECT_TRUE(list.at(path).faults.empty());
    }
    EXPECT_EQ(list.names.size(), sample.contents.size() + 1);
    EXPECT_TRUE(list.findings.findings.empty()) << list.findings.findings[0].code;
}

struct Kind {
    const char* name;
    UdfParts parts;
    bool extended;
};
class Udf : public testing::TestWithParam<Kind> {};
INSTANTIATE_TEST_SUITE_P(All, Udf,
                         testing::Values(Kind{"Plain102", UdfParts::plain, false}, Kind{"Plain250", UdfParts::plain, true},
                                         Kind{"Virtual150", UdfParts::virtual_blocks, false},
                                         Kind{"Virtual201", UdfParts::virtual_blocks, true},
                                         Kind{"Sparable", UdfParts::sparable, false},
                                         Kind{"Metadata", UdfParts::metadata, true}),
                         [](const auto& suite) { return std::string(suite.param.name); });

TEST_P(Udf, EveryFormOfContentInEveryKindOfPartitionIsRead) {
    const Sample sample = make_sample(GetParam().parts, GetParam().extended);
    const auto list = list_udf(sample.image);
    ASSERT_TRUE(list);
    expect_all(sample, *list);
    const InodeEntry& file = list->at("small3");
    EXPECT_EQ(file.mode, 0100000 | 04754);
    EXPECT_EQ(file.uid, 1000);
    EXPECT_EQ(file.gid, 100);
    EXPECT_EQ(file.mtime, std::stol(must("date -u -d '2001-02-03 03:05:06' +%s")));
    EXPECT_EQ(file.mtime_ns, 500'000'000);
}

// That the images above are what others read too.
TEST(UdfOracle, SevenZipSeesTheSameFilesInTheImagesOfTheseTests) {
    NTT_NEED_TOOL("7z");
    for (const bool extended : {false, true}) {
        const Sample sample = make_sample(UdfParts::plain, extended, WithTables::no);
        TempDir dir;
        write_file(dir / "i", sample.image);
        sh("7z x -tUdf -ox i", dir.path().string());  // it misses descriptors that hold no files, and says so
        for (const auto& [path, content] : sample.contents) EXPECT_EQ(read_file(dir / ("x/" + path)), content) << path;
    }
}

TEST(UdfOracle, ADiscOfGenisoimageGivesTheTreeItWasMadeFrom) {
    NTT_NEED_TOOL("genisoimage");
    TempDir dir;
    must("mkdir -p t/sub/deep t/many", dir.path().string());
    for (int i = 0; i < 300; ++i) write_file(dir / ("t/many/a file with a name that fills a folder " + std::to_string(i)), chosen_bytes(static_cast<uint32_t>(i), static_cast<size_t>(i) * 37));
    write_file(dir / "t/sub/deep/\xC3\xBCn\xC3\xAF \xE6\xBC\xA2.txt", "x");
    write_file(dir / "t/empty", "");
    must("touch -d '2001-02-03 04:05:06 UTC' t/empty && genisoimage -quiet -udf -R -J -o i t", dir.path().string());
    const auto list = list_udf(read_file(dir / "i"));
    ASSERT_TRUE(list);
    size_t count = 0;
    for (const auto& entry : fs::recursive_directory_iterator(dir / "t")) {
        const std::string path = entry.path().lexically_relative(dir / "t").string();
        ++count;
        if (entry.is_regular_file()) {
            EXPECT_EQ(list->content(path), read_file(entry.path().string())) << path;
        }
    }
    EXPECT_EQ(list->names.size(), count);
    EXPECT_EQ(list->at("empty").mtime, std::stol(must("date -u -d '2001-02-03 04:05:06' +%s")));
    EXPECT_TRUE(list->findings.findings.empty());
}

TEST(UdfOracle, EmptyDiscsOfMkudffsOfEveryMediumAreOpened) {
    NTT_NEED_TOOL("mkudffs");
    TempDir dir;
    for (const char* options : {"-m hd -r 1.02 -b 512", "-m hd -r 2.01 -b 4096", "-m dvd -r 2.01 -b 2048", "-m cdr -r 1.50 -b 2048",
                                "-m cdr -r 2.01 -b 2048", "-m cdrw -r 2.01 -b 2048", "-m bdr -r 2.50 -b 2048", "-m hd -b 1024 --strategy=4096"}) {
        SCOPED_TRACE(options);
        must("rm -f i && truncate -s 40M i && mkudffs " + std::string(options) + " i", dir.path().string());
        const auto list = list_udf(read_file(dir / "i"));
        ASSERT_TRUE(list);
        EXPECT_FALSE(list->findings.has("directory_unreadable"));
        EXPECT_FALSE(list->findings.has("udf_table_older"));
    }
}

TEST(UdfFile, LinksStreamsHardLinksAndNewerVersionsAreSeen) {
    UdfImage udf(UdfParts::plain, true);
    const uint32_t root = udf.reserve_icb();
    const std::string target = std::string("\x01\0\0\0", 4) + std::string("\x05\x04\0\0\x08usr", 8) + std::string("\x03\0\0\0", 4) +
                               std::string("\x05\x04\0\0\x08lib", 8);
    const uint32_t fork = udf.add_file("the fork", UdfForm::embedded), link = udf.add_file(target, UdfForm::embedded, 12);
    const uint32_t streams = udf.add_folder({{"rsrc", fork, false}}, 0, UdfForm::embedded, 13);
    const uint32_t file = udf.add_file("the data", UdfForm::embedded, 5, streams);
    const uint32_t older = udf.add_file("older", UdfForm::embedded), gap = udf.reserve_icb(), newer = udf.add_file("newer", UdfForm::embedded);
    ASSERT_EQ(gap, older + 1);
    udf.link_icb(older, newer);
    udf.add_folder_at(root, {{"file", file, false}, {"second name", file, false}, {"link", link, false}, {"versions", older, false}}, root,
                      UdfForm::long_form);
    const auto list = list_udf(udf.finish(root));
    ASSERT_TRUE(list);
    EXPECT_EQ(list->content("file"), "the data");
    EXPECT_EQ(list->at("second name").ino, list->at("file").ino);
    EXPECT_EQ(list->content("file:rsrc"), "the fork");
    EXPECT_EQ(list->at("file:rsrc").stream, "rsrc");
    EXPECT_EQ(list->at("link").target, "/usr/../lib");
    EXPECT_EQ(list->content("versions"), "newer");
}

TEST(UdfDamage, V2_TheRootFolderIsFoundWhenTheFileSetDescriptorIsLost) {
    Sample sample = make_sample(UdfParts::plain, false);
    sample.image.replace(sample.made->file_set_place(), kUdfBlock, std::string(kUdfBlock, '\0'));
    const auto list = list_udf(sample.image);
    ASSERT_TRUE(list);
    EXPECT_EQ(list->findings.count("udf_file_set_lost"), 1u);
    EXPECT_EQ(list->names.size(), sample.contents.size() + 1);
}

// Of the disc of the field case: a directory entry whose CRC length is 0, while the sum of the tag is right.
TEST(UdfDamage, V3_ANameWhoseCrcLengthIsZeroIsAFindingAndTheRestIsRead) {
    NTT_NEED_TOOL("genisoimage");
    TempDir dir;
    must("mkdir t && cd t && for i in $(seq 20); do echo $i > file$i.txt; done; genisoimage -quiet -udf -o ../i .", dir.path().string());
    std::string image = read_file(dir / "i");
    const size_t at = image.find("\x08" "file12.txt") - 38;
    ASSERT_EQ(image[at], 1);  // tag 257
    image[at + 4] = static_cast<char>(image[at + 4] - image[at + 10]);
    image[at + 10] = 0;
    const auto list = list_udf(image);
    ASSERT_TRUE(list);
    EXPECT_EQ(list->findings.count("name_damaged"), 1u);
    EXPECT_EQ(list->names.size(), 20u);
    EXPECT_FALSE(list->at("file12.txt").faults.empty());
    EXPECT_EQ(list->at("file12.txt").faults[0].cause, Cause::CHECKSUM);
    for (int i = 1; i <= 20; ++i)
        if (i != 12) {
            EXPECT_EQ(list->content("file" + std::to_string(i) + ".txt"), std::to_string(i) + "\n");
        }
}

TEST(UdfDamage, V3_ATableOfVirtualBlocksThatIsNotAtTheEndIsFoundAndSaidToBeOlder) {
    Sample sample = make_sample(UdfParts::virtual_blocks, false);
    const auto padded = list_udf(sample.image + std::string(20 * kUdfBlock, '\0'));
    ASSERT_TRUE(padded);
    EXPECT_TRUE(padded->findings.findings.empty());
    const auto later = list_udf(sample.image + std::string(20 * kUdfBlock, 'x'));
    ASSERT_TRUE(later);
    EXPECT_EQ(later->findings.count("udf_table_older"), 1u);
    EXPECT_EQ(later->content("small3"), sample.contents.at("small3"));
    const auto unread = list_udf(sample.image + std::string(20 * kUdfBlock, '\0'), {{{sample.image.size(), kUdfBlock}, Cause::BAD_SECTOR}});
    ASSERT_TRUE(unread);
    EXPECT_EQ(unread->findings.count("udf_table_older"), 1u);
}

TEST(UdfDamage, V3_ADiscThatLacksItsEndAndWithItTheTableOfVirtualBlocksIsReadAllTheSame) {
    for (const bool extended : {false, true}) {
        const Sample sample = make_sample(UdfParts::virtual_blocks, extended);
        const auto list = list_udf(sample.image.substr(0, sample.image.size() - kUdfBlock));
        ASSERT_TRUE(list);
        EXPECT_EQ(list->findings.count("udf_table_rebuilt"), 1u);
        for (const auto& [path, content] : sample.contents) EXPECT_EQ(list->content(path), content) << path;
    }
}

TEST(UdfDamage, FoldersAndTablesThatGoInCirclesEnd) {
    UdfImage udf(UdfParts::plain, false);
    const uint32_t root = udf.reserve_icb(), inner = udf.reserve_icb();
    const uint32_t looping = udf.add_scattered(chosen_bytes(1, 20 * kUdfBlock), kUdfBlock, 4);
    const uint32_t versions = udf.add_file("x", UdfForm::embedded);
    udf.reserve_icb();
    udf.link_icb(versions, versions);
    udf.add_folder_at(inner, {{"root again", root, true}, {"inner again", inner, true}}, root, UdfForm::embedded);
    udf.add_folder_at(root, {{"inner", inner, true}, {"file", looping, false}, {"versions", versions, false}}, root, UdfForm::embedded);
    std::string image = udf.finish(root);
    // The second table of extents leads to itself.
    const size_t table = [&] {
        for (size_t at = 0;; at += kUdfBlock)
            if (image[at] == 2 && image[at + 1] == 1 && static_cast<uint8_t>(image[at + 20]) == 5 * 16) return at;
    }();
    image.replace(table + 24 + 4 * 16 + 4, 4, image.substr(table + 12, 4));
    UdfImage::seal(image, table, 258, static_cast<uint32_t>(static_cast<uint8_t>(image[table + 12]) | static_cast<uint8_t>(image[table + 13]) << 8), 24 + 5 * 16);
    const auto list = list_udf(image);
    ASSERT_TRUE(list);
    EXPECT_EQ(list->findings.count("directory_loop"), 2u);
    EXPECT_FALSE(list->at("file").faults.empty());
    EXPECT_EQ(list->findings.count("inode_unreadable"), 1u);  // versions without an end
}

// The rule of all damage: what is listed without a fault, and does not lie on what is damaged, is what was put in.
void expect_nothing_wrong(const Sample& sample, const Listing& list, const std::vector<ByteRange>& damaged, size_t& intact) {
    for (const auto& [path, ino] : list.names) {
        const InodeEntry& inode = list.inodes.at(ino);
        if (inode.fs_type != 'f' || !inode.faults.empty()) continue;
        bool hit = false;
        for (const Extent& extent : inode.extents)
            for (const ByteRange& range : damaged)
                hit |= extent.kind == ExtentKind::data && (!intersect({extent.image_offset, extent.length}, range).empty() ||
                                                           extent.image_offset + extent.length > list.source->size_bytes());
        if (hit) continue;
        ++intact;
        const auto put_in = sample.contents.find(path);
        ASSERT_NE(put_in, sample.contents.end()) << path;
        EXPECT_EQ(list.content(inode), put_in->second) << path;
    }
}

TEST_P(Udf, NoDamageOfAStructureGivesAWrongContent) {
    const Sample sample = make_sample(GetParam().parts, GetParam().extended);
    std::set<size_t> content(sample.made->content_blocks().begin(), sample.made->content_blocks().end());
    std::vector<size_t> structures;
    for (size_t at = 16 * kUdfBlock; at < sample.image.size(); at += kUdfBlock)
        if (content.count(at) == 0 && sample.image.substr(at, kUdfBlock).find_first_not_of('\0') != std::string::npos) structures.push_back(at);
    ASSERT_GT(structures.size(), 40u);
    std::mt19937 random(5);
    size_t opened = 0, intact = 0;
    for (const size_t at : structures)
        for (int kind = 0; kind < 8; ++kind) {
            std::string image = sample.image;
            std::vector<UnreadRange> unread;
            if (kind == 0) image.replace(at, kUdfBlock, std::string(kUdfBlock, '\0'));
            if (kind == 1) image.replace(at, kUdfBlock, structures.front() == at ? chosen_bytes(3, kUdfBlock) : image.substr(structures.front(), kUdfBlock));
            if (kind == 2) image.replace(at, 512, std::string(512, '\0'));
            if (kind == 3) unread.push_back({{at, kUdfBlock}, Cause::BAD_SECTOR});
            if (kind == 4) image.resize(at);
            if (kind >= 5) image[at + random() % (kind == 5 ? 64 : 512)] ^= static_cast<char>(1 << random() % 8);
            const auto list = list_udf(image, unread);
            if (!list) continue;
            ++opened;
            expect_nothing_wrong(sample, *list, kind == 3 ? std::vector<ByteRange>{{at, kUdfBlock}} : std::vector<ByteRange>{}, intact);
        }
    EXPECT_GT(opened, structures.size() * 5);
    EXPECT_GT(intact, opened * sample.contents.size() / 2);
}

TEST_P(Udf, AnyDamageIsSurvived) {
    const Sample sample = make_sample(GetParam().parts, GetParam().extended);
    std::mt19937 random(11);
    int opened = 0;
    for (int round = 0; round < 150; ++round) {
        std::string image = sample.image;
        if (round % 3 == 0) image.resize(random() % image.size() + 1);
        for (int i = 0; i < (round % 3 == 1 ? 30 : 2000); ++i) image[random() % image.size()] = static_cast<char>(random());
        opened += list_udf(image) != nullptr ? 1 : 0;
    }
    EXPECT_GT(opened, 10);
}

}  // namespace
}  // namespace ntt::test

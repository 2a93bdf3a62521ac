// HFS, on volumes made by hfsutils and genisoimage, with hfsutils as the oracle.
#include "fs/hfs/hfs_reader.h"

#include <random>
#include <set>

#include "fs/reader_listing.h"

namespace ntt::test {
namespace {

// Lists `image` as HFS; nothing if it cannot be opened.
std::unique_ptr<Listing> list_hfs(std::string image, std::vector<UnreadRange> unread = {}, uint64_t offset = 0) {
    auto out = std::make_unique<Listing>();
    out->source = memory_image(std::move(image));
    out->volume.number = 1;
    out->volume.offset_bytes = offset;
    out->volume.size_bytes = out->source->size_bytes() - offset;
    out->volume.view = out->volume.fs_type = "hfs";
    ReaderOptions options;
    if (!unread.empty()) options.unread = std::make_shared<const std::vector<UnreadRange>>(std::move(unread));
    auto reader = open_hfs(*out->source, out->volume, options, *out);
    if (!reader.ok()) return nullptr;
    out->reader = *std::move(reader);
    const auto listed = out->reader->list(*out, CancelToken());
    EXPECT_TRUE(listed.ok()) << why(listed);
    return out;
}

// A file with two forks in the form that hfsutils takes. MacBinary II.
std::string mac_binary(const std::string& name, const std::string& data, const std::string& resources) {
    std::string out(128, '\0');
    const auto put = [&](size_t at, size_t value) {
        for (size_t i = 0; i < 4; ++i) out[at + i] = static_cast<char>(value >> (8 * (3 - i)));
    };
    out[1] = static_cast<char>(name.size());
    out.replace(2, name.size(), name);
    out.replace(65, 8, "TEXTttxt");
    put(83, data.size());
    put(87, resources.size());
    out[122] = out[123] = static_cast<char>(129);
    uint32_t crc = 0;
    for (size_t i = 0; i < 124; ++i) {
        crc ^= static_cast<uint32_t>(static_cast<uint8_t>(out[i])) << 8;
        for (int bit = 0; bit < 8; ++bit) crc = (crc & 0x8000) ? (crc << 1 ^ 0x1021) & 0xFFFF : crc << 1 & 0xFFFF;
    }
    out[124] = static_cast<char>(crc >> 8);
    out[125] = static_cast<char>(crc);
    const auto padded = [](std::string bytes) {
        bytes.resize((bytes.size() + 127) / 128 * 128);
        return bytes;
    };
    return out + padded(data) + padded(resources);
}

// A volume of 1 MiB with folders, 100 files, forks, and one file in many pieces; made once.
class Hfs : public testing::Test {
protected:
    static void SetUpTestSuite() {
        if (!have_tool("hformat")) return;
        const TempDir dir;
        std::string script = "export HOME=$PWD; truncate -s 1M i && hformat -l Test i >/dev/null && hmount i >/dev/null\nhmkdir folder; hmkdir :folder:inner\n";
        const auto put = [&](const std::string& path, const std::string& content) {
            write_file(dir / ("f" + std::to_string(contents_.size())), content);
            script += "hcopy -r f" + std::to_string(contents_.size()) + " " + shell_quoted(path) + "\n";
            contents_[path.substr(1)] = content;
        };
        for (uint32_t i = 0; i < 100; ++i) put(":folder:file number " + std::to_string(i), chosen_bytes(i, 100 + 61 * i));
        put(":top/level", "with a slash");
        put(":folder:inner:empty", "");
        write_file(dir / "forks", mac_binary("forks", "data of it", chosen_bytes(7, 3'000)));
        script += "hcopy -m forks :folder:\n";
        contents_["folder:forks"] = "data of it";
        contents_["folder:forks:rsrc"] = chosen_bytes(7, 3'000);
        // The volume is filled, every other filler goes, and a larger file takes their places.
        script += "n=0; head -c 3000 /dev/zero > filler; while hcopy -r filler :fill$n 2>/dev/null; do n=$((n+1)); done\n";
        script += "for i in $(seq 0 2 60); do hdel fill$i; done\n";
        put(":pieces", chosen_bytes(9, 60'000));
        script += "for i in $(seq 1 2 60) $(seq 61 $((n-1))); do hdel fill$i; done; hdel fill$n 2>/dev/null\nhumount\n";
        must(script, dir.path().string());
        image_ = read_file(dir / "i");
    }
    void SetUp() override {
        if (image_.empty()) GTEST_SKIP() << "needs the tools of hfsutils";
        write_file(dir_ / "i", image_);
    }
    // HFS's path as ours.
    static std::string ours(std::string path) {
        for (char& c : path) c = c == ':' ? '/' : c == '/' ? ':' : c;
        if (path.size() > 5 && path.substr(path.size() - 5) == "/rsrc") path[path.size() - 5] = ':';
        return path;
    }
    // Where the catalogue or the overflow file lies.
    static std::vector<ByteRange> tree(size_t header_at) {
        const auto be = [&](size_t at, size_t n) {
            uint64_t out = 0;
            for (size_t i = 0; i < n; ++i) out = out << 8 | static_cast<uint8_t>(image_[at + i]);
            return out;
        };
        std::vector<ByteRange> out;
        for (size_t i = 0; i < 3; ++i)
            if (const uint64_t count = be(1024 + header_at + 4 * i + 2, 2); count != 0)
                out.push_back({be(1024 + 28, 2) * 512 + be(1024 + header_at + 4 * i, 2) * be(1024 + 20, 4), count * be(1024 + 20, 4)});
        return out;
    }
    TempDir dir_;
    inline static std::map<std::string, std::string> contents_;  // by the path that hfsutils knows
    inline static std::string image_;
};

TEST_F(Hfs, EveryFileOfAVolumeOfHfsutilsIsRead) {
    const auto list = list_hfs(image_);
    ASSERT_TRUE(list);
    for (const auto& [path, content] : contents_) {
        SCOPED_TRACE(path);
        EXPECT_TRUE(list->content(ours(path)) == content);
        EXPECT_TRUE(list->at(ours(path)).faults.empty());
    }
    EXPECT_GT(list->at("pieces").extents.size(), 3u) << "the test wants a file in the overflow tree";
    EXPECT_EQ(list->names.size(), contents_.size() + 2);
    EXPECT_TRUE(list->findings.findings.empty()) << list->findings.findings[0].message << list->findings.findings[0].evidence;
    EXPECT_EQ(list->at("folder/forks:rsrc").stream, "rsrc");
    EXPECT_EQ(list->at("folder/forks:rsrc").ino, (int64_t{1} << 62) + list->at("folder/forks").ino);
}

// Names and times as hls shows them.
TEST_F(Hfs, NamesAndTimesAreThoseThatHlsShows) {
    const auto list = list_hfs(image_);
    ASSERT_TRUE(list);
    const std::string shown = must("export HOME=$PWD; hmount i >/dev/null; hls -1 :folder; humount", dir_.path().string());
    std::set<std::string> names;
    for (const auto& [path, ino] : list->names)
        if (path.rfind("folder/", 0) == 0 && path.find('/', 7) == path.npos && path.find(":rsrc") == path.npos) names.insert(path.substr(7));
    std::set<std::string> theirs;
    for (size_t at = 0; at < shown.size();) {
        const size_t end = shown.find('\n', at);
        theirs.insert(shown.substr(at, end - at));
        at = end + 1;
    }
    EXPECT_EQ(names, theirs);
    const int64_t now = std::stol(must("date +%s"));
    EXPECT_NEAR(static_cast<double>(list->at("pieces").mtime.value_or(0)), static_cast<double>(now), 86'400);
}

TEST(HfsNames, MacRomanBecomesUtf8) {
    NTT_NEED_TOOL("hformat");
    NTT_NEED_TOOL("iconv");
    TempDir dir;
    must("export HOME=$PWD; truncate -s 1M i && hformat i >/dev/null && hmount i && echo x > f && hcopy -r f :name && humount", dir.path().string());
    std::string image = read_file(dir / "i");
    for (int first = 0x80; first < 0x100; first += 4) {
        std::string raw;
        for (int i = 0; i < 4; ++i) raw.push_back(static_cast<char>(first + i));
        std::string changed = image;
        for (size_t at = changed.find("\x04name"); at != changed.npos; at = changed.find("\x04name", at)) changed.replace(at + 1, 4, raw);
        write_file(dir / "raw", raw);
        const auto list = list_hfs(changed);
        ASSERT_TRUE(list);
        ASSERT_EQ(list->names.size(), 1u);
        if (first == 0xC4 || first == 0xF0) continue;  // of 0xC6 and 0xF0 glibc differs from Apple's table
        EXPECT_EQ(list->names.begin()->first, must("iconv -f MACINTOSH -t UTF-8 raw", dir.path().string()));
    }
}

TEST(HfsHybrid, TheMacSideOfADiscOfGenisoimageIsRead) {
    NTT_NEED_TOOL("genisoimage");
    TempDir dir;
    must("mkdir -p t/folder", dir.path().string());
    for (int i = 0; i < 60; ++i) write_file(dir / ("t/folder/file " + std::to_string(i)), chosen_bytes(static_cast<uint32_t>(i), 5'000));
    must("genisoimage -quiet -hfs -o i t", dir.path().string());
    const std::string image = read_file(dir / "i");
    ASSERT_EQ(image.substr(1024, 2), "BD");
    const auto list = list_hfs(image);
    ASSERT_TRUE(list);
    for (int i = 0; i < 60; ++i) {
        EXPECT_EQ(list->content("folder/file " + std::to_string(i)), chosen_bytes(static_cast<uint32_t>(i), 5'000));
        EXPECT_TRUE(list->at("folder/file " + std::to_string(i)).faults.empty());
    }
}

TEST_F(Hfs, AnUnreadNodeOfTheCatalogueIsNotBelievedAndHidesOnlyItsOwnNames) {
    const auto whole = list_hfs(image_);
    ASSERT_TRUE(whole);
    size_t hidden = 0;
    for (const ByteRange& range : tree(150))
        for (uint64_t at = range.offset + 512; at < range.end(); at += 512) {
            const auto list = list_hfs(image_, {{{at, 512}, Cause::BAD_SECTOR}});
            ASSERT_TRUE(list);
            if (list->names.size() == whole->names.size()) continue;
            ++hidden;
            EXPECT_TRUE(list->findings.has("directory_unreadable"));
            EXPECT_GE(list->names.size() + 8, whole->names.size());
        }
    EXPECT_GT(hidden, 20u);
}

// Of what is listed without a fault and does not lie on what is damaged, each content is one of those that were put in.
TEST_F(Hfs, NoDamageOfAStructureGivesAWrongContent) {
    std::set<std::string> contents = {""};
    for (const auto& [path, content] : contents_) contents.insert(content);
    std::vector<ByteRange> structures = {{1024, 1024}, {1536, 512}};  // the header, the bitmap
    for (const size_t header_at : {size_t{134}, size_t{150}})
        for (const ByteRange& range : tree(header_at))
            for (uint64_t at = range.offset; at < range.end(); at += 512)
                if (image_.substr(at, 512).find_first_not_of('\0') != std::string::npos) structures.push_back({at, 512});
    std::mt19937 random(5);
    size_t opened = 0, intact = 0, wrong = 0;
    for (const ByteRange& place : structures)
        for (int kind = 0; kind < 8; ++kind) {
            std::string image = image_;
            std::vector<UnreadRange> unread;
            if (kind == 0) image.replace(place.offset, place.length, std::string(place.length, '\0'));
            if (kind == 1) image.replace(place.offset, 512, image.substr(structures.back().offset, 512));
            if (kind == 2) image.replace(place.offset, 256, chosen_bytes(3, 256));
            if (kind == 3) unread.push_back({place, Cause::BAD_SECTOR});
            if (kind == 4) image.resize(place.offset);
            if (kind >= 5) image[place.offset + random() % 512] ^= static_cast<char>(1 << random() % 8);
            const auto list = list_hfs(image, unread);
            if (!list) continue;
            ++opened;
            for (const auto& [path, ino] : list->names) {
                const InodeEntry& inode = list->inodes.at(ino);
                if (inode.fs_type != 'f' || !inode.faults.empty()) continue;
                const bool cut = std::any_of(inode.extents.begin(), inode.extents.end(), [&](const Extent& e) {
                    return e.kind == ExtentKind::data && e.image_offset + e.length > list->source->size_bytes();
                });
                if (cut) continue;
                ++intact;
                const std::string content = list->content(inode);
                // HFS says a file's length once. One that differs in it alone is beyond what can be seen.
                const bool length_alone = kind >= 5 && std::any_of(contents.begin(), contents.end(), [&](const std::string& whole) {
                    return !whole.empty() && (whole.rfind(content, 0) == 0 || content.rfind(whole, 0) == 0);
                });
                if (contents.count(content) == 0 && !length_alone) {
                    ++wrong;
                    ADD_FAILURE() << path << " with damage " << kind << " at " << place.offset;
                }
            }
        }
    EXPECT_EQ(wrong, 0u);
    EXPECT_GT(opened, structures.size() * 6);
    EXPECT_GT(intact, opened * contents.size() / 2);
}

TEST_F(Hfs, AnyDamageIsSurvived) {
    std::mt19937 random(11);
    int opened = 0;
    const std::vector<ByteRange> catalogue = tree(150);
    for (int round = 0; round < 120; ++round) {
        std::string image = image_;
        if (round % 4 == 0) image.resize(random() % image.size() + 1);
        for (int i = 0; i < 40 && round % 4 == 1; ++i)
            image.replace(random() % (image.size() / 512) * 512, 512, std::string(512, '\0'));
        for (int i = 0; i < 60 && round % 4 > 1; ++i) {
            const ByteRange& range = catalogue[random() % catalogue.size()];
            image[range.offset + random() % range.length] = static_cast<char>(random());
        }
        opened += list_hfs(image) != nullptr ? 1 : 0;
    }
    EXPECT_GT(opened, 60);
}

TEST_F(Hfs, AFolderWhoseRecordIsLostLeavesItsFiles) {
    // The record of "inner" turned into a thread, which says nothing of a folder; nodes no longer in use may have it too.
    std::string image = image_;
    size_t changed = 0;
    for (size_t at = image.find("\x05inner"); at != image.npos; at = image.find("\x05inner", at + 1))
        if (image[at + 6] == 1) {
            image[at + 6] = 3;
            ++changed;
        }
    ASSERT_GT(changed, 0u);
    const auto list = list_hfs(image);
    ASSERT_TRUE(list);
    EXPECT_EQ(list->findings.count("folder_lost"), 1u);
    EXPECT_TRUE(list->findings.has("directory_unreadable"));  // "folder" holds one name less than it says
    size_t found = 0;
    for (const auto& [path, ino] : list->names) found += path.find("$lost/ino-") == 0 && path.find("/empty") != path.npos ? 1u : 0u;
    EXPECT_EQ(found, 1u);
}

}  // namespace
}  // namespace ntt::test

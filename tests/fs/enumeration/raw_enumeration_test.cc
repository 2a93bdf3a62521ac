// The predecessor's records are read as they are written, and by number refused where they are not.
#include "fs/enumeration/raw_enumeration.h"

#include <fmt/format.h>
#include <gmock/gmock.h>
#include <sys/stat.h>

#include <nlohmann/json.hpp>
#include <set>

#include "recorded.h"
#include "support/fault_env.h"

namespace ntt::test {
namespace {

using nlohmann::json;
using testing::AllOf;
using testing::ElementsAre;
using testing::HasSubstr;

constexpr int64_t kFirstOwnIno = int64_t{1} << 62;

// A record of these fields.
std::string record(const std::vector<std::string>& fields) {
    std::string out;
    for (size_t i = 0; i < fields.size(); ++i) out += (i == 0 ? "" : "\x1C") + fields[i];
    out.push_back('\0');
    return out;
}

std::string file_record(const std::string& ino, const std::string& path, const std::string& dev = "1", const std::string& size = "10", const std::string& mtime = "5") {
    return record({"f", dev, ino, "1", size, mtime, path});
}

class RawEnumeration : public testing::Test {
protected:
    const TempDir folder;
    const std::string path = folder / "raw";
    Env& env = Env::host();
    const CancelToken cancel{};

    Result<std::unique_ptr<FsReader>> open(std::string_view bytes, const std::string& root = "") {
        std::filesystem::remove(path);
        write_file(path, bytes);
        return open_raw_enumeration(env, opened(path), "raw", root, cancel);
    }

    std::string refusal(std::string_view bytes, const std::string& root = "") {
        const auto reader = open(bytes, root);
        EXPECT_FALSE(reader.ok()) << to_terminal_text(bytes);
        return reader.ok() ? "" : reader.error().message;
    }

    Recorded listed(std::string_view bytes, const std::string& root = "") {
        Recorded sink;
        const auto reader = open(bytes, root);
        EXPECT_TRUE(reader.ok()) << why(reader);
        if (!reader.ok()) return sink;
        const auto done = (*reader)->list(sink, cancel);
        EXPECT_TRUE(done.ok()) << why(done);
        Recorded again;
        EXPECT_TRUE((*reader)->list(again, cancel).ok());
        EXPECT_EQ(again.bytes(), sink.bytes()) << "a second listing is as the first";
        detail = json::parse((*reader)->detail());
        return sink;
    }

    json detail;  // after listed()
};

TEST_F(RawEnumeration, gives_types_sizes_links_and_times_of_every_record) {
    const Recorded is = listed(record({"d", "64768", "2", "5", "4096", "1700000000", "/"}) + record({"f", "64768", "12", "2", "9223372036854775807", "-7", "/a"}) +
                               record({"l", "64768", "13", "1", "4", "12.5", "/b"}) + record({"p", "64768", "14", "1", "0", "-2.2500000000", "/c"}) +
                               record({"s", "64768", "0", "1", "0", "0", "/d"}) + record({"c", "64768", "16", "1", "0", "0", "/e"}) +
                               record({"b", "64768", "17", "0", "0", "1.1234567899", "/f"}));
    EXPECT_THAT(is.paths(), ElementsAre("a", "b", "c", "d", "e", "f"));
    const std::vector<InodeEntry> inodes = is.all<InodeEntry>();
    ASSERT_EQ(inodes.size(), 6u);
    EXPECT_EQ(std::tie(inodes[0].ino, inodes[0].fs_ino, inodes[0].fs_type, inodes[0].nlink, inodes[0].size, inodes[0].mtime, inodes[0].access),
              std::make_tuple(12, "12", 'f', 2u, uint64_t{INT64_MAX}, std::optional<int64_t>(-7), ContentAccess::through_reader));
    EXPECT_EQ(std::tie(inodes[1].fs_type, inodes[1].mtime, inodes[1].mtime_ns, inodes[1].access),
              std::make_tuple('l', std::optional<int64_t>(12), 500'000'000, ContentAccess::none));
    EXPECT_EQ(std::tie(inodes[2].mtime, inodes[2].mtime_ns), std::make_tuple(std::optional<int64_t>(-2), 250'000'000));
    EXPECT_EQ(std::tie(inodes[5].fs_type, inodes[5].nlink, inodes[5].mtime_ns), std::make_tuple('b', 0u, 123'456'789));
    EXPECT_EQ(detail["records"], 7);
    EXPECT_EQ(detail["root_records"], 1);
    EXPECT_EQ(detail["format"], "ntt-raw");
}

TEST_F(RawEnumeration, takes_the_root_from_paths_and_only_the_root) {
    EXPECT_THAT(listed(file_record("1", "/mnt/p1/a") + file_record("2", "/mnt/p1/mnt/p1/b"), "/mnt/p1").paths(), ElementsAre("a", "mnt/p1/b"));
    EXPECT_THAT(listed(record({"d", "1", "2", "2", "0", "0", "/mnt/p1/"}) + file_record("1", "/mnt/p1/a"), "/mnt/p1/").paths(), ElementsAre("a"));
    EXPECT_THAT(listed(file_record("1", "/mnt/p1/a"), "/").paths(), ElementsAre("mnt/p1/a"));
    EXPECT_THAT(listed(file_record("1", "/mnt/p1/a")).paths(), ElementsAre("mnt/p1/a"));
    EXPECT_THAT(listed(file_record("1", "b/a") + record({"d", "1", "2", "2", "0", "0", "."}) + file_record("3", "./c")).paths(), ElementsAre("b/a", "c"));
    EXPECT_THAT(listed(file_record("1", "p1/a"), "p1").paths(), ElementsAre("a"));
    EXPECT_THAT(refusal(file_record("1", "/mnt/p1/a") + file_record("2", "/mnt/p11/b"), "/mnt/p1"), AllOf(HasSubstr("record 2"), HasSubstr("not below '/mnt/p1'")));
    EXPECT_THAT(refusal(file_record("1", "a"), "/mnt/p1"), HasSubstr("not below"));
}

TEST_F(RawEnumeration, keeps_separators_and_newlines_in_paths) {
    std::string every;
    for (int byte = 1; byte < 256; ++byte)
        if (byte != '/') every.push_back(static_cast<char>(byte));
    EXPECT_THAT(listed(file_record("1", "/a\x1C" "b\n/c\x1C\x1C") + file_record("2", "/" + every) + file_record("3", "/\x1C")).paths(),
                ElementsAre("a\x1C" "b\n/c\x1C\x1C", every, "\x1C"));
}

TEST_F(RawEnumeration, damaged_is_refused_by_record_and_place) {
    const std::string good = file_record("1", "/a");
    const auto refused = [&](const std::string& bad, const char* words) {
        EXPECT_THAT(refusal(good + good + bad + good), AllOf(HasSubstr(fmt::format("record 3 at byte {}", 2 * good.size())), HasSubstr(words)));
    };
    refused(record({""}), "1 of 7 fields");
    refused(record({"f", "1", "2", "1", "10", "5"}), "6 of 7 fields");
    refused(record({"f", "1", "2", "1", "10", "5", ""}), "path is empty");
    refused(record({"x", "1", "2", "1", "10", "5", "/b"}), "type is 'x'");
    refused(record({"ff", "1", "2", "1", "10", "5", "/b"}), "type is 'ff'");
    for (const std::string number : {"", "-1", "+1", "0x1", " 1", "1 ", "1.0", "one"}) {
        refused(record({"f", number, "2", "1", "10", "5", "/b"}), "dev is no number");
        refused(record({"f", "1", number, "1", "10", "5", "/b"}), "ino is no number");
        refused(record({"f", "1", "2", number, "10", "5", "/b"}), "nlink is no number");
        refused(record({"f", "1", "2", "1", number, "5", "/b"}), "size is no number");
    }
    refused(file_record("18446744073709551616", "/b"), "ino is more than 18446744073709551615");
    refused(file_record("2", "/b", "1", "9223372036854775808"), "size is more than 9223372036854775807");
    for (const std::string time : {"", "-", "5.", ".5", "5.x", "9223372036854775808", "5,5", "1e5"})
        refused(file_record("2", "/b", "1", "10", time), "mtime is no number");
    refused(file_record("2", "/b//c"), "empty part");
    refused(file_record("2", "//b"), "empty part");
    refused(file_record("2", "/b/"), "empty part");
    refused(file_record("2", "/b/../c"), "part '..'");
    refused(file_record("2", ".."), "part '..'");
    refused(file_record("2", "/b/./c"), "part '.'");
    refused(file_record("2", "/" + std::string(kMaxPathOnWire + 1, 'x')), "more than");
    refused(file_record("2", "/" + std::string(300'000, 'x')), "longer than any path");
}

TEST_F(RawEnumeration, cut_anywhere_but_behind_a_record_is_refused) {
    const std::string first = file_record("1", "/a"), whole = first + file_record("2", "/b");
    for (size_t length = 0; length < whole.size(); ++length) {
        if (length == first.size()) continue;
        const std::string words = refusal(std::string_view(whole).substr(0, length));
        if (length == 0) EXPECT_THAT(words, HasSubstr("no record"));
        else EXPECT_THAT(words, AllOf(HasSubstr(length < first.size() ? "record 1 " : "record 2 "), HasSubstr("cut short")));
    }
}

TEST_F(RawEnumeration, of_the_older_format_is_refused_in_words) {
    for (const std::string bits : {"644", "775", "0644", "100644", "-rw-r--r--", "drwxr-xr-x", "lrwxrwxrwx", "-rwsr-xr-t.", "brw-rw----+"}) {
        const auto reader = open(record({bits, "1", "2", "1", "10", "5", "/a"}));
        ASSERT_FALSE(reader.ok()) << bits;
        EXPECT_EQ(reader.error().code, ErrorCode::unsupported);
        EXPECT_THAT(reader.error().message,
                    AllOf(HasSubstr("record 1"), HasSubstr("an older format of the predecessor: permission bits stand where the type letter should be")));
    }
    EXPECT_THAT(refusal(file_record("1", "/a") + record({"100644", "1", "2", "1", "10", "5", "/b"})), AllOf(HasSubstr("record 2"), HasSubstr("older format")));
}

TEST_F(RawEnumeration, with_two_devices_keeps_their_inodes_apart) {
    const Recorded is = listed(file_record("12", "/p1/a", "7", "1") + file_record("12", "/p2/b", "8", "2") + file_record("13", "/p2/c", "8", "3") +
                               file_record("12", "/p1/hard link", "7", "1") + file_record("12", "/p2/hard link", "8", "2"));
    const std::vector<InodeEntry> inodes = is.all<InodeEntry>();
    ASSERT_EQ(inodes.size(), 3u);
    EXPECT_EQ(std::tie(inodes[0].ino, inodes[0].fs_ino, inodes[0].size), std::make_tuple(12, "12", 1u));
    EXPECT_EQ(std::tie(inodes[1].ino, inodes[1].fs_ino, inodes[1].size), std::make_tuple(kFirstOwnIno, "8:12", 2u));
    EXPECT_EQ(std::tie(inodes[2].ino, inodes[2].fs_ino, inodes[2].size), std::make_tuple(kFirstOwnIno + 1, "8:13", 3u));
    const std::vector<NameEntry> names = is.all<NameEntry>();
    ASSERT_EQ(names.size(), 5u);
    EXPECT_EQ(names[3].ino, 12);
    EXPECT_EQ(names[4].ino, kFirstOwnIno);
    EXPECT_TRUE(is.all<Finding>().empty());
    EXPECT_EQ(detail["renumbered_inodes"], 2);
}

TEST_F(RawEnumeration, gives_numbers_beyond_our_range_one_of_our_own) {
    const std::vector<InodeEntry> inodes =
        listed(file_record("4611686018427387903", "/a") + file_record("4611686018427387904", "/b") + file_record("18446744073709551615", "/c")).all<InodeEntry>();
    ASSERT_EQ(inodes.size(), 3u);
    EXPECT_EQ(inodes[0].ino, kFirstOwnIno - 1);
    EXPECT_EQ(std::tie(inodes[1].ino, inodes[1].fs_ino), std::make_tuple(kFirstOwnIno, "4611686018427387904"));
    EXPECT_EQ(std::tie(inodes[2].ino, inodes[2].fs_ino), std::make_tuple(kFirstOwnIno + 1, "18446744073709551615"));
}

TEST_F(RawEnumeration, lists_doubled_names_and_says_so) {
    const Recorded is = listed(file_record("1", "/a\xFF") + file_record("2", "/b") + file_record("1", "/a\xFF") + file_record("3", "/b"));
    EXPECT_THAT(is.paths(), ElementsAre("a\xFF", "b", "a\xFF", "b"));
    const std::vector<NameEntry> names = is.all<NameEntry>();
    EXPECT_EQ(names[1].ino, 2);
    EXPECT_EQ(names[3].ino, 3);
    const std::vector<Finding> findings = is.all<Finding>();
    ASSERT_EQ(findings.size(), 2u);
    EXPECT_EQ(findings[0].code, "duplicate_record");
    EXPECT_EQ(findings[0].ino, 1);
    EXPECT_EQ(json::parse(findings[0].evidence), (json{{"path", "/a\uFFFD"}, {"first_record", 1}, {"record", 3}}));
    EXPECT_EQ(findings[1].code, "duplicate_entry");
    EXPECT_EQ(findings[1].ino, 3);
    EXPECT_EQ(json::parse(findings[1].evidence), (json{{"path", "/b"}, {"first_record", 2}, {"record", 4}}));
}

TEST_F(RawEnumeration, takes_the_first_of_records_that_disagree_about_an_inode) {
    for (const std::string& other : {file_record("1", "/b", "1", "11"), file_record("1", "/b", "1", "10", "6"), file_record("1", "/b", "1", "10", "5.5"),
                                     record({"d", "1", "1", "1", "10", "5", "/b"})}) {
        const Recorded is = listed(file_record("1", "/a") + other);
        ASSERT_EQ(is.all<InodeEntry>().size(), 1u);
        EXPECT_EQ(is.all<InodeEntry>()[0].size, 10u);
        EXPECT_EQ(is.all<InodeEntry>()[0].mtime, 5);
        EXPECT_EQ(is.paths().size(), 2u);
        ASSERT_EQ(is.all<Finding>().size(), 1u);
        const json evidence = json::parse(is.all<Finding>()[0].evidence);
        EXPECT_EQ(is.all<Finding>()[0].code, "conflicting_records");
        EXPECT_EQ(std::make_tuple(evidence["first_record"], evidence["record"], evidence["path"]), std::make_tuple(1, 2, "/b"));
    }
    EXPECT_TRUE(listed(file_record("1", "/a") + record({"f", "1", "1", "9", "10", "5", "/b"})).all<Finding>().empty()) << "links may come and go";
}

TEST_F(RawEnumeration, tells_ten_thousand_findings_of_a_kind_and_counts_the_rest) {
    std::string bytes;
    for (int i = 0; i < 10'003; ++i) bytes += file_record("1", "/a");
    const Recorded is = listed(bytes);
    EXPECT_EQ(is.paths().size(), 10'003u);
    EXPECT_EQ(is.count("duplicate_record"), 10'000u);
    ASSERT_EQ(is.count("findings_left_out"), 1u);
    EXPECT_EQ(json::parse(is.all<Finding>().back().evidence), (json{{"code", "duplicate_record"}, {"count", 2}}));
    EXPECT_EQ(detail["duplicate_record"], 10'002);
}

TEST_F(RawEnumeration, has_no_contents_and_hands_on_errors) {
    ASSERT_OK_ASSIGN(const auto reader, open(file_record("1", "/a")));
    uint8_t byte = 0;
    EXPECT_EQ(reader->read_content("1", "", 0, {&byte, 1}).error().code, ErrorCode::unsupported);
    CancelToken stop;
    stop.cancel();
    Recorded sink;
    EXPECT_EQ(reader->list(sink, stop).error().code, ErrorCode::cancelled);
    const TempDir grave;
    FaultEnv faulty(grave.path().string());
    faulty.set_fault({1, EIO, Op::read});
    EXPECT_EQ(open_raw_enumeration(faulty, opened(path), "raw", "", cancel).error().code, ErrorCode::io);
}

// find decides what the records are, lstat what they must say.
TEST_F(RawEnumeration, by_find_says_what_stat_says) {
    NTT_NEED_TOOL("find");
    const std::string tree = folder / "tree";
    must("mkdir -p tree/sub/'deep er' && cd tree && printf hello >small && ln small sub/hard && ln -s ../small sub/soft && mkfifo pipe"
         " && truncate -s 5G sparse && touch -d '1955-11-05 06:00:00.25 UTC' old && touch -d '2042-01-01 UTC' sub/future"
         " && : >'-dash' && : >'back\\slash\\n' && : >\"$(printf 'new\\nline')\" && : >\"$(printf 'sep\\034arator')\" && : >\"$(printf 'latin\\351')\"",
         folder.path().string());
    must("find " + shell_quoted(tree) + R"( -printf '%y\034%D\034%i\034%n\034%s\034%T@\034%p\0' >found)", folder.path().string());
    const Recorded is = listed(read_file(folder / "found"), tree);
    EXPECT_TRUE(is.all<Finding>().empty());
    std::map<int64_t, InodeEntry> inodes;
    for (const InodeEntry& inode : is.all<InodeEntry>()) inodes[inode.ino] = inode;
    std::set<std::string> names;
    for (const NameEntry& name : is.all<NameEntry>()) {
        EXPECT_TRUE(names.insert(name.path).second);
        struct stat info {};
        ASSERT_EQ(::lstat((tree + "/" + name.path).c_str(), &info), 0) << name.path;
        const InodeEntry& inode = inodes.at(name.ino);
        EXPECT_EQ(inode.fs_ino, std::to_string(info.st_ino));
        EXPECT_EQ(std::tie(inode.nlink, inode.size), std::make_tuple(info.st_nlink, static_cast<uint64_t>(info.st_size))) << name.path;
        EXPECT_EQ(std::tie(inode.mtime, inode.mtime_ns), std::make_tuple(std::optional<int64_t>(info.st_mtim.tv_sec), info.st_mtim.tv_nsec)) << name.path;
        const char type = S_ISDIR(info.st_mode) ? 'd' : S_ISLNK(info.st_mode) ? 'l' : S_ISFIFO(info.st_mode) ? 'p' : 'f';
        EXPECT_EQ(inode.fs_type, type) << name.path;
    }
    std::set<std::string> there;
    for (const auto& entry : std::filesystem::recursive_directory_iterator(tree)) there.insert(entry.path().string().substr(tree.size() + 1));
    EXPECT_EQ(names, there);
    EXPECT_EQ(names.size(), 14u);
    EXPECT_EQ(inodes.size(), 13u);
}

InodeEntry an_inode(int64_t ino, char type, uint64_t size) {
    InodeEntry inode;
    inode.ino = ino;
    inode.fs_type = type;
    inode.size = size;
    inode.nlink = 2;
    inode.mtime = -3;
    inode.mtime_ns = 5;
    inode.access = type == 'f' ? ContentAccess::through_reader : ContentAccess::none;
    return inode;
}

TEST_F(RawEnumeration, is_written_with_a_record_for_each_name_below_the_root) {
    const Fd out = new_file(env, folder, "raw");
    RawEnumerationWriter writer(env, out, {"/mnt/p1/", 7});
    ASSERT_OK(writer.add_inode(an_inode(5, 'd', 0)));
    ASSERT_OK(writer.add_name({"sub", "", 5}));
    ASSERT_OK(writer.add_inode(an_inode(kFirstOwnIno + 1, 'f', 9)));
    ASSERT_OK(writer.add_name({"sub/a\x1C\n", "", kFirstOwnIno + 1}));
    InodeEntry timeless = an_inode(6, 'l', 3);
    timeless.mtime.reset();
    ASSERT_OK(writer.add_inode(timeless));
    ASSERT_OK(writer.add_inode(an_inode(8, 'f', 1)));
    ASSERT_OK(writer.add_name({"b", "", kFirstOwnIno + 1}));
    ASSERT_OK(writer.add_name({"l", "", 6}));
    writer.add({"name_invalid", "", "{}", 0, std::nullopt});
    ASSERT_OK(writer.finish());
    EXPECT_EQ(writer.records(), 4u);
    EXPECT_EQ(writer.findings_lost(), 1u);
    EXPECT_EQ(read_file(path), record({"d", "7", "5", "2", "0", "-3", "/mnt/p1/sub"}) + record({"f", "7", "4611686018427387905", "2", "9", "-3", "/mnt/p1/sub/a\x1C\n"}) +
                                   record({"f", "7", "4611686018427387905", "2", "9", "-3", "/mnt/p1/b"}) + record({"l", "7", "6", "2", "3", "0", "/mnt/p1/l"}));
    EXPECT_THAT(listed(read_file(path), "/mnt/p1").paths(), ElementsAre("sub", "sub/a\x1C\n", "b", "l"));
}

TEST_F(RawEnumeration, without_a_root_is_written_with_a_leading_slash) {
    const Fd out = new_file(env, folder, "raw");
    RawEnumerationWriter writer(env, out, {});
    ASSERT_OK(writer.add_inode(an_inode(5, 'f', 0)));
    ASSERT_OK(writer.add_name({"a", "", 5}));
    ASSERT_OK(writer.finish());
    EXPECT_EQ(read_file(path), record({"f", "1", "5", "2", "0", "-3", "/a"}));
}

TEST_F(RawEnumeration, is_not_written_of_nothing_or_of_names_that_are_none) {
    const Fd out = new_file(env, folder, "raw");
    RawEnumerationWriter writer(env, out, {});
    EXPECT_EQ(writer.finish().error().code, ErrorCode::unsupported);
    EXPECT_EQ(writer.add_name({"a", "", 5}).error().code, ErrorCode::malformed);
    ASSERT_OK(writer.add_inode(an_inode(5, 'f', 0)));
    EXPECT_EQ(writer.add_inode(an_inode(5, 'f', 0)).error().code, ErrorCode::malformed);
    for (const std::string& name : {std::string(), std::string("../a"), std::string("/a"), std::string("a\0b", 3)})
        EXPECT_EQ(writer.add_name({name, "", 5}).error().code, ErrorCode::malformed);
    const TempDir grave;
    FaultEnv faulty(grave.path().string());
    faulty.set_fault({1, ENOSPC, Op::write});
    RawEnumerationWriter failing(faulty, out, {});
    ASSERT_OK(failing.add_inode(an_inode(5, 'f', 0)));
    ASSERT_OK(failing.add_name({"a", "", 5}));
    EXPECT_EQ(failing.finish().error().code, ErrorCode::no_space);
}

}  // namespace
}  // namespace ntt::test

// What a reader process is told and tells comes out as it went in, and nothing else is taken.
#include "fs/isolated/messages.h"

#include "support/support.h"

namespace ntt::test {
namespace {

InodeEntry full_inode() {
    InodeEntry inode;
    inode.ino = 12345;
    inode.fs_ino = "12345-128-1";
    inode.stream = "Zone.Identifier";
    inode.allocated = false;
    inode.nlink = 3;
    inode.size = 9000;
    inode.mtime = 1'000'000'000;
    inode.atime = -5;
    inode.crtime = 7;
    inode.mtime_ns = 999'999'999;
    inode.mode = 0100644;
    inode.uid = 1000;
    inode.attributes = -1;
    inode.target = "there";
    inode.access = ContentAccess::extents;
    inode.extents = {{0, 1 << 20, 4096, ExtentKind::data}, {4096, 0, 4096, ExtentKind::hole}};
    inode.faults = {{Cause::CHECKSUM, 8192, 808, R"({"block":5})"}};
    return inode;
}

std::string entries() {
    EntryWriter out;
    out.add(full_inode());
    out.add(NameEntry{"a/b\xFF", "A~1", 12345});
    out.add(DirectoryPlace{"a", 2, {{512, 1024}, {4096, 512}}});
    out.add(Finding{"directory_loop", "a folder stands in two places", R"({"path":"a"})", 4, 12345});
    EXPECT_EQ(out.entries(), 4u);
    return out.take();
}

std::vector<AnyEntry> decoded(std::string_view message, bool& good) {
    std::vector<AnyEntry> out;
    good = decode_entries(message, [&](AnyEntry entry) -> Result<void> {
               out.push_back(std::move(entry));
               return {};
           }).ok();
    return out;
}

TEST(Messages, entries_come_out_field_by_field_as_they_went_in) {
    bool good = false;
    const std::vector<AnyEntry> out = decoded(entries(), good);
    ASSERT_TRUE(good);
    ASSERT_EQ(out.size(), 4u);
    const InodeEntry was = full_inode(), is = std::get<InodeEntry>(out[0]);
    EXPECT_EQ(std::tie(is.ino, is.fs_ino, is.stream, is.fs_type, is.allocated, is.nlink, is.size, is.mtime, is.atime, is.ctime, is.crtime, is.mtime_ns),
              std::tie(was.ino, was.fs_ino, was.stream, was.fs_type, was.allocated, was.nlink, was.size, was.mtime, was.atime, was.ctime, was.crtime, was.mtime_ns));
    EXPECT_EQ(std::tie(is.mode, is.uid, is.gid, is.attributes, is.target, is.access, is.extents),
              std::tie(was.mode, was.uid, was.gid, was.attributes, was.target, was.access, was.extents));
    ASSERT_EQ(is.faults.size(), 1u);
    EXPECT_EQ(is.faults[0].cause, Cause::CHECKSUM);
    EXPECT_EQ(is.faults[0].file_offset, 8192u);
    EXPECT_EQ(is.faults[0].length, 808u);
    EXPECT_EQ(is.faults[0].evidence, R"({"block":5})");
    const NameEntry name = std::get<NameEntry>(out[1]);
    EXPECT_EQ(std::tie(name.path, name.short_name, name.ino), std::make_tuple("a/b\xFF", "A~1", 12345));
    const DirectoryPlace place = std::get<DirectoryPlace>(out[2]);
    EXPECT_EQ(place.path, "a");
    EXPECT_EQ(place.ino, 2);
    EXPECT_EQ(place.ranges, (std::vector<ByteRange>{{512, 1024}, {4096, 512}}));
    const Finding finding = std::get<Finding>(out[3]);
    EXPECT_EQ(std::tie(finding.code, finding.message, finding.evidence, finding.volume, finding.ino),
              std::make_tuple("directory_loop", "a folder stands in two places", R"({"path":"a"})", 4, std::optional<int64_t>(12345)));
}

TEST(Messages, entries_cut_anywhere_give_whole_entries_or_are_malformed) {
    const std::string whole = entries();
    size_t good_cuts = 0;
    for (size_t length = 0; length < whole.size(); ++length) {
        bool good = false;
        const size_t count = decoded(std::string_view(whole).substr(0, length), good).size();
        EXPECT_LE(count, 4u);
        good_cuts += good ? 1 : 0;
    }
    EXPECT_EQ(good_cuts, 4u) << "after no, one, two and three entries";
}

TEST(Messages, any_bytes_are_taken_or_refused) {
    for (uint32_t seed = 0; seed < 2000; ++seed) {
        bool good = false;
        decoded(chosen_bytes(seed, 5 + seed % 200), good);
    }
}

TEST(Messages, a_volume_and_its_options_travel_whole) {
    OpenRequest request;
    request.volume.number = 3;
    request.volume.offset_bytes = 32256;
    request.volume.size_bytes = 1 << 20;
    request.volume.view = "fat16";
    request.volume.fs_type = "fat";
    request.volume.role = Role::filesystem;
    request.volume.label = "NIÑO";
    request.volume.uuid = "1234-5678";
    request.volume.readable = true;
    request.volume.outcome = Outcome::read;
    request.volume.detail = R"({"table":"dos"})";
    request.options.fat_codepage = "cp437";
    request.options.fat_timezone = "America/Guatemala";
    request.options.fat_zone_file = std::make_shared<const std::string>("TZif");
    request.options.unread = std::make_shared<const std::vector<UnreadRange>>(std::vector<UnreadRange>{{{512, 512}, Cause::NOT_TRIED}});
    ASSERT_OK_ASSIGN(const OpenRequest out, decode_open(encode_open(request)));
    const Volume &is = out.volume, &was = request.volume;
    EXPECT_EQ(std::tie(is.number, is.offset_bytes, is.size_bytes, is.view, is.fs_type, is.role, is.label, is.uuid, is.readable, is.outcome, is.detail),
              std::tie(was.number, was.offset_bytes, was.size_bytes, was.view, was.fs_type, was.role, was.label, was.uuid, was.readable, was.outcome, was.detail));
    EXPECT_EQ(out.options.fat_codepage, "cp437");
    EXPECT_EQ(out.options.fat_timezone, "America/Guatemala");
    EXPECT_EQ(*out.options.fat_zone_file, "TZif");
    ASSERT_EQ(out.options.unread->size(), 1u);
    EXPECT_EQ(out.options.unread->front().range, (ByteRange{512, 512}));
    EXPECT_EQ(out.options.unread->front().cause, Cause::NOT_TRIED);
}

TEST(Messages, a_volume_whose_detail_is_no_json_or_whose_end_overflows_is_refused) {
    DetectionAnswer answer;
    answer.detection.volumes.emplace_back();
    answer.detection.volumes[0].detail = "{";
    EXPECT_FALSE(decode_detection(encode_detection(answer)).ok());
    answer.detection.volumes[0].detail = "{}";
    EXPECT_TRUE(decode_detection(encode_detection(answer)).ok());
    answer.detection.volumes[0].offset_bytes = UINT64_MAX;
    answer.detection.volumes[0].size_bytes = 512;
    EXPECT_FALSE(decode_detection(encode_detection(answer)).ok());
}

}  // namespace
}  // namespace ntt::test

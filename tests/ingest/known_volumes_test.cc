#include "ingest/known_volumes.h"

#include "support/support.h"

namespace ntt {
namespace {

Volume seen(int number, uint64_t offset, const std::string& view, const std::string& fs_type) {
    Volume out;
    out.number = number;
    out.offset_bytes = offset;
    out.view = view;
    out.fs_type = fs_type;
    return out;
}

VolumeRow known(int number, uint64_t offset, const std::string& view, const std::string& fs_type) {
    VolumeRow out;
    out.volume = number;
    out.offset_bytes = offset;
    out.view = view;
    out.fs_type = fs_type;
    out.outcome = view.empty() ? "no_filesystem" : "read";
    return out;
}

std::vector<std::string> texts(const std::vector<Volume>& volumes) {
    std::vector<std::string> out;
    for (const Volume& v : volumes) out.push_back(std::to_string(v.number) + "@" + std::to_string(v.offset_bytes) + " " + v.view);
    return out;
}

using Texts = std::vector<std::string>;

TEST(KnownNumbers, stay_with_offset_and_view_whatever_the_order) {
    std::vector<Volume> found = {seen(1, 0, "rockridge", "iso9660"), seen(2, 0, "iso9660", "iso9660"), seen(3, 512, "fat12", "fat")};
    const auto number_of = take_known_numbers(found, {known(1, 512, "fat12", "fat"), known(2, 0, "iso9660", "iso9660")});
    EXPECT_EQ(texts(found), (Texts{"1@512 fat12", "2@0 iso9660", "3@0 rockridge"}));
    EXPECT_EQ(number_of, (std::map<int, int>{{1, 3}, {2, 2}, {3, 1}}));
}

TEST(KnownNumbers, stay_with_a_filesystem_that_shows_itself_as_another_of_its_family) {
    std::vector<Volume> found = {seen(1, 0, "ext4", "ext"), seen(2, 4096, "joliet", "iso9660")};
    take_known_numbers(found, {known(1, 0, "ext2", "ext"), known(2, 4096, "rockridge", "iso9660")});
    EXPECT_EQ(texts(found), (Texts{"1@0 ext4", "2@4096 rockridge", "3@4096 joliet"})) << "the views of a disc are different names";
}

TEST(KnownNumbers, of_nothing_go_to_what_is_found_there) {
    std::vector<Volume> found = {seen(1, 1024, "ext4", "ext"), seen(2, 2048, "ntfs", "ntfs")};
    take_known_numbers(found, {known(1, 0, "", ""), known(2, 2048, "", "")});
    EXPECT_EQ(texts(found), (Texts{"2@2048 ntfs", "3@1024 ext4"}));
}

TEST(KnownNumbers, of_a_search_that_was_lost_go_to_what_is_found_now) {
    VolumeRow lost = known(1, 0, "", "");
    lost.outcome = "parser_crash";
    std::vector<Volume> found = {seen(1, 1024, "ext4", "ext"), seen(2, 2048, "ntfs", "ntfs")};
    take_known_numbers(found, {lost});
    EXPECT_EQ(texts(found), (Texts{"1@1024 ext4", "2@2048 ntfs"}));
}

TEST(KnownNumbers, of_volumes_that_are_not_found_any_more_are_nobody_elses) {
    std::vector<Volume> found = {seen(1, 0, "", "")};
    take_known_numbers(found, {known(1, 0, "fat12", "fat")});
    EXPECT_EQ(texts(found), (Texts{"1@0 fat12", "2@0 "}));
    EXPECT_TRUE(found.front().readable);
}

TEST(KnownVolume, is_what_its_row_says) {
    for (const Outcome outcome : {Outcome::read, Outcome::partial, Outcome::unsupported, Outcome::no_filesystem, Outcome::truncated, Outcome::parser_crash,
                                  Outcome::parser_timeout, Outcome::budget, Outcome::failed, Outcome::skipped}) {
        VolumeRow row = known(3, 512, "ext4", "ext");
        row.outcome = to_string(outcome);
        row.role = to_string(Role::raid_member);
        EXPECT_EQ(volume_of(row).outcome, outcome);
        EXPECT_EQ(volume_of(row).role, Role::raid_member);
        EXPECT_EQ(volume_of(row).readable, outcome != Outcome::unsupported && outcome != Outcome::skipped);
    }
    VolumeRow foreign;
    foreign.outcome = foreign.role = "banana";
    EXPECT_EQ(volume_of(foreign).outcome, Outcome::no_filesystem);
    EXPECT_EQ(volume_of(foreign).role, Role::unknown);
}

}  // namespace
}  // namespace ntt

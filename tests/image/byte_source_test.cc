// The rules that every ByteSource keeps, run on each of them, and those of raw and split images.
#include "image/byte_source.h"

#include <fcntl.h>
#include <sys/stat.h>

#include <algorithm>
#include <atomic>
#include <cerrno>
#include <thread>

#include <gmock/gmock.h>

#include "image/sources.h"

namespace ntt {
namespace {

using test::make_image;
using test::read_all;
using test::read_piece;
using test::TempDir;
using test::write_file;
using ::testing::HasSubstr;

constexpr size_t kImageBytes = 3 * 1024 * 1024 + 512;

// Text, zeros and noise, so that sparse and compressed formats have something to leave out and something to keep.
std::string chosen_content() {
    std::string content = test::chosen_bytes(7, kImageBytes);
    std::fill_n(content.begin() + 500'000, 900'000, '\0');
    std::fill_n(content.begin() + 2'000'000, 300'000, 'A');
    return content;
}

class EveryByteSource : public ::testing::TestWithParam<std::string> {
protected:
    void SetUp() override {
        const std::string tool = test::tool_for(GetParam());
        if (!tool.empty()) NTT_NEED_TOOL(tool);
        if (GetParam() == "memory") {
            source_ = memory_image(content_);
            return;
        }
        path_ = make_image(dir_, GetParam(), content_);
        ASSERT_OK_ASSIGN(source_, open_image(Env::host(), path_));
    }

    TempDir dir_;
    std::string path_;
    const std::string content_ = chosen_content();
    std::unique_ptr<ByteSource> source_;
};

TEST_P(EveryByteSource, gives_the_same_bytes_in_one_piece_and_in_odd_pieces) {
    ASSERT_EQ(source_->size_bytes(), content_.size());
    EXPECT_TRUE(read_all(*source_) == content_);
    for (const size_t piece : {size_t{511}, size_t{4097}, size_t{65536}, size_t{1'000'003}}) {
        std::string whole;
        for (uint64_t at = 0; at < source_->size_bytes(); at += piece)
            whole += read_piece(*source_, at, std::min<uint64_t>(piece, source_->size_bytes() - at));
        EXPECT_TRUE(whole == content_) << "pieces of " << piece;
    }
    EXPECT_TRUE(source_->damaged_ranges().empty());
}

TEST_P(EveryByteSource, gives_the_same_bytes_to_several_threads) {
    std::atomic<int> wrong = 0;
    std::vector<std::thread> threads;
    for (size_t t = 0; t < 4; ++t) {
        threads.emplace_back([&, t] {
            std::string bytes(10'007 * (t + 1), 'x');
            for (uint64_t at = t * 1013; at < content_.size(); at += bytes.size()) {
                const size_t n = std::min<uint64_t>(bytes.size(), content_.size() - at);
                const auto done = source_->read(at, {reinterpret_cast<uint8_t*>(bytes.data()), n});
                if (!done.ok() || content_.compare(at, n, bytes, 0, n) != 0) ++wrong;
            }
        });
    }
    for (std::thread& thread : threads) thread.join();
    EXPECT_EQ(wrong, 0);
}

TEST_P(EveryByteSource, refuses_to_read_beyond_its_end) {
    uint8_t two[2] = {};
    EXPECT_TRUE(source_->read(content_.size() - 2, two).ok());
    EXPECT_TRUE(source_->read(content_.size(), ByteSpan(two).first(0)).ok());
    for (const uint64_t offset : {uint64_t{content_.size() - 1}, uint64_t{content_.size()}, UINT64_MAX - 1, UINT64_MAX}) {
        const auto done = source_->read(offset, two);
        ASSERT_FALSE(done.ok()) << offset;
        EXPECT_EQ(done.error().code, ErrorCode::invalid_argument);
    }
}

TEST_P(EveryByteSource, gives_a_plain_file_only_where_its_bytes_are_the_images) {
    for (const ByteRange range : {ByteRange{0, 512}, ByteRange{kImageBytes - 512, 512}, ByteRange{1'000'000, 200'000}}) {
        uint64_t offset = 0;
        const Fd* file = source_->plain_file(range, &offset);
        if (file == nullptr) continue;
        std::string bytes(range.length, 'x');
        ASSERT_OK_ASSIGN(const size_t done,
                         Env::host().read_at(*file, {reinterpret_cast<uint8_t*>(bytes.data()), bytes.size()}, offset));
        EXPECT_EQ(done, bytes.size());
        EXPECT_TRUE(bytes == content_.substr(range.offset, range.length));
    }
    uint64_t offset = 0;
    EXPECT_EQ(source_->plain_file({kImageBytes - 1, 2}, &offset), nullptr);
    EXPECT_EQ(source_->plain_file({kImageBytes, 1}, &offset), nullptr);
    EXPECT_EQ(source_->plain_file({512, UINT64_MAX}, &offset), nullptr);
}

TEST_P(EveryByteSource, says_when_a_part_was_written_to_replaced_or_removed) {
    ASSERT_OK(source_->check_unchanged(Env::host()));
    const auto expect_changed = [&](const ImagePart& part, const std::string& how) {
        const auto unchanged = source_->check_unchanged(Env::host());
        ASSERT_FALSE(unchanged.ok()) << part.path;
        EXPECT_EQ(unchanged.error().code, ErrorCode::source_changed);
        EXPECT_THAT(unchanged.error().message, HasSubstr(part.path + " changed"));
        EXPECT_THAT(unchanged.error().message, HasSubstr(how));
    };
    // From the last: the first that has changed is named.
    for (auto part = source_->parts().rbegin(); part != source_->parts().rend(); ++part) {
        const std::string bytes = test::read_file(part->path);
        ASSERT_EQ(part->size_bytes, bytes.size());
        const timespec now[2] = {{0, UTIME_NOW}, {0, UTIME_NOW}};
        ASSERT_EQ(::utimensat(AT_FDCWD, part->path.c_str(), now, 0), 0);
        expect_changed(*part, "written");
        ASSERT_EQ(::truncate(part->path.c_str(), 1), 0);
        expect_changed(*part, "has 1 now");
        write_file(part->path + ".new", bytes);
        ASSERT_EQ(::rename((part->path + ".new").c_str(), part->path.c_str()), 0);
        expect_changed(*part, "another file");
        ASSERT_EQ(::unlink(part->path.c_str()), 0);
        expect_changed(*part, "gone");
    }
}

TEST_P(EveryByteSource, says_source_changed_when_a_part_shrinks_while_it_is_open) {
    if (source_->parts().empty()) GTEST_SKIP() << "memory has no parts";
    const ImagePart& last = source_->parts().back();
    ASSERT_EQ(::truncate(last.path.c_str(), 4096), 0);
    std::string bytes(kImageBytes, 'x');
    const auto done = source_->read(0, {reinterpret_cast<uint8_t*>(bytes.data()), bytes.size()});
    ASSERT_FALSE(done.ok());
    EXPECT_EQ(done.error().code, ErrorCode::source_changed) << done.error().text();
    EXPECT_THAT(done.error().message, HasSubstr(last.path));
}

INSTANTIATE_TEST_SUITE_P(contract, EveryByteSource,
                         ::testing::Values("memory", "raw", "split_raw", "ewf", "ewf_segments", "vmdk", "vmdk_flat",
                                           "vmdk_stream", "vhd", "vhd_fixed"),
                         [](const auto& test_case) { return test_case.param; });

// --- raw ---

ErrorCode code_of_opening(const std::string& path) {
    const auto source = open_image(Env::host(), path);
    EXPECT_FALSE(source.ok()) << path;
    return source.ok() ? ErrorCode::io : source.error().code;
}

TEST(RawImage, what_is_no_regular_file_with_bytes_is_refused) {
    const TempDir dir;
    EXPECT_EQ(code_of_opening(dir.path().string()), ErrorCode::invalid_argument);
    EXPECT_EQ(code_of_opening("/dev/null"), ErrorCode::invalid_argument);
    ASSERT_EQ(::mkfifo((dir / "fifo").c_str(), 0600), 0);
    EXPECT_EQ(code_of_opening(dir / "fifo"), ErrorCode::invalid_argument);
    write_file(dir / "empty.img", "");
    EXPECT_EQ(code_of_opening(dir / "empty.img"), ErrorCode::invalid_argument);
    EXPECT_EQ(code_of_opening(dir / "nothing.img"), ErrorCode::not_found);
}

TEST(RawImage, a_short_read_says_what_was_expected) {
    const TempDir dir;
    write_file(dir / "a.img", std::string(4096, 'a'));
    ASSERT_OK_ASSIGN(const auto source, open_image(Env::host(), dir / "a.img"));
    ASSERT_EQ(::truncate((dir / "a.img").c_str(), 1000), 0);
    uint8_t bytes[512];
    EXPECT_TRUE(source->read(0, bytes).ok());
    const auto done = source->read(512, bytes);
    ASSERT_FALSE(done.ok());
    EXPECT_EQ(done.error().code, ErrorCode::source_changed);
    EXPECT_THAT(done.error().message, HasSubstr("512 bytes expected at offset 512, 488 there; it had 4096"));
}

struct FailingReads : Env {
    Result<size_t> read_at(const Fd& fd, ByteSpan out, uint64_t offset) override {
        if (fail) return errno_error(EIO, "read at " + std::to_string(offset));
        return Env::read_at(fd, out, offset);
    }
    bool fail = false;
};

TEST(RawImage, a_host_error_has_the_file_the_offset_and_the_errno) {
    const TempDir dir;
    write_file(dir / "a.img", std::string(4096, 'a'));
    FailingReads env;
    ASSERT_OK_ASSIGN(const auto source, open_image(env, dir / "a.img"));
    env.fail = true;
    uint8_t bytes[512];
    const auto done = source->read(1024, bytes);
    ASSERT_FALSE(done.ok());
    EXPECT_EQ(done.error().code, ErrorCode::io);
    EXPECT_EQ(done.error().sys_errno, EIO);
    EXPECT_THAT(done.error().message, HasSubstr("a.img"));
    EXPECT_THAT(done.error().message, HasSubstr("1024"));
}

// --- split raw ---

TEST(SplitImage, any_segment_opens_the_whole) {
    const TempDir dir;
    write_file(dir / "d.000", "aaaa");
    write_file(dir / "d.001", "bb");
    write_file(dir / "d.002", "cccccc");
    write_file(dir / "other.003", "zzz");
    write_file(dir / "d.0003", "zzz");  // not of the scheme
    for (const std::string name : {"d.000", "d.001", "d.002"}) {
        ASSERT_OK_ASSIGN(const auto source, open_image(Env::host(), dir / name));
        EXPECT_EQ(source->format(), "split_raw");
        EXPECT_EQ(source->parts().size(), 3u);
        EXPECT_EQ(read_all(*source), "aaaabbcccccc");
        EXPECT_EQ(read_piece(*source, 3, 4), "abbc");
    }
}

TEST(SplitImage, may_begin_with_001_and_go_on_after_999) {
    const TempDir dir;
    std::string whole;
    for (int i = 1; i <= 1001; ++i) {
        char name[16];
        std::snprintf(name, sizeof name, "d.%03d", i);
        write_file(dir / name, std::to_string(i));
        whole += std::to_string(i);
    }
    ASSERT_OK_ASSIGN(const auto source, open_image(Env::host(), dir / "d.1001"));
    EXPECT_EQ(read_all(*source), whole);
}

TEST(SplitImage, a_missing_segment_is_named) {
    const TempDir dir;
    for (const std::string name : {"d.000", "d.001", "d.003", "e.002", "e.003"}) write_file(dir / name, "x");
    for (const std::string name : {"d.000", "d.003", "e.002"}) {
        const auto source = open_image(Env::host(), dir / name);
        ASSERT_FALSE(source.ok()) << name;
        EXPECT_EQ(source.error().code, ErrorCode::not_found);
        EXPECT_THAT(source.error().message, HasSubstr(name[0] == 'd' ? "d.002" : "e.001"));
    }
}

TEST(SplitImage, a_lone_segment_is_a_raw_image) {
    const TempDir dir;
    for (const std::string name : {"a.001", "b.000", "c.007"}) {
        write_file(dir / name, "content");
        ASSERT_OK_ASSIGN(const auto source, open_image(Env::host(), dir / name));
        EXPECT_EQ(source->format(), "raw");
        EXPECT_EQ(read_all(*source), "content");
    }
}

TEST(SplitImage, an_unreadable_segment_is_an_error) {
    const TempDir dir;
    write_file(dir / "d.000", "x");
    write_file(dir / "d.001", "");
    EXPECT_EQ(code_of_opening(dir / "d.000"), ErrorCode::invalid_argument);
}

TEST(SplitImage, the_corpus_image_equals_its_two_files) {
    const auto corpus = test::corpus_dir();
    if (!corpus || !std::filesystem::exists(*corpus / "dfvfs-ext2.splitraw.000.gz")) GTEST_SKIP() << "needs the corpus";
    const TempDir dir;
    std::string whole;
    for (const std::string name : {"dfvfs-ext2.splitraw.000", "dfvfs-ext2.splitraw.001"}) {
        const std::string part = test::must("gzip -dc " + test::shell_quoted((*corpus / (name + ".gz")).string()));
        write_file(dir / name, part);
        whole += part;
    }
    ASSERT_OK_ASSIGN(const auto source, open_image(Env::host(), dir / "dfvfs-ext2.splitraw.001"));
    EXPECT_TRUE(read_all(*source) == whole);
}

}  // namespace
}  // namespace ntt

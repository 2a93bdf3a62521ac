#include "ingest/exclude.h"

#include "support/support.h"

namespace ntt {
namespace {

TEST(ExcludePatterns, match_anywhere_in_the_raw_bytes_of_a_path) {
    ASSERT_OK_ASSIGN(const ExcludePatterns patterns, ExcludePatterns::parse("# caches\n\n/Cache/\n\\.tmp$\n"));
    EXPECT_TRUE(patterns.matches("home/Cache/x"));
    EXPECT_TRUE(patterns.matches("a\x1C\xFF.tmp"));
    EXPECT_FALSE(patterns.matches("home/Cached/x"));
    EXPECT_FALSE(patterns.matches("x.tmpl"));
}

TEST(ExcludePatterns, a_hash_inside_a_path_excludes_nothing_by_itself) {
    ASSERT_OK_ASSIGN(const ExcludePatterns patterns, ExcludePatterns::parse("# a comment\n"));
    EXPECT_TRUE(patterns.empty());
    EXPECT_FALSE(patterns.matches("C# notes/#draft#"));
}

TEST(ExcludePatterns, a_bad_expression_is_named_by_its_line) {
    const auto patterns = ExcludePatterns::parse("good\n(bad\n");
    ASSERT_FALSE(patterns.ok());
    EXPECT_EQ(patterns.error().code, ErrorCode::invalid_argument);
    EXPECT_NE(patterns.error().message.find("line 2"), std::string::npos);
}

}  // namespace
}  // namespace ntt

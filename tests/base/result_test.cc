#include "base/result.h"

#include <gtest/gtest.h>

#include <cerrno>
#include <memory>
#include <set>

namespace ntt::test {
namespace {

Result<int> half(int n) {
    if (n % 2 != 0) return make_error(ErrorCode::invalid_argument, "odd", "double it");
    return n / 2;
}

Result<int> quarter(int n) {
    TRY(half(n));
    TRY_ASSIGN(const int once, half(n));
    TRY_ASSIGN(const int twice, half(once));
    return twice;
}

TEST(ResultTest, TryLeavesWithTheFirstError) {
    EXPECT_EQ(*quarter(8), 2);
    EXPECT_FALSE(quarter(7).ok());
    EXPECT_EQ(quarter(6).error().hint, "double it");
}

TEST(ResultTest, AValueThatCannotBeCopiedIsMovedOut) {
    const auto make = []() -> Result<std::unique_ptr<int>> { return std::make_unique<int>(3); };
    const auto pass = [&]() -> Result<std::unique_ptr<int>> {
        TRY_ASSIGN(auto value, make());
        return value;
    };
    EXPECT_EQ(**pass(), 3);
}

TEST(ResultTest, ErrnoGivesACodeToDecideByAndTheSystemsWords) {
    EXPECT_EQ(errno_error(ENOENT, "open x").code, ErrorCode::not_found);
    EXPECT_EQ(errno_error(ENOSPC, "write").code, ErrorCode::no_space);
    EXPECT_EQ(errno_error(EDQUOT, "write").code, ErrorCode::no_space);
    EXPECT_EQ(errno_error(EEXIST, "link").code, ErrorCode::already_exists);
    EXPECT_EQ(errno_error(EAGAIN, "lock").code, ErrorCode::busy);
    EXPECT_EQ(errno_error(EACCES, "open").code, ErrorCode::permission);
    EXPECT_EQ(errno_error(EIO, "read").code, ErrorCode::io);
    EXPECT_EQ(errno_error(EOPNOTSUPP, "open").code, ErrorCode::unsupported);
    EXPECT_EQ(errno_error(ENOENT, "open x").text(), "open x: No such file or directory");
    EXPECT_EQ(make_error(ErrorCode::limit, "too long").text(), "too long");
}

TEST(ResultTest, EveryCodeHasItsOwnName) {
    std::set<std::string_view> names;
    for (int i = 0; i <= static_cast<int>(ErrorCode::malformed); ++i) names.insert(to_string(static_cast<ErrorCode>(i)));
    EXPECT_EQ(names.size(), static_cast<size_t>(ErrorCode::malformed) + 1);
}

TEST(ResultDeathTest, TakingTheValueOfAFailureStopsTheProgram) {
    EXPECT_DEATH(static_cast<void>(half(1).value()), "value\\(\\) of a failed Result");
}

}  // namespace
}  // namespace ntt::test

#include "base/cause.h"

#include <gtest/gtest.h>

#include <map>
#include <set>

namespace ntt::test {
namespace {

// The contract's table (design, section 6), written out a second time.
const std::map<std::string, CauseClass> kContract = {
    {"BEYOND_EOF", CauseClass::in_image},
    {"BAD_SECTOR", CauseClass::in_image},
    {"FAT_CHAIN_SHORT", CauseClass::in_image},
    {"FAT_CHAIN_LOOP", CauseClass::in_image},
    {"FAT_CHAIN_INVALID", CauseClass::in_image},
    {"CROSS_LINK", CauseClass::in_image},
    {"IMPLAUSIBLE_SIZE", CauseClass::in_image},
    {"CHECKSUM", CauseClass::in_image},
    {"FS_CORRUPT", CauseClass::in_image},
    {"NOT_TRIED", CauseClass::reimage},
    {"NOT_TRIMMED", CauseClass::reimage},
    {"NOT_SCRAPED", CauseClass::reimage},
    {"IO_ERROR", CauseClass::host},
    {"MISSING_FILE", CauseClass::host},
    {"MOUNT_LOST", CauseClass::host},
    {"MOUNT_INACCESSIBLE", CauseClass::host},
    {"PERMISSION", CauseClass::host},
    {"TIMEOUT", CauseClass::host},
    {"STORE_FULL", CauseClass::ours},
    {"STORE_ERROR", CauseClass::ours},
    {"CATALOG_ERROR", CauseClass::ours},
    {"UNSUPPORTED_FS", CauseClass::unreadable_by_us},
    {"UNSUPPORTED_COMPRESSION", CauseClass::unreadable_by_us},
    {"ENCRYPTED", CauseClass::unreadable_by_us},
    {"PARSER_CRASH", CauseClass::unreadable_by_us},
    {"PARSER_TIMEOUT", CauseClass::unreadable_by_us},
};

TEST(Causes, TheTableIsTheContract) {
    std::set<Cause> seen;
    for (const auto& [name, kind] : kContract) {
        const auto cause = cause_from(name);
        ASSERT_TRUE(cause.has_value()) << name;
        EXPECT_EQ(to_string(*cause), name);
        EXPECT_EQ(class_of(*cause), kind) << name;
        seen.insert(*cause);
    }
    EXPECT_EQ(seen.size(), kContract.size());
    EXPECT_EQ(kContract.size(), static_cast<size_t>(Cause::PARSER_TIMEOUT) + 1) << "a cause that is not in the contract";
}

TEST(Causes, EachIsExplainedInItsOwnWords) {
    std::set<std::string_view> words;
    for (size_t i = 0; i < kContract.size(); ++i) {
        const std::string_view text = explain(static_cast<Cause>(i));
        EXPECT_GE(text.size(), 20u);
        EXPECT_EQ(text.find('\n'), std::string_view::npos);
        words.insert(text);
    }
    EXPECT_EQ(words.size(), kContract.size());
}

TEST(Causes, WhatIsNoCauseIsNone) {
    for (const char* text : {"", "beyond_eof", "BEYOND_EOF ", "BEYOND", "OTHER"})
        EXPECT_EQ(cause_from(text), std::nullopt) << text;
}

TEST(Causes, ClaimedByIsWhatTheMissionsQueriesLookFor) {
    EXPECT_EQ(claimed_by_of(Cause::BEYOND_EOF), "DIAGNOSTIC_SKIP:BEYOND_EOF");
    EXPECT_EQ(claimed_by_of(Cause::BAD_SECTOR), "DIAGNOSTIC_SKIP:BAD_SECTOR");
    EXPECT_EQ(claimed_by_of(Cause::CROSS_LINK), "DIAGNOSTIC_SKIP:CROSS_LINK");
    EXPECT_EQ(claimed_by_of(Cause::FAT_CHAIN_SHORT), "FAT_ERROR_SKIP");
    EXPECT_EQ(claimed_by_of(Cause::FAT_CHAIN_LOOP), "FAT_ERROR_SKIP");
    EXPECT_EQ(claimed_by_of(Cause::FAT_CHAIN_INVALID), "FAT_ERROR_SKIP");
    EXPECT_EQ(claimed_by_of(Cause::IO_ERROR), "IO_ERROR_SKIP");
}

}  // namespace
}  // namespace ntt::test

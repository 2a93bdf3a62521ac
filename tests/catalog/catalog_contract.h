// What every Catalog must do, as tests that take a factory. Instantiated for each implementation.
#pragma once

#include <gtest/gtest.h>

#include <functional>
#include <memory>
#include <string>
#include <utility>
#include <vector>

#include "base/hash.h"
#include "catalog/catalog.h"
#include "support/support.h"

namespace ntt::test {

// A kind of catalog. `url` makes the address of a catalog below `dir`; the same dir gives the same catalog.
struct CatalogKind {
    std::string name;
    std::function<std::string(const TempDir& dir)> url;
    std::function<bool()> is_there = [] { return true; };
};

inline const std::string kHash = "f95834a4b718f54edc7b549ca854aef8";
inline const std::string kOtherHash = "af1349b9f5f9a1a6a0404dea36dcc949";
inline const std::string kTime = "2025-10-08T12:00:00.000000Z";

MediumRow medium_row(const std::string& hash, const std::string& label = "AliciaMainList");
InodeRow file_row(int64_t ino, uint64_t size = 1000, int volume = 1);
InodeRow folder_row(int64_t ino, int volume = 1);
PathRow path_row(int64_t entry, int64_t ino, const std::string& path, int volume = 1);
BlobId blob_named(std::string_view content);

// A catalog with one medium, filled through the interface alone.
class CatalogTest : public ::testing::Test {
protected:
    void open(const CatalogKind& kind);
    std::unique_ptr<Catalog> another(int busy_timeout_ms = 60'000);

    // Each adds and expects success.
    void add(const InodeRow& row, std::span<const MissingRow> missing = {});
    void add(const PathRow& row);
    int64_t row_of(int64_t ino, int volume = 1);  // the row key of a pending inode
    InodeRow get(int64_t ino, int volume = 1);
    CopyOutcome stored(int64_t ino, std::string_view content = "content", int volume = 1);
    CopyOutcome damaged(int64_t ino, Cause cause, std::vector<MissingRow> missing, int volume = 1);
    CopyOutcome unreadable(int64_t ino, Cause cause, std::vector<MissingRow> missing, int volume = 1);
    void commit(const std::vector<CopyOutcome>& outcomes, const std::vector<EventRow>& events = {});
    EventRow event(std::optional<int64_t> ino, const std::string& action = "skipped");
    Totals totals();
    std::vector<FileRow> list(const FileFilter& filter);
    std::vector<std::string> paths(const FileFilter& filter);

    TempDir dir_;
    std::string url_;
    std::unique_ptr<Catalog> catalog_;
    MediumKey medium_{};
};

class CatalogContract : public CatalogTest, public ::testing::WithParamInterface<CatalogKind> {
protected:
    void SetUp() override {
        if (!GetParam().is_there()) GTEST_SKIP() << "needs PostgreSQL (Debian: postgresql)";
        open(GetParam());
    }
};

}  // namespace ntt::test

// The predecessor's database as it stands, read in one state and never changed. Columns that an older version of it lacks are absent
// values; tables are found by the connection's search_path.
#pragma once

#include <memory>
#include <set>
#include <string>
#include <vector>

#include "catalog/postgres/connection.h"
#include "catalog/predecessor/rules.h"

namespace ntt::predecessor {

// The groups of one medium, in the order of their inode numbers.
class GroupCursor {
public:
    virtual ~GroupCursor() = default;
    // false: that was the last.
    virtual Result<bool> next(TheirGroup& group) = 0;
};

class Reader {
public:
    // Errors: those of the connection; schema where the tables medium, inode and path are not there, or are a catalog of ntt.
    static Result<std::unique_ptr<Reader>> open(const std::string& url);

    // In the order of added_at. Media that only have inodes come last.
    Result<std::vector<TheirMedium>> media();
    // Blob ids with files of more than one size: one look at all inodes.
    Result<std::set<std::string>> blobs_of_two_sizes();
    // Whether all names of a medium lie in p1, p2 … below its mount point, as those of several partitions do.
    Result<MediumCarrier::Partitions> partitions(const std::string& medium_hash);
    // One at a time; must not outlive the reader.
    Result<std::unique_ptr<GroupCursor>> groups(const std::string& medium_hash);

private:
    Reader(std::unique_ptr<postgres::Connection> connection, postgres::Scope scope) : connection_(std::move(connection)), scope_(std::move(scope)) {}
    // "name::type", or NULL of that type where the table has no such column.
    using Types = std::map<std::string, std::string>;  // of a table's columns, by name
    Result<Types> types_of(const char* table);
    static std::string column(const Types& types, const std::string& name, const char* as);

    std::unique_ptr<postgres::Connection> connection_;
    postgres::Scope scope_;
    Types medium_, inode_, path_;
    int cursors_ = 0;
};

}  // namespace ntt::predecessor

#include <fmt/format.h>

#include <map>
#include <nlohmann/json.hpp>
#include <utility>

#include "fs/enumeration/file_input.h"
#include "fs/enumeration/raw_enumeration.h"
#include "fs/enumeration/raw_record.h"
#include "fs/enumeration/row_table.h"

namespace ntt {
namespace {

using nlohmann::json;

constexpr uint64_t kFirstOwnIno = uint64_t{1} << 62;
constexpr uint64_t kMaxFindingsOfAKind = 10'000;
constexpr uint64_t kRecordsBetweenChecks = 4096;  // of the CancelToken

struct InodeRow {
    RowKey key;  // of (dev, ino)
    int64_t ino = 0;
    uint64_t size = 0;
    int64_t mtime = 0;
    uint64_t first_record = 0;
    int mtime_ns = 0;
    char type = 'f';
};

struct NameRow {
    RowKey key;  // of the path
    uint64_t first_record = 0;
    int64_t ino = 0;
};

// A record and where it stands.
struct PlacedRecord {
    RawRecord record;
    uint64_t number = 0;    // from 1
    std::string_view path;  // relative; empty for the root
};

class RawReader final : public FsReader {
public:
    RawReader(Env& env, Fd file, std::string name, std::string root)
        : env_(env), file_(std::move(file)), name_(std::move(name)), root_(std::move(root)) {
        while (root_.ends_with('/')) root_.pop_back();
    }

    // Looks at the form of every record.
    Result<void> check(const CancelToken& cancel) {
        return for_each_record(cancel, [](const PlacedRecord&) -> Result<void> { return {}; });
    }

    Result<void> list(EntrySink& sink, const CancelToken& cancel) override;
    Result<size_t> read_content(const std::string&, const std::string&, uint64_t, ByteSpan) override {
        return make_error(ErrorCode::unsupported, "raw records have names of files, not their contents", "read them from the medium's image or tree");
    }
    std::string detail() const override { return detail_; }

private:
    template <typename Take>
    Result<void> for_each_record(const CancelToken& cancel, Take take);

    Env& env_;
    const Fd file_;
    const std::string name_;
    std::string root_;
    std::string detail_ = "{}";
};

template <typename Take>
Result<void> RawReader::for_each_record(const CancelToken& cancel, Take take) {
    FileInput input(env_, file_, 0);
    for (uint64_t number = 1;; ++number) {
        if (number % kRecordsBetweenChecks == 1) TRY(cancel.check());
        const auto refuse = [&](std::string_view what) {
            return make_error(ErrorCode::malformed, fmt::format("{}: damaged in record {} at byte {}: {}", name_, number, input.offset(), what),
                              "enumerate again; a record is type, dev, ino, nlink, size, mtime and path with bytes 0x1C between them, and a NUL");
        };
        TRY_ASSIGN(const std::string_view ahead, input.look(kMaxRawRecord + 1));
        if (ahead.empty() && number > 1) return {};
        if (ahead.empty())
            return make_error(ErrorCode::malformed, name_ + ": it has no record; an enumeration of an empty tree has one, of its root", "enumerate again");
        if (has_permission_bits(ahead.substr(0, ahead.find('\0'))))
            return make_error(ErrorCode::unsupported,
                              fmt::format("{}: record {} at byte {}: an older format of the predecessor: permission bits stand where the type letter should be",
                                          name_, number, input.offset()),
                              "enumerate again: what is a file and what a folder is not in these records");
        const size_t length = ahead.find('\0');
        if (length == std::string_view::npos)
            return refuse(ahead.size() > kMaxRawRecord ? "it is longer than any path makes it" : "the file ends before the NUL of its last record: it is cut short");
        PlacedRecord placed{{}, number, {}};
        if (const auto complaint = parse_raw_record(ahead.substr(0, length), placed.record)) return refuse(*complaint);
        // find writes its starting points as it was given them.
        std::string_view path = placed.record.path;
        if (placed.record.type == 'd' && path.size() > 1 && path.ends_with('/')) path.remove_suffix(1);
        if (const auto complaint = relative_path(path, root_, placed.path)) return refuse(*complaint);
        TRY(take(placed));
        input.take(length + 1);
    }
}

// What was there before, for one listing.
class Tables {
public:
    explicit Tables(EntrySink& sink) : sink_(sink) {}

    Result<void> take(const PlacedRecord& placed) {
        ++records_;
        if (placed.number == 1) first_dev_ = placed.record.dev;
        if (placed.path.empty()) {
            ++roots_;  // it has no name; its directory's numbers are in no inode of ours
            return {};
        }
        TRY_ASSIGN(const int64_t ino, inode_of(placed));
        TRY(look_at_name(placed, ino));
        return sink_.add_name({std::string(placed.path), "", ino});
    }

    void end() {
        for (const auto& [kind, count] : findings_)
            if (count > kMaxFindingsOfAKind)
                sink_.add({"findings_left_out", fmt::format("{} more of {} than are told one by one", count - kMaxFindingsOfAKind, kind),
                           json{{"code", kind}, {"count", count - kMaxFindingsOfAKind}}.dump(), 0, std::nullopt});
    }

    json counts() const {
        json out = {{"records", records_}, {"inodes", inodes_.size()}, {"root_records", roots_}, {"renumbered_inodes", renumbered_}};
        for (const auto& [kind, count] : findings_) out[kind] = count;
        return out;
    }

private:
    Result<int64_t> inode_of(const PlacedRecord& placed) {
        const RawRecord& record = placed.record;
        const RowKey key = make_key_(fmt::format("{}:{}", record.dev, record.ino));
        if (const InodeRow* known = inodes_.find(key)) {
            compare(*known, placed);
            return known->ino;
        }
        const bool keeps_number = record.dev == first_dev_ && record.ino < kFirstOwnIno;
        InodeEntry inode;
        inode.ino = static_cast<int64_t>(keeps_number ? record.ino : kFirstOwnIno + renumbered_++);
        inode.fs_ino = record.dev == first_dev_ ? fmt::to_string(record.ino) : fmt::format("{}:{}", record.dev, record.ino);
        inode.fs_type = record.type;
        inode.nlink = record.nlink;
        inode.size = record.size;
        inode.mtime = record.mtime;
        inode.mtime_ns = record.mtime_ns;
        inode.access = record.type == 'f' ? ContentAccess::through_reader : ContentAccess::none;
        if (inodes_.add({key, inode.ino, record.size, record.mtime, placed.number, record.mtime_ns, record.type}) == nullptr)
            return make_error(ErrorCode::limit, "more inodes than memory is for");
        const int64_t ino = inode.ino;
        TRY(sink_.add_inode(std::move(inode)));
        return ino;
    }

    void compare(const InodeRow& known, const PlacedRecord& placed) {
        const RawRecord& record = placed.record;
        if (known.type == record.type && known.size == record.size && known.mtime == record.mtime && known.mtime_ns == record.mtime_ns) return;
        report("conflicting_records", "records of one inode differ; the first holds", placed, known.first_record, known.ino,
               {{"first_type", std::string(1, known.type)}, {"type", std::string(1, record.type)},
                {"first_size", known.size}, {"size", record.size},
                {"first_mtime", known.mtime}, {"mtime", record.mtime},
                {"first_mtime_ns", known.mtime_ns}, {"mtime_ns", record.mtime_ns}});
    }

    Result<void> look_at_name(const PlacedRecord& placed, int64_t ino) {
        const RowKey key = make_key_(placed.path);
        const NameRow* known = names_.find(key);
        if (known == nullptr) {
            if (names_.add({key, placed.number, ino}) == nullptr) return make_error(ErrorCode::limit, "more names than memory is for");
        } else if (known->ino == ino) {
            report("duplicate_record", "a record once more", placed, known->first_record, ino, json::object());
        } else {
            report("duplicate_entry", "one name of two inodes", placed, known->first_record, ino, json::object());
        }
        return {};
    }

    void report(const std::string& kind, const char* words, const PlacedRecord& placed, uint64_t first_record, int64_t ino, json evidence) {
        if (++findings_[kind] > kMaxFindingsOfAKind) return;
        const std::string path = "/" + to_terminal_text(placed.path);
        evidence.update({{"path", path}, {"first_record", first_record}, {"record", placed.number}});
        sink_.add({kind, fmt::format("{}: {}", words, path), evidence.dump(), 0, ino});
    }

    EntrySink& sink_;
    RowKeyMaker make_key_;
    RowTable<InodeRow> inodes_;
    RowTable<NameRow> names_;
    std::map<std::string, uint64_t> findings_;  // of each kind
    uint64_t records_ = 0, roots_ = 0, renumbered_ = 0;
    uint64_t first_dev_ = 0;
};

Result<void> RawReader::list(EntrySink& sink, const CancelToken& cancel) {
    Tables tables(sink);
    TRY(for_each_record(cancel, [&](const PlacedRecord& placed) { return tables.take(placed); }));
    tables.end();
    json detail = tables.counts();
    detail["format"] = "ntt-raw";
    detail["root"] = to_terminal_text(root_);
    detail_ = detail.dump();
    return {};
}

}  // namespace

Result<std::unique_ptr<FsReader>> open_raw_enumeration(Env& env, Fd file, std::string name, std::string root, const CancelToken& cancel) {
    auto reader = std::make_unique<RawReader>(env, std::move(file), std::move(name), std::move(root));
    TRY(reader->check(cancel));
    return std::unique_ptr<FsReader>(std::move(reader));
}

}  // namespace ntt

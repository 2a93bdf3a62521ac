#include <fmt/format.h>

#include <bitset>
#include <utility>

#include "base/wire.h"
#include "fs/enumeration/enumeration_file.h"
#include "fs/enumeration/limits.h"
#include "fs/enumeration/records.h"
#include "fs/isolated/entry_checker.h"
#include "fs/isolated/messages.h"

namespace ntt {
namespace {

std::optional<EnumerationHeader> decode_header(std::string_view content) {
    WireReader in(content);
    EnumerationHeader header;
    header.medium_hash = in.text(kMaxHeaderText);
    header.medium_human = in.text(kMaxHeaderText);
    header.kind = in.number_up_to(1) == 1 ? EnumeratedKind::directory : EnumeratedKind::image;
    const auto digest = in.optional_text(kMaxHeaderText);
    if (digest && !(header.image_digest = BlobId::from_hex(*digest))) in.fail();
    header.image_size = in.optional_number();
    if (header.image_size.value_or(0) < 0) in.fail();
    header.tool_version = in.text(kMaxHeaderText);
    header.worker = in.text(kMaxHeaderText);
    header.started_us = in.signed_number();
    header.detail = in.text(kMaxHeaderText);
    for (const std::string* text : {&header.medium_human, &header.tool_version, &header.worker})
        if (!is_utf8(*text)) in.fail();
    if (!in.at_end() || !is_medium_hash(header.medium_hash) || !is_flat_json(header.detail, kMaxHeaderText)) return std::nullopt;
    return header;
}

EntryCounts get_counts(WireReader& in) {
    EntryCounts counts;
    for (uint64_t* count : {&counts.inodes, &counts.names, &counts.directories, &counts.findings}) *count = in.number();
    return counts;
}

std::string in_words(const EntryCounts& counts) {
    return fmt::format("{} inodes, {} names, {} directories, {} findings", counts.inodes, counts.names, counts.directories, counts.findings);
}

// Takes anything, for a file that is only checked.
struct NoSink final : EntrySink {
    void add(Finding) override {}
    Result<void> add_inode(InodeEntry) override { return {}; }
    Result<void> add_name(NameEntry) override { return {}; }
};

// Entries of a volume, or findings outside of volumes, on their way to a sink: counted, and checked one by one.
class EntryTaker {
public:
    enum class What : uint8_t { entries, findings };
    EntryTaker(EntrySink& sink, What what) : sink_(sink), what_(what) {}

    Result<void> take(const RecordReader& records, const Record& record) {
        uint64_t number = 0;
        std::optional<std::string> complaint;
        bool stopped_by_sink = false;
        Result<void> taken = decode_entries(record.content, [&](AnyEntry entry) -> Result<void> {
            ++number;
            complaint = std::visit([&](const auto& any) { return checker_.check(any); }, entry);
            if (!complaint && what_ == What::findings && !std::holds_alternative<Finding>(entry)) complaint = "an entry outside of a volume";
            if (complaint) return make_error(ErrorCode::malformed, *complaint);
            Result<void> handed = hand_on(std::move(entry));
            stopped_by_sink = !handed.ok();
            return handed;
        });
        if (taken.ok() || stopped_by_sink) return taken;
        return records.damaged(record, complaint ? fmt::format("entry {} is {}", number, *complaint) : fmt::format("what follows entry {} is none", number));
    }

    const EntryCounts& counts() const { return counts_; }

private:
    Result<void> hand_on(AnyEntry entry) {
        if (auto* inode = std::get_if<InodeEntry>(&entry)) {
            ++counts_.inodes;
            return sink_.add_inode(std::move(*inode));
        }
        if (auto* name = std::get_if<NameEntry>(&entry)) {
            ++counts_.names;
            return sink_.add_name(std::move(*name));
        }
        if (auto* place = std::get_if<DirectoryPlace>(&entry)) {
            ++counts_.directories;
            sink_.add_directory(std::move(*place));
        } else {
            ++counts_.findings;
            sink_.add(std::get<Finding>(std::move(entry)));
        }
        return {};
    }

    EntrySink& sink_;
    const What what_;
    EntryChecker checker_;
    EntryCounts counts_;
};

class OpenFile final : public Enumeration {
public:
    OpenFile(Env& env, Fd file, std::string name) : env_(env), file_(std::move(file)), name_(std::move(name)) {}

    Result<void> open(const CancelToken& cancel);

    const EnumerationHeader& header() const override { return header_; }
    const std::vector<ListedVolume>& volumes() const override { return volumes_; }
    EntryCounts counts() const override { return counts_; }
    Result<void> medium_findings(FindingSink& sink, const CancelToken& cancel) const override;
    std::unique_ptr<FsReader> open_volume(size_t index) const override;

    Result<void> list(size_t index, EntrySink& sink, const CancelToken& cancel) const;

private:
    // From the first record behind a volume's begin to its end.
    struct Span {
        RecordPlace begin;  // of the record that describes the volume
        RecordPlace first;  // of its entries
        RecordPlace behind;
    };

    Result<void> check_start() const;
    Result<void> check_records(const CancelToken& cancel);
    Result<void> begin_volume(const RecordReader& records, const Record& record);
    Result<void> end_volume(const RecordReader& records, const Record& record, const EntryCounts& found);
    Result<void> check_trailer(RecordReader& records, const Record& record) const;
    Error cut_short(const RecordPlace& place) const;

    // The next record, which was there when the file was opened.
    static Result<Record> next_of(RecordReader& records) {
        TRY_ASSIGN(auto record, records.next());
        if (!record) return records.damaged(records.place(), "it was there when the file was opened");
        return *std::move(record);
    }

    Env& env_;
    const Fd file_;
    const std::string name_;
    uint64_t size_ = 0;
    EnumerationHeader header_;
    std::vector<ListedVolume> volumes_;
    std::vector<Span> spans_;  // of each volume
    RecordPlace trailer_;
    EntryCounts counts_;
    size_t details_ = 0;       // bytes of all volumes' details
    std::bitset<kMaxVolumeNumber + 1> numbers_;
};

class VolumeReader final : public FsReader {
public:
    VolumeReader(const OpenFile& file, size_t index) : file_(file), index_(index) {}

    Result<void> list(EntrySink& sink, const CancelToken& cancel) override { return file_.list(index_, sink, cancel); }
    Result<size_t> read_content(const std::string&, const std::string&, uint64_t, ByteSpan) override {
        return make_error(ErrorCode::unsupported, "an enumeration has names and places of files, not their contents", "read them from the medium's image");
    }
    std::string detail() const override { return file_.volumes()[index_].detail; }

private:
    const OpenFile& file_;
    const size_t index_;
};

// --- opening ---

Result<void> OpenFile::open(const CancelToken& cancel) {
    TRY_ASSIGN(const struct stat info, env_.stat_fd(file_));
    if (!S_ISREG(info.st_mode)) return make_error(ErrorCode::unsupported, name_ + ": an enumeration is read twice, and this is no regular file");
    size_ = static_cast<uint64_t>(info.st_size);
    TRY(check_start());
    return check_records(cancel);
}

Result<void> OpenFile::check_start() const {
    FileInput input(env_, file_, 0);
    TRY_ASSIGN(const std::string_view start, input.look(kEnumerationStart));
    if (!start.starts_with(kEnumerationMagic.substr(0, start.size())) || start.empty())
        return make_error(ErrorCode::malformed, fmt::format("{}: no enumeration: {} does not stand at byte 0", name_, kEnumerationMagic));
    if (start.size() < kEnumerationStart) return cut_short({start.size(), 1});
    const auto version = static_cast<uint8_t>(start.back());
    if (version == 0) return make_error(ErrorCode::malformed, name_ + ": damaged at byte 7: there is no version 0");
    if (version != kEnumerationVersion)
        return make_error(ErrorCode::unsupported,
                          fmt::format("{}: version {} of the format (byte 7); this program reads version {}", name_, version, kEnumerationVersion),
                          "load it with the program that wrote it, or a newer one");
    return {};
}

Error OpenFile::cut_short(const RecordPlace& place) const {
    return make_error(ErrorCode::malformed,
                      fmt::format("{}: cut short in record {} at byte {}: the file ends at byte {}, without the trailer; whole until there: {} volumes, {}",
                                  name_, place.number, place.offset, size_, volumes_.size(), in_words(counts_)),
                      "an enumeration that was interrupted is not loaded: enumerate again");
}

// Reads everything once.
Result<void> OpenFile::check_records(const CancelToken& cancel) {
    RecordReader records(env_, file_, name_, size_, {}, RecordReader::Digest::kept);
    NoSink nowhere;
    EntryTaker outside(nowhere, EntryTaker::What::findings);
    std::optional<EntryTaker> inside;
    EntryCounts ended;
    for (bool first = true;; first = false) {
        TRY(cancel.check());
        TRY_ASSIGN(const auto record, records.next());
        if (!record) return cut_short(records.place());
        if (first != (record->type == RecordType::header)) return records.damaged(*record, first ? "it is not the header" : "another header");
        switch (record->type) {
            case RecordType::header: {
                auto header = decode_header(record->content);
                if (!header) return records.damaged(*record, "the header cannot be read");
                header_ = *std::move(header);
                break;
            }
            case RecordType::volume:
                if (inside) return records.damaged(*record, "a volume inside another one");
                TRY(begin_volume(records, *record));
                inside.emplace(nowhere, EntryTaker::What::entries);
                break;
            case RecordType::entries: TRY((inside ? *inside : outside).take(records, *record)); break;
            case RecordType::volume_end:
                if (!inside) return records.damaged(*record, "the end of a volume that did not begin");
                TRY(end_volume(records, *record, inside->counts()));
                ended += inside->counts();
                inside.reset();
                break;
            case RecordType::trailer:
                if (inside) return records.damaged(*record, "the trailer inside a volume");
                trailer_ = {record->offset, record->number};
                return check_trailer(records, *record);
        }
        counts_ = ended;
        counts_ += outside.counts();
        if (inside) counts_ += inside->counts();
    }
}

Result<void> OpenFile::begin_volume(const RecordReader& records, const Record& record) {
    auto volume = decode_volume(record.content);
    if (!volume.ok() || volume->number < 1) return records.damaged(record, "the description of a volume cannot be read");
    if (numbers_[static_cast<size_t>(volume->number)]) return records.damaged(record, fmt::format("volume {} once more", volume->number));
    numbers_.set(static_cast<size_t>(volume->number));
    details_ += volume->detail.size();
    if (details_ > kMaxDetailsTogether) return make_error(ErrorCode::limit, name_ + ": more details of volumes than memory is for");
    ListedVolume& out = volumes_.emplace_back();
    out.volume = *std::move(volume);
    spans_.push_back({{record.offset, record.number}, records.place(), {}});
    return {};
}

Result<void> OpenFile::end_volume(const RecordReader& records, const Record& record, const EntryCounts& found) {
    ListedVolume& volume = volumes_.back();
    WireReader in(record.content);
    volume.outcome = static_cast<Outcome>(in.number_up_to(static_cast<uint64_t>(Outcome::skipped)));
    volume.detail = in.text(kMaxVolumeDetail);
    volume.counts = get_counts(in);
    if (!in.at_end() || !is_flat_json(volume.detail, kMaxVolumeDetail)) return records.damaged(record, "the end of a volume cannot be read");
    if (volume.counts != found)
        return records.damaged(record, fmt::format("volume {} is said to have {}; it has {}", volume.volume.number, in_words(volume.counts), in_words(found)));
    details_ += volume.detail.size();
    if (details_ > kMaxDetailsTogether) return make_error(ErrorCode::limit, name_ + ": more details of volumes than memory is for");
    spans_.back().behind = records.place();
    return {};
}

Result<void> OpenFile::check_trailer(RecordReader& records, const Record& record) const {
    WireReader in(record.content);
    const uint64_t volumes = in.number();
    const EntryCounts counts = get_counts(in);
    const std::string digest = in.text(sizeof(BlobId::bytes));
    if (!in.at_end()) return records.damaged(record, "the trailer cannot be read");
    if (volumes != volumes_.size() || counts != counts_)
        return records.damaged(record, fmt::format("the trailer has {} volumes, {}; the file has {}, {}", volumes, in_words(counts), volumes_.size(), in_words(counts_)));
    if (digest != as_text(records.digest().bytes)) return records.damaged(record, "the file is not the one that the trailer was written for");
    if (const RecordPlace end = records.place(); end.offset != size_) return records.damaged(end, fmt::format("{} bytes behind the trailer", size_ - end.offset));
    return {};
}

// --- listing ---

Result<void> OpenFile::list(size_t index, EntrySink& sink, const CancelToken& cancel) const {
    RecordReader records(env_, file_, name_, size_, spans_[index].first, RecordReader::Digest::none);
    EntryTaker taker(sink, EntryTaker::What::entries);
    for (;;) {
        TRY(cancel.check());
        TRY_ASSIGN(const Record record, next_of(records));
        if (record.type == RecordType::volume_end) {
            if (taker.counts() == volumes_[index].counts) return {};
            return records.damaged(record, "the file has changed since it was opened");
        }
        if (record.type != RecordType::entries) return records.damaged(record, "the file has changed since it was opened");
        TRY(taker.take(records, record));
    }
}

Result<void> OpenFile::medium_findings(FindingSink& sink, const CancelToken& cancel) const {
    struct FindingsOnly final : EntrySink {
        explicit FindingsOnly(FindingSink& to) : to_(to) {}
        void add(Finding finding) override { to_.add(std::move(finding)); }
        Result<void> add_inode(InodeEntry) override { return {}; }
        Result<void> add_name(NameEntry) override { return {}; }
        FindingSink& to_;
    } findings(sink);
    EntryTaker taker(findings, EntryTaker::What::findings);
    RecordPlace from;
    for (size_t next = 0;; ++next) {
        const RecordPlace to = next < spans_.size() ? spans_[next].begin : trailer_;
        RecordReader records(env_, file_, name_, size_, from, RecordReader::Digest::none);
        while (records.place().offset < to.offset) {
            TRY(cancel.check());
            TRY_ASSIGN(const Record record, next_of(records));
            if (record.type == RecordType::entries) TRY(taker.take(records, record));
        }
        if (next == spans_.size()) return {};
        from = spans_[next].behind;
    }
}

std::unique_ptr<FsReader> OpenFile::open_volume(size_t index) const {
    NTT_CHECK(index < volumes_.size(), "there is no such volume");
    return std::make_unique<VolumeReader>(*this, index);
}

}  // namespace

Result<std::unique_ptr<Enumeration>> open_enumeration(Env& env, Fd file, std::string name, const CancelToken& cancel) {
    auto out = std::make_unique<OpenFile>(env, std::move(file), std::move(name));
    TRY(out->open(cancel));
    return std::unique_ptr<Enumeration>(std::move(out));
}

Result<void> check_medium(const EnumerationHeader& header, std::string_view medium_hash, std::string_view name) {
    if (header.medium_hash == medium_hash) return {};
    return make_error(ErrorCode::invalid_argument,
                      fmt::format("{}: lists the medium {} ({}), not {}", name, header.medium_hash, to_terminal_text(header.medium_human), medium_hash),
                      "nothing was loaded; give the hash that the file has, or the file of this medium");
}

Result<EnumerationFormat> enumeration_format(Env& env, const Fd& file, std::string_view name) {
    constexpr size_t kFirstBytes = 64;  // the first field of a raw record is at most 11 bytes
    FileInput input(env, file, 0);
    TRY_ASSIGN(const std::string_view start, input.look(kFirstBytes));
    if (!start.empty() && start.starts_with(kEnumerationMagic.substr(0, start.size()))) return EnumerationFormat::ntt;
    if (start.find('\x1C') != std::string_view::npos) return EnumerationFormat::ntt_raw;
    return make_error(ErrorCode::malformed, fmt::format("{}: neither an enumeration nor the predecessor's raw records: its first bytes are {}", name,
                                                        start.empty() ? "not there" : to_terminal_text(start.substr(0, 16))));
}

}  // namespace ntt

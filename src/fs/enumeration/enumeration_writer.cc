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

constexpr size_t kFlushBytes = 64 << 10;  // of entries: so much is lost to a reader who salvages by hand when one byte is bad

// These numbers stand in files: who moves one raises kEnumerationVersion.
static_assert(static_cast<int>(Cause::FS_CORRUPT) == 8 && static_cast<int>(Cause::NOT_SCRAPED) == 11 && static_cast<int>(Cause::TIMEOUT) == 17 &&
              static_cast<int>(Cause::CATALOG_ERROR) == 20 && static_cast<int>(Cause::PARSER_TIMEOUT) == 25);
static_assert(static_cast<int>(Role::unknown) == 6 && static_cast<int>(Outcome::skipped) == 9 && static_cast<int>(ContentAccess::unreadable) == 3);

constexpr size_t kMaxFindingMessage = 16 << 10;  // what is no UTF-8 in it takes three times its place

Error not_to_be_written(const std::string& what) { return make_error(ErrorCode::invalid_argument, "no enumeration file can hold this: " + what); }

Result<void> check(const EnumerationHeader& header) {
    if (!is_medium_hash(header.medium_hash)) return not_to_be_written("a medium hash that is none");
    for (const std::string* text : {&header.medium_human, &header.tool_version, &header.worker})
        if (text->size() > kMaxHeaderText || !is_utf8(*text)) return not_to_be_written("a header with words that are no text, or too long");
    if (header.image_size && *header.image_size < 0) return not_to_be_written("an image of negative size");
    if (!is_flat_json(header.detail, kMaxHeaderText)) return not_to_be_written("a header's detail that is no JSON");
    return {};
}

std::string encode(const EnumerationHeader& header) {
    WireWriter out;
    out.text(header.medium_hash);
    out.text(header.medium_human);
    out.number(static_cast<uint64_t>(header.kind));
    out.optional_text(header.image_digest ? std::optional(header.image_digest->hex()) : std::nullopt);
    out.optional_number(header.image_size);
    out.text(header.tool_version);
    out.text(header.worker);
    out.signed_number(header.started_us);
    out.text(header.detail);
    return out.take();
}

void put(WireWriter& out, const EntryCounts& counts) {
    for (const uint64_t count : {counts.inodes, counts.names, counts.directories, counts.findings}) out.number(count);
}

}  // namespace

struct EnumerationWriter::State {
    // A volume, or all that stands outside of volumes.
    struct Section {
        EntryChecker checker;
        EntryCounts counts;
        uint64_t left_out = 0;  // findings
    };

    State(Env& env, const Fd& file) : records(env, file, kEnumerationVersion) {}

    Section& section() { return volume == 0 ? outside : inside; }

    Result<void> flush() {
        if (entries.entries() == 0) return {};
        return records.put(RecordType::entries, entries.take());
    }

    template <typename Entry>
    Result<void> put(const Entry& entry, uint64_t EntryCounts::*count) {
        TRY(failure);
        NTT_CHECK(!finished, "an entry after the end");
        if (const auto complaint = section().checker.check(entry)) {
            failure = make_error(ErrorCode::malformed, "a listing that cannot be written down: " + *complaint);
            return failure;
        }
        ++(section().counts.*count);
        entries.add(entry);
        if (entries.size() >= kFlushBytes) failure = flush();
        return failure;
    }

    // The section's last finding, and what is still in memory.
    Result<void> end_section() {
        if (const uint64_t count = std::exchange(section().left_out, 0); count > 0) {
            const std::string evidence = fmt::format(R"({{"count":{}}})", count);
            TRY(put(Finding{"findings_left_out", "more findings than an enumeration holds", evidence, volume, std::nullopt}, &EntryCounts::findings));
        }
        TRY(failure);
        return flush();
    }

    RecordWriter records;
    EntryWriter entries;
    Section outside, inside;
    EntryCounts ended;  // of volumes that were ended
    int volume = 0;     // the open one; 0: none
    uint64_t volumes = 0;
    std::bitset<kMaxVolumeNumber + 1> numbers;
    size_t details = 0;  // bytes
    bool finished = false;
    Result<void> failure;  // of a call that has nothing to return
};

EnumerationWriter::EnumerationWriter(std::unique_ptr<State> state) : state_(std::move(state)) {}
EnumerationWriter::~EnumerationWriter() = default;

Result<std::unique_ptr<EnumerationWriter>> EnumerationWriter::create(Env& env, const Fd& file, const EnumerationHeader& header) {
    TRY(check(header));
    auto state = std::make_unique<State>(env, file);
    TRY(state->records.put(RecordType::header, encode(header)));
    return std::unique_ptr<EnumerationWriter>(new EnumerationWriter(std::move(state)));
}

Result<void> EnumerationWriter::begin_volume(const Volume& volume) {
    State& state = *state_;
    NTT_CHECK(state.volume == 0 && !state.finished, "a volume inside another one, or after the end");
    TRY(state.failure);
    if (volume.number < 1 || volume.number > kMaxVolumeNumber || state.numbers[static_cast<size_t>(volume.number)])
        return not_to_be_written(fmt::format("volume {} twice, or not from 1 to {}", volume.number, kMaxVolumeNumber));
    const std::string encoded = encode_volume(volume);
    state.details += volume.detail.size();
    if (!decode_volume(encoded).ok() || state.details > kMaxDetailsTogether)
        return not_to_be_written(fmt::format("the description of volume {}", volume.number));
    TRY(state.flush());
    TRY(state.records.put(RecordType::volume, encoded));
    state.numbers.set(static_cast<size_t>(volume.number));
    state.volume = volume.number;
    state.inside = {};
    ++state.volumes;
    return {};
}

Result<void> EnumerationWriter::add_inode(InodeEntry inode) {
    NTT_CHECK(state_->volume != 0, "an inode outside of a volume");
    return state_->put(inode, &EntryCounts::inodes);
}

Result<void> EnumerationWriter::add_name(NameEntry name) {
    NTT_CHECK(state_->volume != 0, "a name outside of a volume");
    return state_->put(name, &EntryCounts::names);
}

void EnumerationWriter::add_directory(DirectoryPlace place) {
    NTT_CHECK(state_->volume != 0, "a directory outside of a volume");
    state_->put(place, &EntryCounts::directories).ignore("the next call tells");
}

void EnumerationWriter::add(Finding finding) {
    State& state = *state_;
    if (state.section().counts.findings + 1 >= kMaxFindings) {
        ++state.section().left_out;
        return;
    }
    finding.message = to_display_utf8(std::string_view(finding.message).substr(0, kMaxFindingMessage));
    if (state.volume != 0) finding.volume = state.volume;
    state.put(finding, &EntryCounts::findings).ignore("the next call tells");
}

Result<void> EnumerationWriter::end_volume(Outcome outcome, const std::string& detail) {
    State& state = *state_;
    NTT_CHECK(state.volume != 0, "no volume is open");
    state.details += detail.size();
    if (!is_flat_json(detail, kMaxVolumeDetail) || state.details > kMaxDetailsTogether)
        return not_to_be_written("a volume's detail that is no JSON, or too long");
    TRY(state.end_section());
    WireWriter out;
    out.number(static_cast<uint64_t>(outcome));
    out.text(detail);
    put(out, state.inside.counts);
    TRY(state.records.put(RecordType::volume_end, out.bytes()));
    state.ended += state.inside.counts;
    state.volume = 0;
    return {};
}

Result<void> EnumerationWriter::finish() {
    State& state = *state_;
    NTT_CHECK(state.volume == 0 && !state.finished, "an end inside a volume, or after the end");
    TRY(state.end_section());
    WireWriter out;
    out.number(state.volumes);
    put(out, counts());
    out.text(as_text(state.records.digest().bytes));
    TRY(state.records.put(RecordType::trailer, out.bytes()));
    state.finished = true;
    return state.records.flush();
}

EntryCounts EnumerationWriter::counts() const {
    EntryCounts out = state_->ended;
    out += state_->outside.counts;
    if (state_->volume != 0) out += state_->inside.counts;
    return out;
}

}  // namespace ntt

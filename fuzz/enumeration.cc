// Enumeration files as a stranger may hand them over. The first byte of the input says what the rest is: 0 a file of our own
// format as it is, 1 the contents of its records (type, two bytes of length, content), which get frames and checks that are
// right, 2 the predecessor's raw records, 3 the same below a root.
#include <sys/stat.h>

#include <algorithm>
#include <string>
#include <utility>
#include <variant>

#include "fs/enumeration/enumeration_file.h"
#include "fs/enumeration/raw_enumeration.h"
#include "fs/enumeration/records.h"
#include "fs/isolated/entry_checker.h"
#include "fs/isolated/messages.h"
#include "fuzzer.h"
#include "promises.h"

namespace ntt::fuzz {
namespace {

// One file, in memory.
class MemoryEnv final : public Env {
public:
    std::string bytes;

    Result<size_t> read_at(const Fd&, ByteSpan out, uint64_t offset) override {
        if (offset >= bytes.size()) return size_t{0};
        const size_t size = std::min<size_t>(out.size(), bytes.size() - offset);
        std::copy_n(bytes.begin() + static_cast<std::ptrdiff_t>(offset), size, out.begin());
        return size;
    }
    Result<void> write_at(const Fd&, ByteView in, uint64_t offset) override {
        NTT_PROMISE(offset == bytes.size(), "a file is written from front to back");
        bytes.append(as_text(in));
        return {};
    }
    Result<struct stat> stat_fd(const Fd&) override {
        struct stat out {};
        out.st_mode = S_IFREG;
        out.st_size = static_cast<off_t>(bytes.size());
        return out;
    }
};

// What a load believes; keeps the bytes of the entries for comparing.
struct CheckedSink final : EntrySink {
    EntryChecker checker;
    EntryWriter entries;
    EntryCounts counts;

    template <typename Entry>
    void take(const Entry& entry, uint64_t& count) {
        const auto complaint = checker.check(entry);
        NTT_PROMISE(!complaint, complaint.value_or(""));
        entries.add(entry);
        ++count;
    }
    Result<void> add_inode(InodeEntry inode) override {
        take(inode, counts.inodes);
        return {};
    }
    Result<void> add_name(NameEntry name) override {
        take(name, counts.names);
        return {};
    }
    void add_directory(DirectoryPlace place) override { take(place, counts.directories); }
    void add(Finding finding) override { take(finding, counts.findings); }
};

void check_refusal(const Error& error) {
    NTT_PROMISE(error.code == ErrorCode::malformed || error.code == ErrorCode::unsupported || error.code == ErrorCode::limit, "a refusal is one of these");
    NTT_PROMISE(!error.message.empty() && is_utf8(error.message), "a refusal can be read");
}

void check_own(std::string bytes) {
    MemoryEnv env;
    env.bytes = std::move(bytes);
    const CancelToken never;
    const auto file = open_enumeration(env, Fd(), "input", never);
    if (!file.ok()) return check_refusal(file.error());
    CheckedSink findings;
    NTT_PROMISE((*file)->medium_findings(findings, never).ok(), "a file that was opened can be read");
    EntryCounts total = findings.counts;
    for (size_t i = 0; i < (*file)->volumes().size(); ++i) {
        CheckedSink once, again;
        const auto reader = (*file)->open_volume(i);
        NTT_PROMISE(reader->list(once, never).ok() && reader->list(again, never).ok(), "a volume of a file that was opened can be listed");
        NTT_PROMISE(once.entries.take() == again.entries.take(), "a second listing is as the first");
        NTT_PROMISE(once.counts == (*file)->volumes()[i].counts, "a volume has what it is said to have");
        NTT_PROMISE(is_flat_json(reader->detail(), size_t{4} << 20), "detail is JSON");
        total += once.counts;
    }
    NTT_PROMISE(total == (*file)->counts(), "the counts add up");
}

// The file whose records have these contents; the trailer's digest is right where there is room for one.
std::string framed(std::string_view input) {
    MemoryEnv env;
    const Fd file;
    RecordWriter out(env, file, kEnumerationVersion);
    while (input.size() >= 3) {
        const auto type = static_cast<RecordType>(input[0]);
        const size_t length = static_cast<uint8_t>(input[1]) + size_t{256} * static_cast<uint8_t>(input[2]);
        std::string content(input.substr(3, length));
        input.remove_prefix(std::min(3 + length, input.size()));
        if (type == RecordType::trailer && content.size() >= 32) content.replace(content.size() - 32, 32, as_text(out.digest().bytes));
        out.put(type, content).ignore("it is small");
    }
    out.flush().ignore("memory is always there");
    return std::move(env.bytes);
}

void check_raw(std::string bytes, const std::string& root) {
    MemoryEnv env;
    env.bytes = std::move(bytes);
    const CancelToken never;
    const auto reader = open_raw_enumeration(env, Fd(), "input", root, never);
    if (!reader.ok()) return check_refusal(reader.error());
    CheckedSink once, again;
    NTT_PROMISE((*reader)->list(once, never).ok() && (*reader)->list(again, never).ok(), "records that were opened can be listed");
    const std::string entries = once.entries.take();
    NTT_PROMISE(entries == again.entries.take(), "a second listing is as the first");
    NTT_PROMISE(is_flat_json((*reader)->detail()), "detail is JSON");
    if (once.counts.names == 0) return;

    // Names come back from what our writer makes of them.
    MemoryEnv written;
    const Fd file;
    RawEnumerationWriter writer(written, file, {root, 1});
    NTT_PROMISE((*reader)->list(writer, never).ok() && writer.finish().ok(), "what was listed can be written");
    const auto rewritten = open_raw_enumeration(written, Fd(), "written", root, never);
    NTT_PROMISE(rewritten.ok(), "what was written can be read");
    CheckedSink back;
    NTT_PROMISE((*rewritten)->list(back, never).ok() && back.counts.names == once.counts.names, "as many names as before");
}

}  // namespace
}  // namespace ntt::fuzz

int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
    using namespace ntt::fuzz;
    if (size == 0) return 0;
    const std::string rest(reinterpret_cast<const char*>(data) + 1, size - 1);
    switch (data[0] % 4) {
        case 0: check_own(rest); break;
        case 1: check_own(framed(rest)); break;
        case 2: check_raw(rest, ""); break;
        default: check_raw(rest, "/mnt");
    }
    return 0;
}

// What a hostile reader process may say: the input's first byte chooses the message, the rest is its content.
#include <algorithm>
#include <variant>

#include "diagnose/verdict.h"
#include "fs/isolated/entry_checker.h"
#include "fs/isolated/messages.h"
#include "fuzzer.h"
#include "image/isolated_archive.h"
#include "image/reader_protocol.h"
#include "promises.h"

namespace {

using namespace ntt;

constexpr uint64_t kImageBytes = uint64_t{1} << 30;

// An entry that the parent would take can be judged, and what is judged adds up.
void judge(const InodeEntry& inode) {
    const DamageMap damage(kImageBytes, nullptr, {{4096, 512}, {1 << 20, 1 << 16}});
    const Verdict verdict = damage.judge(inode, {512, kImageBytes});
    uint64_t bytes = 0;
    for (const MissingRange& range : verdict.missing) {
        NTT_PROMISE(range.length > 0 && range.file_offset + range.length <= inode.size, "what is missing lies in the file");
        bytes += range.length;
    }
    NTT_PROMISE(bytes == verdict.missing_bytes && verdict.clean() == verdict.missing.empty(), "missing bytes add up");
    const auto again = decode_extents(encode_extents(inode.extents));
    NTT_PROMISE(again.ok() && *again == inode.extents, "extents come back as they were");
}

// Once more the way that the parent goes: decoded, checked, and only then used.
void take_entries(std::string_view message) {
    EntryChecker checker;
    const Result<void> taken = decode_entries(message, [&](AnyEntry entry) -> Result<void> {
        const auto complaint = std::visit([&](const auto& any) { return checker.check(any); }, entry);
        if (complaint) return make_error(ErrorCode::malformed, *complaint);
        if (const auto* inode = std::get_if<InodeEntry>(&entry); inode != nullptr && inode->fs_type == 'f') judge(*inode);
        EntryWriter out;
        std::visit([&](const auto& any) { out.add(any); }, entry);
        NTT_PROMISE(decode_entries(out.take(), [](AnyEntry) -> Result<void> { return {}; }).ok(), "what was read can be written and read");
        return {};
    });
    NTT_PROMISE(taken.ok() || taken.error().code == ErrorCode::malformed, "what is no message is malformed");
}

}  // namespace

int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
    if (size == 0) return 0;
    const std::string_view message(reinterpret_cast<const char*>(data) + 1, size - 1);
    switch (data[0] % 10) {
        case 0: decode_hello(message).ignore("any answer will do"); break;
        case 1: decode_ready(message).ignore("any answer will do"); break;
        case 2: decode_error(message); break;
        case 3: decode_host_failure(message).ignore("any answer will do"); break;
        case 4: decode_ranges(message).ignore("any answer will do"); break;
        case 5: decode_archive(message).ignore("any answer will do"); break;
        case 6: decode_detection(message).ignore("any answer will do"); break;
        case 7: decode_open(message).ignore("any answer will do"); break;
        case 8: decode_content(message).ignore("any answer will do"); break;
        default: take_entries(message);
    }
    return 0;
}

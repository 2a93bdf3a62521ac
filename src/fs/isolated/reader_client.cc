#include "fs/isolated/reader_client.h"

#include <algorithm>
#include <utility>
#include <vector>

#include <fmt/format.h>

#include "fs/fat/timestamps.h"
#include "fs/isolated/entry_checker.h"
#include "fs/isolated/messages.h"
#include "fs/listing/budget.h"
#include "fs/repair/propose.h"

namespace ntt {
namespace {

bool is(const Message& message, MessageType type) { return message.type == static_cast<uint8_t>(type); }

// Bytes that the process could not read: the Error of this computer if it cannot either.
Result<void> read_here(const ByteSource& source, const HostFailure& failure) {
    const ByteRange range = intersect(failure.range, {0, source.size_bytes()});
    std::vector<uint8_t> buffer(static_cast<size_t>(std::min<uint64_t>(range.length, kSharedBytes)));
    for (uint64_t done = 0; done < range.length; done += buffer.size())
        TRY(source.read(range.offset + done, ByteSpan(buffer).first(std::min<uint64_t>(buffer.size(), range.length - done))));
    return {};
}

// The Error that a message `failed` or `host_failed` means; a broken protocol for any other message.
Error error_in(const Message& message, ReaderProcess& process, const ByteSource& source) {
    if (is(message, MessageType::failed)) {
        auto error = decode_error(message.bytes);
        return error ? as_of_the_image(*std::move(error)) : process.broken("failed");
    }
    if (!is(message, MessageType::host_failed)) return process.broken("an answer to another question");
    const auto failure = decode_host_failure(message.bytes);
    if (!failure.ok()) return process.broken("host_failed");
    Result<void> here = read_here(source, *failure);
    if (!here.ok()) return std::move(here).take_error();
    return process.broken(fmt::format("it could not read {} bytes at {}, which can be read: {}", failure->range.length,
                                      failure->range.offset, failure->error.text()));
}

// The options as a process needs them that can open no file.
Result<ReaderOptions> portable(const ReaderOptions& options) {
    ReaderOptions out = options;
    out.program = nullptr;
    out.spare = nullptr;
    if (!out.fat_zone_file) {
        TRY_ASSIGN(out.fat_zone_file, TimeZone::read_file(options.fat_timezone));
    }
    return out;
}

bool goes_apart(const ByteSource& source, const ReaderOptions& options) { return options.program != nullptr && !source.files().empty(); }

Result<std::unique_ptr<ReaderProcess>> start(const ByteSource& source, const ReaderOptions& options) {
    TRY_ASSIGN(auto process, ReaderProcess::start(*options.program, source.format(), source.parts(), source.files(), ReaderProcess::Memory::none));
    if (process->ready().size_bytes != source.size_bytes()) return process->broken("another size of the image");
    return process;
}

class IsolatedReader final : public FsReader {
public:
    IsolatedReader(const ByteSource& source, const Volume& volume, const ReaderOptions& options, FindingSink& findings)
        : source_(source), volume_(volume), options_(options), findings_(&findings) {}

    Result<void> open() {
        TRY_ASSIGN(const ReaderOptions options, portable(options_));
        if (options_.spare && options_.spare->process) process_ = std::exchange(options_.spare->process, nullptr);
        else TRY(start_anew());
        TRY(process_->send(MessageType::open, encode_open({volume_, options})));
        for (;;) {
            TRY_ASSIGN(const Message message, process_->receive());
            if (is(message, MessageType::opened) && message.bytes.empty()) break;
            if (!is(message, MessageType::entries)) return error_in(message, *process_, source_);
            TRY(take_entries(message.bytes, nullptr));
        }
        findings_ = nullptr;
        return {};
    }

    Result<void> list(EntrySink& sink, const CancelToken& cancel) override {
        NTT_CHECK(process_ && process_->alive(), "a listing without a process");
        TRY(process_->send(MessageType::list, "", &cancel));
        for (;;) {
            TRY_ASSIGN(const Message message, process_->receive(&cancel));
            if (is(message, MessageType::end)) {
                auto detail = decode_detail(message.bytes);
                if (!detail.ok()) return process_->broken("end");
                detail_ = std::move(detail).value();
                return {};
            }
            if (!is(message, MessageType::entries)) return error_in(message, *process_, source_);
            TRY(take_entries(message.bytes, &sink));
        }
    }

    Result<size_t> read_content(const std::string& fs_ino, const std::string& stream, uint64_t offset, ByteSpan out) override {
        if (!process_->alive()) {
            if (++restarts_ > kMaxReaderRestarts)
                return make_error(ErrorCode::parser_crash, "the process that parses this volume was lost too often");
            struct Ignored final : FindingSink {
                void add(Finding) override {}  // they were taken in when the volume was opened first
            } ignored;
            findings_ = &ignored;
            TRY(open());
        }
        size_t done = 0;
        while (done < out.size()) {
            const ByteSpan piece = out.subspan(done, std::min(out.size() - done, kMaxContentBytes));
            TRY(process_->send(MessageType::content, encode_content({fs_ino, stream, offset + done, piece.size()})));
            TRY_ASSIGN(const Message message, process_->receive());
            if (!is(message, MessageType::bytes)) return error_in(message, *process_, source_);
            if (message.bytes.size() > piece.size()) return process_->broken("more bytes than were asked for");
            std::copy(message.bytes.begin(), message.bytes.end(), piece.begin());
            done += message.bytes.size();
            if (message.bytes.size() < piece.size()) break;
        }
        return done;
    }

    std::string detail() const override { return detail_; }

private:
    Result<void> start_anew() {
        TRY_ASSIGN(process_, start(source_, options_));
        return {};
    }

    // Hands the entries of a message on, once they are what they must be; without a sink there may only be findings.
    Result<void> take_entries(std::string_view message, EntrySink* sink) {
        TRY_ASSIGN(const EntryChecker::Complaint complaint, hand_on(message, checker_, sink, sink != nullptr ? *sink : *findings_));
        if (complaint) return process_->broken(*complaint);
        return {};
    }

    const ByteSource& source_;
    const Volume volume_;
    const ReaderOptions options_;
    FindingSink* findings_;  // while the volume is opened
    std::unique_ptr<ReaderProcess> process_;
    EntryChecker checker_;
    std::string detail_ = "{}";
    int restarts_ = 0;
};

}  // namespace

Result<Detection> detect_apart(const ByteSource& source, const ReaderOptions& options, FindingSink& findings, const CancelToken& cancel) {
    if (!goes_apart(source, options)) {
        TRY_ASSIGN(Detection here, detect_volumes(source, findings));
        TRY(propose_repairs(source, options, here, findings, cancel));
        TRY(find_lost_filesystems(source, here, findings));
        return here;
    }
    TRY_ASSIGN(const ReaderOptions handed, portable(options));
    TRY_ASSIGN(auto process, start(source, options));
    TRY(process->send(MessageType::detect, encode_detect(handed), &cancel));
    TRY_ASSIGN(const Message message, process->receive(&cancel));
    if (!is(message, MessageType::detection)) return error_in(message, *process, source);
    auto answer = decode_detection(message.bytes);
    if (!answer.ok()) return process->broken("detection");
    EntryChecker checker;
    int number = 0;
    for (const Volume& volume : answer->detection.volumes)
        if (volume.number != ++number) return process->broken("volumes out of order");
    for (Finding& finding : answer->findings) {
        if (checker.check(finding)) return process->broken("finding");
        findings.add(std::move(finding));
    }
    if (options.spare) options.spare->process = std::move(process);
    return std::move(answer->detection);
}

Result<std::unique_ptr<FsReader>> open_apart(const ByteSource& source, const Volume& volume, const ReaderOptions& options,
                                             FindingSink& findings) {
    if (!goes_apart(source, options)) return open_reader(source, volume, options, findings);
    auto reader = std::make_unique<IsolatedReader>(source, volume, options, findings);
    TRY(reader->open());
    return within_budget(std::move(reader), volume, source.size_bytes(), ListingBudget::of(volume, source.size_bytes()));
}

}  // namespace ntt

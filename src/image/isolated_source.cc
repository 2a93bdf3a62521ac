#include "image/isolated_source.h"

#include <algorithm>
#include <mutex>

#include <fmt/format.h>

#include "image/container_source.h"

namespace ntt {
namespace {

constexpr uint64_t kSalvageBytes = 4096;  // around what kills a decoder, this much is given up at once

std::vector<ImagePart> described(const std::vector<OpenPart>& parts) {
    std::vector<ImagePart> out;
    for (const OpenPart& open : parts) out.push_back(open.part);
    return out;
}

std::vector<int> open_files(const std::vector<OpenPart>& parts) {
    std::vector<int> out;
    for (const OpenPart& open : parts) out.push_back(open.fd.raw());
    return out;
}

bool process_was_lost(const Error& error) {
    return error.code == ErrorCode::parser_crash || error.code == ErrorCode::parser_timeout || error.code == ErrorCode::limit;
}

class IsolatedSource final : public ByteSource {
public:
    IsolatedSource(Env& env, ReaderProgram program, std::string_view format, std::vector<OpenPart> parts)
        : env_(env), program_(std::move(program)), format_(format), open_(std::move(parts)), parts_(described(open_)) {}

    // Before anything else.
    Result<void> open() {
        TRY(start_process());
        size_ = process_->ready().size_bytes;
        sector_size_ = process_->ready().sector_size;
        return {};
    }

    uint64_t size_bytes() const override { return size_; }
    uint32_t sector_size() const override { return sector_size_; }
    std::string_view format() const override { return format_; }
    const std::vector<ImagePart>& parts() const override { return parts_; }
    std::vector<int> files() const override { return open_files(open_); }
    std::vector<ByteRange> damaged_ranges() const override {
        const std::lock_guard lock(mutex_);
        std::vector<ByteRange> out;
        for (const auto* ranges : {&decoder_says_, &given_up_}) out.insert(out.end(), ranges->begin(), ranges->end());
        return merged(std::move(out));
    }

    Result<void> read(uint64_t offset, ByteSpan out) const override {
        TRY(check_range(offset, out.size()));
        const std::lock_guard lock(mutex_);
        while (!out.empty()) {
            const ByteSpan piece = out.first(std::min<size_t>(out.size(), kSharedBytes));
            TRY(read_piece(offset, piece));
            offset += piece.size();
            out = out.subspan(piece.size());
        }
        return {};
    }

private:
    Result<void> start_process() const {
        auto started = ReaderProcess::start(program_, format_, parts_, files(), ReaderProcess::Memory::shared);
        if (!started.ok() && started.error().code == ErrorCode::io) TRY(read_parts_here());  // is it this computer?
        if (!started.ok()) return std::move(started).take_error();
        process_ = std::move(started).value();
        const uint64_t size = process_->ready().size_bytes;
        if (size == 0 || size > kMaxVirtualDiskBytes || (size_ != 0 && size != size_)) return process_->broken("the image's size");
        return {};
    }

    Result<void> read_piece(uint64_t offset, ByteSpan out) const {
        Result<void> done = ask(offset, out);
        if (!done.ok() && process_was_lost(done.error())) done = ask(offset, out);
        if (!done.ok() && process_was_lost(done.error())) done = give_up_in(offset, out);
        if (done.ok() && offset <= read_to_) read_to_ = std::max(read_to_, offset + out.size());
        return done;
    }

    // Reads in small pieces, and gives up those over which the process is lost again. Not where it could be read before:
    // then it is not the image, and verdicts have been made on it.
    Result<void> give_up_in(uint64_t offset, ByteSpan out) const {
        while (!out.empty()) {
            const ByteSpan piece = out.first(std::min<uint64_t>(out.size(), kSalvageBytes - offset % kSalvageBytes));
            const bool hopeless = std::any_of(given_up_.begin(), given_up_.end(), [&](const ByteRange& range) {
                return intersect(range, {offset, piece.size()}).length == piece.size();
            });
            const Result<void> done = hopeless ? Result<void>() : ask(offset, piece);
            if (!done.ok() && (!process_was_lost(done.error()) || restarts_ > kMaxDecoderRestarts || offset < read_to_)) return done.error();
            if (hopeless || !done.ok()) std::fill(piece.begin(), piece.end(), uint8_t{0});
            if (!done.ok()) given_up_.push_back({offset, piece.size()});
            offset += piece.size();
            out = out.subspan(piece.size());
        }
        return {};
    }

    Result<void> ask(uint64_t offset, ByteSpan out) const {
        if (!process_->alive()) {
            if (++restarts_ > kMaxDecoderRestarts)
                return make_error(ErrorCode::parser_crash, fmt::format("the process that decodes {} was lost too often", to_terminal_text(parts_.front().path)));
            TRY(start_process());
        }
        TRY(process_->send(MessageType::read, encode_ranges({{offset, out.size()}})));
        TRY_ASSIGN(const Message answer, process_->receive());
        if (answer.type == static_cast<uint8_t>(MessageType::bytes)) {
            auto damaged = decode_ranges(answer.bytes);
            if (!damaged.ok() || (!damaged->empty() && damaged->back().end() > size_)) return process_->broken("bytes");
            const ByteView bytes = process_->shared().first(out.size());
            std::copy(bytes.begin(), bytes.end(), out.begin());
            decoder_says_ = merged(std::move(damaged).value(), decoder_says_);
            return {};
        }
        return error_of(answer);
    }

    Error error_of(const Message& answer) const {
        if (answer.type == static_cast<uint8_t>(MessageType::host_failed)) {
            const auto failure = decode_host_failure(answer.bytes);
            if (!failure.ok()) return process_->broken("host_failed");
            Result<void> here = read_parts_here();
            return here.ok() ? process_->broken("it could not read what can be read: " + failure->error.text()) : std::move(here).take_error();
        }
        const auto error = answer.type == static_cast<uint8_t>(MessageType::failed) ? decode_error(answer.bytes) : std::nullopt;
        return process_->broken(error ? error->message : "an answer to another question");
    }

    // Every byte of every part, once: which of them the decoder wanted, nobody knows.
    Result<void> read_parts_here() const {
        std::vector<uint8_t> buffer(kSharedBytes);
        TRY(check_unchanged(env_));
        for (const OpenPart& open : open_)
            for (uint64_t at = 0; at < open.part.size_bytes; at += buffer.size()) TRY(env_.read_at(open.fd, buffer, at));
        return {};
    }

    static std::vector<ByteRange> merged(std::vector<ByteRange> ranges, const std::vector<ByteRange>& more = {}) {
        ranges.insert(ranges.end(), more.begin(), more.end());
        std::sort(ranges.begin(), ranges.end());
        std::vector<ByteRange> out;
        for (const ByteRange& range : ranges) {
            if (!out.empty() && range.offset <= out.back().end()) {
                out.back().length = std::max(out.back().end(), range.end()) - out.back().offset;
            } else {
                out.push_back(range);
            }
        }
        return out;
    }

    Env& env_;
    const ReaderProgram program_;
    const std::string format_;
    const std::vector<OpenPart> open_;
    const std::vector<ImagePart> parts_;
    uint64_t size_ = 0;
    uint32_t sector_size_ = 512;
    mutable std::mutex mutex_;  // guards all below
    mutable std::unique_ptr<ReaderProcess> process_;
    mutable std::vector<ByteRange> decoder_says_, given_up_;
    mutable uint64_t read_to_ = 0;  // from the start, without a gap
    mutable int restarts_ = 0;
};

}  // namespace

Result<std::unique_ptr<ByteSource>> isolated_source(Env& env, const ReaderProgram& program, std::string_view format,
                                                    std::vector<OpenPart> parts) {
    auto source = std::make_unique<IsolatedSource>(env, program, format, std::move(parts));
    TRY(source->open());
    return std::unique_ptr<ByteSource>(std::move(source));
}

Result<std::vector<std::string>> isolated_missing_files(const ReaderProgram& program, std::string_view format, const std::vector<OpenPart>& parts) {
    TRY_ASSIGN(const auto process, ReaderProcess::start(program, format, described(parts), open_files(parts), ReaderProcess::Memory::none));
    std::vector<std::string> names = process->ready().missing_files;
    if (!std::all_of(names.begin(), names.end(), [](const std::string& name) { return is_extent_name(name); }))
        return process->broken("a file elsewhere");
    return names;
}

}  // namespace ntt

#include "image/isolated_archive.h"

#include "base/wire.h"

namespace ntt {
namespace {

constexpr size_t kMaxText = 4096;

// The Error of a process as the end of a list.
Result<ArchiveContents> stopped_by(const Error& error) {
    if (error.code == ErrorCode::cancelled || error.sys_errno != 0) return error;
    ArchiveContents out;
    out.type = "archive";
    out.complete = false;
    out.stopped = error.text();
    return out;
}

}  // namespace

std::string encode_archive(const ArchiveContents& contents) {
    WireWriter out;
    out.text(std::string_view(contents.type).substr(0, kMaxText));
    out.flag(contents.single);
    out.number(contents.entries);
    out.number(contents.bytes);
    out.number(contents.first.size());
    for (const std::string& name : contents.first) out.text(name);
    out.flag(contents.complete);
    out.text(std::string_view(contents.stopped).substr(0, kMaxText));
    out.text(std::string_view(contents.image).substr(0, kMaxText));
    return out.take();
}

Result<ArchiveContents> decode_archive(std::string_view message) {
    WireReader in(message);
    ArchiveContents out;
    out.type = to_display_utf8(in.text(kMaxText));
    out.single = in.flag();
    out.entries = in.number_up_to(INT64_MAX);
    out.bytes = in.number_up_to(INT64_MAX);
    const uint64_t names = in.number_up_to(ArchiveContents::kMaxNames);
    for (uint64_t i = 0; i < names && in.ok(); ++i) out.first.push_back(in.text(ArchiveContents::kMaxNameBytes));
    out.complete = in.flag();
    out.stopped = to_display_utf8(in.text(kMaxText));
    out.image = to_display_utf8(in.text(kMaxText));
    if (!in.at_end()) return make_error(ErrorCode::malformed, "a malformed message: archive");
    return out;
}

Result<ArchiveContents> look_into_archive_apart(const ByteSource& source, const ReaderProgram* program, const Clock& clock, const CancelToken& cancel) {
    if (program == nullptr || source.files().empty()) return look_into_archive(source, ArchiveLimits{}, clock, cancel);
    auto process = ReaderProcess::start(*program, source.format(), source.parts(), source.files(), ReaderProcess::Memory::none);
    if (!process.ok()) return stopped_by(process.error());
    if (const auto sent = (*process)->send(MessageType::archive, "", &cancel); !sent.ok()) return stopped_by(sent.error());
    const auto answer = (*process)->receive(&cancel);
    if (!answer.ok()) return stopped_by(answer.error());
    if (answer->type == static_cast<uint8_t>(MessageType::failed)) {
        const auto error = decode_error(answer->bytes);
        return stopped_by(error ? as_of_the_image(*error) : (*process)->broken("failed"));
    }
    if (answer->type != static_cast<uint8_t>(MessageType::archive_contents)) return stopped_by((*process)->broken("an answer to another question"));
    auto contents = decode_archive(answer->bytes);
    if (!contents.ok()) return stopped_by((*process)->broken("archive_contents"));
    return contents;
}

}  // namespace ntt

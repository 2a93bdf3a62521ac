#include "fs/isolated/messages.h"

#include "fs/isolated/entry_checker.h"
#include "image/reader_protocol.h"
#include "os/channel.h"

namespace ntt {
namespace {

constexpr size_t kMaxWord = 256;
constexpr size_t kMaxText = 64 << 10;
constexpr size_t kMaxDetail = size_t{4} << 20;
constexpr uint64_t kMaxVolumes = 4096;
constexpr uint64_t kMaxFaults = uint64_t{1} << 22;
constexpr uint64_t kMaxPlaces = uint64_t{1} << 22;

// What travels is written out field by field below: a new one has to be added there.
#if defined(__x86_64__) && defined(__GLIBCXX__)
static_assert(sizeof(InodeEntry) == 312 && sizeof(NameEntry) == 72 && sizeof(DirectoryPlace) == 72 && sizeof(Volume) == 200 &&
              sizeof(ReaderOptions) == 136);
#endif

enum class Tag : uint8_t { inode = 1, name, directory, finding };

Error malformed(std::string_view what) { return make_error(ErrorCode::malformed, "a malformed message: " + std::string(what)); }

template <typename Enum>
Enum get_enum(WireReader& in, Enum last) {
    return static_cast<Enum>(in.number_up_to(static_cast<uint64_t>(last)));
}

// --- inodes and names ---

void put(WireWriter& out, const ContentFault& fault) {
    out.number(static_cast<uint64_t>(fault.cause));
    out.number(fault.file_offset);
    out.number(fault.length);
    out.text(fault.evidence);
}

ContentFault get_fault(WireReader& in) {
    ContentFault fault;
    fault.cause = get_enum(in, Cause::PARSER_TIMEOUT);
    fault.file_offset = in.number();
    fault.length = in.number();
    fault.evidence = in.text(kMaxEvidenceBytes);
    return fault;
}

std::optional<int> optional_int(WireReader& in) {
    const auto value = in.optional_number();
    if (!value) return std::nullopt;
    if (*value < INT32_MIN || *value > INT32_MAX) {
        in.fail();
        return std::nullopt;
    }
    return static_cast<int>(*value);
}

std::optional<int64_t> wide(const std::optional<int>& value) { return value ? std::optional<int64_t>(*value) : std::nullopt; }

InodeEntry get_inode(WireReader& in) {
    InodeEntry inode;
    inode.ino = in.signed_number();
    inode.fs_ino = in.text(kMaxWord);
    inode.stream = in.text(kMaxPathOnWire);
    inode.fs_type = static_cast<char>(in.number_up_to(127));
    inode.allocated = in.flag();
    inode.nlink = in.number();
    inode.size = in.number();
    inode.mtime = in.optional_number();
    inode.atime = in.optional_number();
    inode.ctime = in.optional_number();
    inode.crtime = in.optional_number();
    inode.mtime_ns = static_cast<int>(in.number_up_to(999'999'999));
    inode.mode = optional_int(in);
    inode.uid = in.optional_number();
    inode.gid = in.optional_number();
    inode.attributes = optional_int(in);
    inode.target = in.optional_text(kMaxText);
    inode.access = get_enum(in, ContentAccess::unreadable);
    auto extents = decode_extents(in.text(kMaxMessageBytes));
    if (extents.ok()) inode.extents = std::move(extents).value();
    else in.fail();
    const uint64_t faults = in.number_up_to(kMaxFaults);
    for (uint64_t i = 0; i < faults && in.ok(); ++i) inode.faults.push_back(get_fault(in));
    return inode;
}

NameEntry get_name(WireReader& in) {
    NameEntry name;
    name.path = in.text(kMaxPathOnWire);
    name.short_name = in.text(kMaxWord);
    name.ino = in.signed_number();
    return name;
}

DirectoryPlace get_directory(WireReader& in) {
    DirectoryPlace place;
    place.path = in.text(kMaxPathOnWire);
    place.ino = in.optional_number();
    const uint64_t ranges = in.number_up_to(kMaxPlaces);
    for (uint64_t i = 0; i < ranges && in.ok(); ++i) {
        const uint64_t offset = in.number();
        place.ranges.push_back({offset, in.number()});
    }
    return place;
}

void put(WireWriter& out, const Finding& finding) {
    out.text(finding.code);
    out.text(std::string_view(finding.message).substr(0, kMaxText));
    out.text(finding.evidence.size() <= kMaxEvidenceBytes ? std::string_view(finding.evidence) : R"({"evidence":"too long"})");
    out.signed_number(finding.volume);
    out.optional_number(finding.ino);
}

Finding get_finding(WireReader& in) {
    Finding finding;
    finding.code = in.text(kMaxWord);
    finding.message = to_display_utf8(in.text(kMaxText));
    finding.evidence = in.text(kMaxEvidenceBytes);
    const int64_t volume = in.signed_number();
    if (volume < 0 || volume > static_cast<int64_t>(kMaxVolumes)) in.fail();
    finding.volume = static_cast<int>(volume);
    finding.ino = in.optional_number();
    return finding;
}

// --- volumes and options ---

void put(WireWriter& out, const Volume& volume) {
    out.number(static_cast<uint64_t>(volume.number));
    out.number(volume.offset_bytes);
    out.number(volume.size_bytes);
    for (const std::string* text : {&volume.view, &volume.fs_type, &volume.label, &volume.uuid, &volume.detail}) out.text(*text);
    out.number(static_cast<uint64_t>(volume.role));
    out.flag(volume.readable);
    out.number(static_cast<uint64_t>(volume.outcome));
}

Volume get_volume(WireReader& in) {
    Volume volume;
    volume.number = static_cast<int>(in.number_up_to(kMaxVolumes));
    volume.offset_bytes = in.number();
    volume.size_bytes = in.number();
    const auto end = checked_add(volume.offset_bytes, volume.size_bytes);
    if (!end || *end > INT64_MAX) in.fail();
    volume.view = in.text(kMaxWord);
    volume.fs_type = in.text(kMaxWord);
    volume.label = to_display_utf8(in.text(kMaxText));
    volume.uuid = to_display_utf8(in.text(kMaxWord));
    volume.detail = in.text(kMaxDetail);
    if (!is_flat_json(volume.detail, kMaxDetail)) in.fail();
    volume.role = get_enum(in, Role::unknown);
    volume.readable = in.flag();
    volume.outcome = get_enum(in, Outcome::skipped);
    return volume;
}

void put(WireWriter& out, const ReaderOptions& options) {
    out.text(options.fat_codepage);
    out.text(options.fat_timezone);
    out.flag(options.fat_zone_file != nullptr);
    if (options.fat_zone_file) out.text(*options.fat_zone_file);
    const size_t unread = options.unread ? options.unread->size() : 0;
    out.number(unread);
    uint64_t end = 0;  // a map may have millions of ranges
    for (size_t i = 0; i < unread; ++i) {
        const UnreadRange& range = (*options.unread)[i];
        out.number(range.range.offset - end);
        out.number(range.range.length);
        out.number(static_cast<uint64_t>(range.cause));
        end = range.range.end();
    }
    out.number(static_cast<uint64_t>(options.repairs));
}

ReaderOptions get_options(WireReader& in) {
    ReaderOptions options;
    options.fat_codepage = in.text(kMaxWord);
    options.fat_timezone = in.text(kMaxWord);
    if (in.flag()) options.fat_zone_file = std::make_shared<const std::string>(in.text(kMaxText));
    const uint64_t unread = in.number_up_to(kMaxMessageBytes);
    auto ranges = std::make_shared<std::vector<UnreadRange>>();
    uint64_t end = 0;
    for (uint64_t i = 0; i < unread && in.ok(); ++i) {
        UnreadRange range;
        range.range.offset = end + in.number_up_to(INT64_MAX);
        range.range.length = in.number_up_to(INT64_MAX);
        end = range.range.end();
        if (end > INT64_MAX) in.fail();
        range.cause = get_enum(in, Cause::PARSER_TIMEOUT);
        ranges->push_back(range);
    }
    if (!ranges->empty()) options.unread = std::move(ranges);
    options.repairs = get_enum(in, Repairs::none);
    return options;
}

template <typename T>
Result<T> checked(const WireReader& in, T value, std::string_view what) {
    if (!in.at_end()) return malformed(what);
    return value;
}

}  // namespace

std::string encode_detect(const ReaderOptions& options) {
    WireWriter out;
    put(out, options);
    return out.take();
}

Result<ReaderOptions> decode_detect(std::string_view message) {
    WireReader in(message);
    ReaderOptions options = get_options(in);
    return checked(in, std::move(options), "detect");
}

std::string encode_open(const OpenRequest& request) {
    WireWriter out;
    put(out, request.volume);
    put(out, request.options);
    return out.take();
}

Result<OpenRequest> decode_open(std::string_view message) {
    WireReader in(message);
    OpenRequest request;
    request.volume = get_volume(in);
    request.options = get_options(in);
    return checked(in, std::move(request), "open");
}

std::string encode_content(const ContentRequest& request) {
    WireWriter out;
    out.text(request.fs_ino);
    out.text(request.stream);
    out.number(request.offset);
    out.number(request.length);
    return out.take();
}

Result<ContentRequest> decode_content(std::string_view message) {
    WireReader in(message);
    ContentRequest request;
    request.fs_ino = in.text(kMaxWord);
    request.stream = in.text(kMaxPathOnWire);
    request.offset = in.number();
    request.length = in.number_up_to(kMaxContentBytes);
    return checked(in, std::move(request), "content");
}

std::string encode_tree_content(const TreeContentRequest& request) {
    WireWriter out;
    out.text(request.file.path);
    out.text(request.file.fs_ino);
    out.number(request.file.size);
    out.optional_number(request.file.mtime);
    out.number(static_cast<uint64_t>(request.file.mtime_ns));
    out.number(request.offset);
    out.number(request.length);
    return out.take();
}

Result<TreeContentRequest> decode_tree_content(std::string_view message) {
    WireReader in(message);
    TreeContentRequest request;
    request.file.path = in.text(kMaxPathOnWire);
    request.file.fs_ino = in.text(kMaxWord);
    request.file.size = in.number();
    request.file.mtime = in.optional_number();
    request.file.mtime_ns = static_cast<int>(in.number_up_to(999'999'999));
    request.offset = in.number();
    request.length = in.number_up_to(kMaxContentBytes);
    return checked(in, std::move(request), "tree content");
}

std::string encode_volume(const Volume& volume) {
    WireWriter out;
    put(out, volume);
    return out.take();
}

Result<Volume> decode_volume(std::string_view message) {
    WireReader in(message);
    Volume volume = get_volume(in);
    if (!in.at_end()) return malformed("volume");
    return volume;
}

std::string encode_detail(const std::string& detail) {
    WireWriter out;
    out.text(detail.size() <= kMaxDetail ? std::string_view(detail) : "{}");
    return out.take();
}

Result<std::string> decode_detail(std::string_view message) {
    WireReader in(message);
    std::string detail = in.text(kMaxDetail);
    if (!in.ok() || !is_flat_json(detail, kMaxDetail)) return malformed("detail");
    return checked(in, std::move(detail), "detail");
}

std::string encode_detection(const DetectionAnswer& answer) {
    WireWriter out;
    out.text(answer.detection.table);
    out.number(answer.detection.volumes.size());
    for (const Volume& volume : answer.detection.volumes) put(out, volume);
    out.number(answer.findings.size());
    for (const Finding& finding : answer.findings) put(out, finding);
    return out.take();
}

Result<DetectionAnswer> decode_detection(std::string_view message) {
    WireReader in(message);
    DetectionAnswer answer;
    answer.detection.table = in.text(kMaxWord);
    const uint64_t volumes = in.number_up_to(kMaxVolumes);
    for (uint64_t i = 0; i < volumes && in.ok(); ++i) answer.detection.volumes.push_back(get_volume(in));
    const uint64_t findings = in.number_up_to(kMaxFindings);
    for (uint64_t i = 0; i < findings && in.ok(); ++i) answer.findings.push_back(get_finding(in));
    return checked(in, std::move(answer), "detection");
}

void EntryWriter::add(const InodeEntry& inode) {
    ++entries_;
    out_.number(static_cast<uint64_t>(Tag::inode));
    out_.signed_number(inode.ino);
    out_.text(inode.fs_ino);
    out_.text(inode.stream);
    out_.number(static_cast<uint64_t>(inode.fs_type));
    out_.flag(inode.allocated);
    out_.number(inode.nlink);
    out_.number(inode.size);
    for (const auto* time : {&inode.mtime, &inode.atime, &inode.ctime, &inode.crtime}) out_.optional_number(*time);
    out_.number(static_cast<uint64_t>(inode.mtime_ns));
    out_.optional_number(wide(inode.mode));
    out_.optional_number(inode.uid);
    out_.optional_number(inode.gid);
    out_.optional_number(wide(inode.attributes));
    out_.optional_text(inode.target);
    out_.number(static_cast<uint64_t>(inode.access));
    out_.text(encode_extents(inode.extents));
    out_.number(inode.faults.size());
    for (const ContentFault& fault : inode.faults) put(out_, fault);
}

void EntryWriter::add(const NameEntry& name) {
    ++entries_;
    out_.number(static_cast<uint64_t>(Tag::name));
    out_.text(name.path);
    out_.text(name.short_name);
    out_.signed_number(name.ino);
}

void EntryWriter::add(const DirectoryPlace& place) {
    ++entries_;
    out_.number(static_cast<uint64_t>(Tag::directory));
    out_.text(place.path);
    out_.optional_number(place.ino);
    out_.number(place.ranges.size());
    for (const ByteRange& range : place.ranges) {
        out_.number(range.offset);
        out_.number(range.length);
    }
}

void EntryWriter::add(const Finding& finding) {
    ++entries_;
    out_.number(static_cast<uint64_t>(Tag::finding));
    put(out_, finding);
}

std::string EntryWriter::take() {
    entries_ = 0;
    return out_.take();
}

Result<void> decode_entries(std::string_view message, const std::function<Result<void>(AnyEntry)>& take) {
    WireReader in(message);
    while (in.ok() && !in.empty()) {
        AnyEntry entry;
        switch (static_cast<Tag>(in.number_up_to(static_cast<uint64_t>(Tag::finding)))) {
            case Tag::inode: entry = get_inode(in); break;
            case Tag::name: entry = get_name(in); break;
            case Tag::directory: entry = get_directory(in); break;
            case Tag::finding: entry = get_finding(in); break;
            default: in.fail();
        }
        if (!in.ok()) break;
        TRY(take(std::move(entry)));
    }
    if (!in.ok()) return malformed("entries");
    return {};
}

}  // namespace ntt

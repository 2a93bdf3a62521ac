// One filesystem through the image seam: a damaged image is opened, listed into a checking sink, and read.
// The program's name says which seeds: fuzz_ext4 takes ext4*. With NTT_FUZZ_SAVE=FILE in the environment the damaged image
// of an input is written there.
#include <algorithm>
#include <cstdio>
#include <cstdlib>
#include <fstream>
#include <nlohmann/json.hpp>
#include <set>
#include <string>

#include "base/hash.h"
#include "diagnose/verdict.h"
#include "fs/fs_reader.h"
#include "fuzzer.h"
#include "patched_image.h"
#include "promises.h"

namespace ntt::fuzz {
namespace {

constexpr uint64_t kMaxContentBytes = uint64_t{1} << 20;  // of one file; no file of a seed is longer

// A sound image with what is known of it.
struct Subject {
    Seed seed;
    std::vector<Volume> volumes;    // those that are readable
    std::set<std::string> contents;  // the hashes of everything that was put in
};

std::vector<Subject>& subjects() {
    static std::vector<Subject> all;
    return all;
}

// The whole content; nullopt if it cannot be had.
std::optional<std::string> content_of(const InodeEntry& inode, const ByteSource& source, FsReader& reader) {
    std::string out(inode.size, '\0');
    if (inode.access == ContentAccess::through_reader) {
        const auto done = reader.read_content(inode.fs_ino, inode.stream, 0, {reinterpret_cast<uint8_t*>(out.data()), out.size()});
        if (!done.ok()) {
            check_error(done.error());
            return std::nullopt;
        }
        NTT_PROMISE(*done <= out.size(), "no more than was asked for");
        if (*done != out.size()) return std::nullopt;
        return out;
    }
    for (const Extent& extent : inode.extents)
        if (extent.kind == ExtentKind::data) {
            const auto read = source.read(extent.image_offset, {reinterpret_cast<uint8_t*>(out.data()) + extent.file_offset, extent.length});
            NTT_PROMISE(read.ok(), "what is clean lies in the image");
        }
    return out;
}

// Content of any length is asked for at both ends.
void read_ends(const InodeEntry& inode, FsReader& reader) {
    std::vector<uint8_t> piece(std::min<uint64_t>(inode.size, 70'000));
    for (const uint64_t at : {uint64_t{0}, inode.size - piece.size()}) {
        const auto done = reader.read_content(inode.fs_ino, inode.stream, at, piece);
        if (!done.ok())
            check_error(done.error());
        else
            NTT_PROMISE(*done <= piece.size(), "no more than was asked for");
    }
}

void check_verdict(const InodeEntry& inode, const Verdict& verdict) {
    uint64_t reached = 0, bytes = 0;
    for (const MissingRange& range : verdict.missing) {
        NTT_PROMISE(range.length > 0 && range.file_offset >= reached, "missing ranges are sorted and disjoint");
        const auto end = checked_add(range.file_offset, range.length);
        NTT_PROMISE(end && *end <= inode.size, "missing ranges lie in the file");
        reached = *end;
        bytes += range.length;
    }
    NTT_PROMISE(bytes == verdict.missing_bytes, "missing bytes add up");
    NTT_PROMISE(verdict.clean() == verdict.missing.empty(), "a file is clean when nothing is missing");
    NTT_PROMISE(verdict.clean() || nlohmann::json::parse(verdict.evidence, nullptr, false).is_object(), "a verdict has evidence");
}

// Opens, lists and reads one volume. With `unread` those ranges count as bad sectors, and then each content that is called
// whole must be one of those that were put in.
void look_at(Subject& subject, const ByteSource& source, const Volume& volume, std::vector<ByteRange> unread, bool sound) {
    const DamageMap damage(source.size_bytes(), nullptr, unread);
    ReaderOptions options;
    options.unread = damage.unread();
    CheckingSink sink(source.size_bytes());
    auto opened = open_reader(source, volume, options, sink);
    if (!opened.ok()) return check_error(opened.error());
    FsReader& reader = **opened;
    if (const auto listed = reader.list(sink, CancelToken()); !listed.ok()) check_error(listed.error());
    NTT_PROMISE(nlohmann::json::parse(reader.detail(), nullptr, false).is_object(), "detail is a JSON object");

    for (const InodeEntry& inode : sink.files()) {
        const Verdict verdict = damage.judge(inode, volume.range());
        check_verdict(inode, verdict);
        if (inode.access == ContentAccess::through_reader && inode.size > 0) read_ends(inode, reader);
        const bool decides = sound || !unread.empty();
        if (!verdict.clean() || inode.access == ContentAccess::unreadable || !decides) continue;
        NTT_PROMISE(inode.size <= kMaxContentBytes, "silent damage: no content is that long, inode " + inode.fs_ino);
        const auto content = content_of(inode, source, reader);
        if (!content) continue;
        const std::string hash = blake3_of(as_bytes(*content)).hex();
        if (sound) {
            subject.contents.insert(hash);
            for (const Extent& extent : inode.extents)  // content is not what is to be damaged
                if (extent.kind == ExtentKind::data && extent.length >= kSectorBytes)
                    std::erase_if(subject.seed.places, [&](uint32_t sector) {
                        const ByteRange whole{extent.image_offset, extent.length / kSectorBytes * kSectorBytes};
                        return intersect(whole, {sector * kSectorBytes, kSectorBytes}).length == kSectorBytes;
                    });
        } else {
            NTT_PROMISE(subject.contents.contains(hash), "silent damage: a content that was not put in is called whole, inode " + inode.fs_ino);
        }
    }
}

void prepare(const std::string& name) {
    for (Seed& seed : load_seeds(seed_folder(), name)) {
        Subject& subject = subjects().emplace_back(Subject{std::move(seed), {}, {}});
        const PatchedImage sound(subject.seed, {});
        NoFindings none;
        const auto detection = detect_volumes(sound, none);
        if (detection.ok())
            std::copy_if(detection->volumes.begin(), detection->volumes.end(), std::back_inserter(subject.volumes),
                         [](const Volume& volume) { return volume.readable; });
        for (const Volume& volume : subject.volumes) look_at(subject, sound, volume, {}, true);
        if (subject.contents.size() < 3 || subject.seed.places.empty()) {
            std::fprintf(stderr, "%s: a seed without a filesystem with some files\n", subject.seed.name.c_str());
            std::exit(2);
        }
    }
}

void save_if_asked(const ByteSource& source) {
    const char* path = std::getenv("NTT_FUZZ_SAVE");
    if (path == nullptr) return;
    std::vector<uint8_t> bytes(source.size_bytes());
    if (!source.read(0, bytes).ok()) return;
    std::ofstream(path, std::ios::binary).write(reinterpret_cast<const char*>(bytes.data()), static_cast<std::streamsize>(bytes.size()));
}

void run(ByteView input) {
    const Request request = read_request(input);
    Subject& subject = subjects()[request.seed % subjects().size()];
    const PatchedImage source(subject.seed, input);
    save_if_asked(source);
    if (request.unread && source.patched().empty()) return;
    std::vector<Volume> found;
    if (request.detect) {
        NoFindings none;
        const auto detection = detect_volumes(source, none);
        if (!detection.ok()) return check_error(detection.error());
        check_detection(*detection);
        for (const Volume& volume : detection->volumes)
            if (volume.readable) found.push_back(volume);
    }
    const std::vector<Volume>& volumes = request.detect ? found : subject.volumes;
    if (volumes.empty()) return;
    look_at(subject, source, volumes[request.view % volumes.size()], request.unread ? source.patched() : std::vector<ByteRange>(), false);
}

}  // namespace
}  // namespace ntt::fuzz

extern "C" {

int LLVMFuzzerInitialize(int*, char*** argv) {
    const std::string program = (*argv)[0];
    ntt::fuzz::prepare(program.substr(program.rfind('_') + 1));
    return 0;
}

int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
    ntt::fuzz::run({data, size});
    return 0;
}

size_t LLVMFuzzerCustomMutator(uint8_t* data, size_t size, size_t max_size, unsigned int seed) {
    return ntt::fuzz::mutate_patches(data, size, max_size, seed, &LLVMFuzzerMutate);
}

// libtsk loses memory on its ways out of damaged structures, and asks for gigabytes; it can be told that there are none.
// A `new` of ours of such a size ends the program all the same.
const char* __asan_default_options() { return "detect_leaks=0:allocator_may_return_null=1:max_allocation_size_mb=512"; }
}

// What a reader process is asked, and what it answers, as bytes: docs/formats/reader-protocol.md. Volumes and entries stand
// in enumeration files as well (enumeration/enumeration_file.h): who changes their bytes raises kEnumerationVersion there.
#pragma once

#include <cstdint>
#include <functional>
#include <string>
#include <string_view>
#include <variant>

#include "base/result.h"
#include "base/wire.h"
#include "fs/fs_reader.h"
#include "fs/posix/tree.h"
#include "volume/volume.h"

namespace ntt {

// --- requests ---
std::string encode_detect(const ReaderOptions& options);
Result<ReaderOptions> decode_detect(std::string_view message);

struct OpenRequest {
    Volume volume;
    ReaderOptions options;
};
std::string encode_open(const OpenRequest& request);
Result<OpenRequest> decode_open(std::string_view message);

struct ContentRequest {
    std::string fs_ino, stream;
    uint64_t offset = 0;
    uint64_t length = 0;  // at most kMaxContentBytes
};
std::string encode_content(const ContentRequest& request);
Result<ContentRequest> decode_content(std::string_view message);

struct TreeContentRequest {
    TreeFile file;
    uint64_t offset = 0;
    uint64_t length = 0;  // at most kMaxContentBytes
};
std::string encode_tree_content(const TreeContentRequest& request);
Result<TreeContentRequest> decode_tree_content(std::string_view message);

// A volume by itself: what enumeration files hold.
std::string encode_volume(const Volume& volume);
Result<Volume> decode_volume(std::string_view message);

// --- answers ---
struct DetectionAnswer {
    Detection detection;
    std::vector<Finding> findings;
};
std::string encode_detail(const std::string& detail);
Result<std::string> decode_detail(std::string_view message);  // checked to be a JSON object

std::string encode_detection(const DetectionAnswer& answer);
Result<DetectionAnswer> decode_detection(std::string_view message);

// Entries in the order they were found, many to a message.
class EntryWriter {
public:
    void add(const InodeEntry& inode);
    void add(const NameEntry& name);
    void add(const DirectoryPlace& place);
    void add(const Finding& finding);

    size_t entries() const { return entries_; }
    size_t size() const { return out_.size(); }
    std::string take();

private:
    WireWriter out_;
    size_t entries_ = 0;
};

// Reads a message of an EntryWriter and hands each entry to `take`, whose Error ends it. malformed for what no EntryWriter
// writes; whether an entry makes sense is for EntryChecker.
using AnyEntry = std::variant<InodeEntry, NameEntry, DirectoryPlace, Finding>;
Result<void> decode_entries(std::string_view message, const std::function<Result<void>(AnyEntry)>& take);

}  // namespace ntt

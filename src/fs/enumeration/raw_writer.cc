#include <fmt/format.h>

#include <utility>

#include "fs/enumeration/file_output.h"
#include "fs/enumeration/raw_enumeration.h"
#include "fs/enumeration/raw_record.h"
#include "fs/enumeration/row_table.h"

namespace ntt {
namespace {

// What a record says of an inode, until its names come.
struct InodeRow {
    RowKey key;
    uint64_t nlink = 0, size = 0;
    int64_t mtime = 0;
    char type = 'f';
};

Error malformed(std::string what) { return make_error(ErrorCode::malformed, "a listing that cannot be written down: " + std::move(what)); }

}  // namespace

struct RawEnumerationWriter::State {
    State(Env& env, const Fd& file, RawOptions chosen) : out(env, file), options(std::move(chosen)) {
        while (options.root.ends_with('/')) options.root.pop_back();
    }

    RowKey key_of(int64_t ino) { return make_key({reinterpret_cast<const char*>(&ino), sizeof ino}); }

    FileOutput out;
    RawOptions options;
    RowKeyMaker make_key;
    RowTable<InodeRow> inodes;
    uint64_t records = 0, findings = 0;
};

RawEnumerationWriter::RawEnumerationWriter(Env& env, const Fd& file, RawOptions options)
    : state_(std::make_unique<State>(env, file, std::move(options))) {}
RawEnumerationWriter::~RawEnumerationWriter() = default;

Result<void> RawEnumerationWriter::add_inode(InodeEntry inode) {
    const RowKey key = state_->key_of(inode.ino);
    if (state_->inodes.find(key) != nullptr) return malformed(fmt::format("inode {} twice", inode.ino));
    if (state_->inodes.add({key, inode.nlink, inode.size, inode.mtime.value_or(0), inode.fs_type}) == nullptr)
        return make_error(ErrorCode::limit, "more inodes than memory is for");
    return {};
}

Result<void> RawEnumerationWriter::add_name(NameEntry name) {
    const InodeRow* inode = state_->inodes.find(state_->key_of(name.ino));
    if (inode == nullptr) return malformed(fmt::format("a name of inode {}, which was not there", name.ino));
    const std::string path = state_->options.root + "/" + name.path;
    std::string_view relative;
    if (path.find('\0') != std::string::npos || path.size() > kMaxPathOnWire * 2 - 256) return malformed("a path that no record can hold");
    if (auto complaint = relative_path(path, state_->options.root, relative); complaint || relative.empty())
        return malformed("a name that is none: " + complaint.value_or("it is empty"));
    RawRecord record{inode->type, state_->options.dev, static_cast<uint64_t>(name.ino), inode->nlink, inode->size, inode->mtime, 0, path};
    ++state_->records;
    return state_->out.append(format_raw_record(record));
}

void RawEnumerationWriter::add(Finding) { ++state_->findings; }

Result<void> RawEnumerationWriter::finish() {
    if (state_->records == 0)
        return make_error(ErrorCode::unsupported, "a volume without names cannot be written as raw records", "the own format (ntt) can say so");
    return state_->out.flush();
}

uint64_t RawEnumerationWriter::records() const { return state_->records; }
uint64_t RawEnumerationWriter::findings_lost() const { return state_->findings; }

}  // namespace ntt

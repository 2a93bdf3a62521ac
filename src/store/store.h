// The by-hash store: every content once, durable before it is named in the catalog. Format: docs/formats/store.md.
#pragma once

#include <functional>
#include <memory>
#include <mutex>
#include <optional>
#include <string>
#include <vector>

#include "base/bytes.h"
#include "base/hash.h"
#include "base/ids.h"
#include "base/result.h"
#include "os/env.h"

namespace ntt {

struct StoreOptions {
    int fanout_levels = 1;  // of a store that is created now: 1 = by-hash/aa/<id>, 2 = by-hash/aa/bb/<id>
};

// A content that is written but not yet published. Dropping it leaves nothing behind.
class StagedBlob {
public:
    StagedBlob(StagedBlob&&) noexcept;
    StagedBlob& operator=(StagedBlob&&) noexcept;
    ~StagedBlob();

    BlobKind kind() const;
    const BlobId& id() const;
    uint64_t size() const;

private:
    friend class DiskStore;
    friend class StagedWriter;
    struct State;
    explicit StagedBlob(std::unique_ptr<State> state);
    std::unique_ptr<State> state_;
};

// Takes a content of unknown hash piece by piece. One thread.
class StagedWriter {
public:
    StagedWriter(StagedWriter&&) noexcept;
    StagedWriter& operator=(StagedWriter&&) noexcept;
    ~StagedWriter();

    Result<void> append(ByteView bytes);
    // `length` zero bytes as a hole in the file (they count in the hash, which the caller keeps).
    Result<void> append_hole(uint64_t length);
    // Appends bytes from an open file by copy_file_range; the caller has hashed them. Falls back to `bytes` where
    // the kernel cannot.
    Result<void> append_from(const Fd& file, uint64_t file_offset, ByteView bytes);
    uint64_t size() const;
    // Names the content; the writer is empty afterwards.
    Result<StagedBlob> finish(const BlobId& id);

private:
    friend class DiskStore;
    struct State;
    explicit StagedWriter(std::unique_ptr<State> state);
    std::unique_ptr<State> state_;
};

// What stands under a blob's name on disk.
enum class Presence : uint8_t { absent, present, wrong_size };

// What commit() did with each staged blob.
enum class Published : uint8_t { fresh, duplicate };

struct BlobFile {
    BlobKind kind = BlobKind::whole;
    std::string name;          // as found
    std::optional<BlobId> id;  // nullopt: a stray file (name, folder or type that the store does not write)
    std::string path;          // relative to the store
    uint64_t size = 0;
};

struct QuarantineEvent {
    BlobId id;
    BlobKind kind = BlobKind::whole;
    std::string reason;    // "wrong_size" "flipped"
    std::string moved_to;  // relative to the store
};

// Thread-safe but for the objects it hands out. Errors: no_space and io come from the host; store_damaged when the
// store itself is not as it must be.
class Store {
public:
    // Opens a store; makes it (folders, ntt-store.toml) if `dir` does not exist or is empty of one. Sweeps named
    // temporary files of dead owners. A newer format version is refused.
    static Result<std::unique_ptr<Store>> open(Env& env, const std::string& dir, const StoreOptions& options = {});
    virtual ~Store() = default;

    virtual const std::string& id() const = 0;  // from ntt-store.toml
    virtual const std::string& dir() const = 0;

    // Looks under the blob's name: one fstatat. Who records a content as stored because it is present calls commit first,
    // with an empty group if need be: the name may be younger than the last sync.
    virtual Result<Presence> look(BlobKind kind, const BlobId& id, uint64_t size) = 0;
    // Stages a content that is wholly at hand.
    virtual Result<StagedBlob> stage(BlobKind kind, const BlobId& id, ByteView content) = 0;
    // Stages a content that comes in pieces.
    virtual Result<StagedWriter> start(BlobKind kind) = 0;
    // Publishes a group durably: sync, link each, sync. A name that is taken by a file of the same size is a duplicate;
    // one of another size goes to quarantine/ and the staged content takes its place. Returns one value per blob.
    // On an error some may have been published: they are whole, and a re-run finds them as duplicates.
    // Syncs nothing where nothing is new; an empty group costs nothing unless look() saw a name of the last seconds.
    virtual Result<std::vector<Published>> commit(std::vector<StagedBlob> group) = 0;
    // How many contents one commit may hold (open files).
    virtual size_t max_group() const = 0;
    // What went to quarantine since the last call.
    virtual std::vector<QuarantineEvent> take_quarantine_events() = 0;

    // Opens a blob for reading; not_found if it is absent.
    virtual Result<Fd> open_blob(BlobKind kind, const BlobId& id) = 0;
    // Walks every file below by-hash/ and partial/, in order of name.
    virtual Result<void> for_each(const std::function<Result<void>(const BlobFile&)>& visit) = 0;
    // Moves a blob whose bytes are not what its name says out of the way; never deletes.
    virtual Result<void> quarantine(BlobKind kind, const BlobId& id, const std::string& reason) = 0;
};

}  // namespace ntt

#include "support/fault_vfs.h"

#include <fcntl.h>
#include <sqlite3.h>
#include <sys/stat.h>
#include <unistd.h>

#include <atomic>
#include <cstring>
#include <map>
#include <mutex>
#include <string>
#include <vector>

#include "base/check.h"

namespace ntt::test {
namespace {

// How a file was before an operation that is not yet synced.
struct Before {
    int64_t offset = 0;
    std::string bytes;  // at offset, before a write
    int64_t size = 0;   // of the file
};

struct History {
    bool created = false;  // since the last sync
    std::vector<Before> steps;
};

}  // namespace

struct FaultVfs::State {
    sqlite3_vfs vfs{};
    sqlite3_vfs* real = nullptr;
    std::string name;
    std::mutex mutex;
    std::map<std::string, History> unsynced;  // by path
    std::atomic<uint64_t> operations{0};
    std::atomic<uint64_t> fail_at{0};  // 0: never
    std::atomic<int> code{0};
    std::atomic<bool> failed{false}, stopped{false};
    std::atomic<uint64_t> stop_at{0};  // 0: never

    // SQLITE_OK, or the code with which this operation must fail.
    int next() {
        if (stopped) return SQLITE_IOERR;
        const uint64_t n = ++operations;
        if (stop_at != 0 && n >= stop_at) {
            stopped = failed = true;
            return SQLITE_IOERR;
        }
        if (fail_at == 0 || n != fail_at) return SQLITE_OK;
        failed = true;
        return code;
    }
};

namespace {

struct File {
    sqlite3_file base;
    FaultVfs::State* state;
    const char* path;  // SQLite keeps it until close
    bool tracked;
    sqlite3_file* real() { return reinterpret_cast<sqlite3_file*>(this + 1); }
};

File* file_of(sqlite3_file* raw) { return reinterpret_cast<File*>(raw); }

void remember(File* file, int64_t offset, int length) {
    if (!file->tracked) return;
    sqlite3_file* real = file->real();
    Before before;
    sqlite3_int64 size = 0;
    real->pMethods->xFileSize(real, &size);
    before.size = size;
    before.offset = offset;
    if (offset < size && length > 0) {
        before.bytes.resize(static_cast<size_t>(std::min<int64_t>(length, size - offset)));
        real->pMethods->xRead(real, before.bytes.data(), static_cast<int>(before.bytes.size()), offset);
    }
    const std::lock_guard lock(file->state->mutex);
    file->state->unsynced[file->path].steps.push_back(std::move(before));
}

int close_file(sqlite3_file* raw) { return file_of(raw)->real()->pMethods->xClose(file_of(raw)->real()); }
int read_file(sqlite3_file* raw, void* out, int length, sqlite3_int64 offset) {
    if (file_of(raw)->state->next() != SQLITE_OK) return SQLITE_IOERR_READ;
    return file_of(raw)->real()->pMethods->xRead(file_of(raw)->real(), out, length, offset);
}
int write_file(sqlite3_file* raw, const void* bytes, int length, sqlite3_int64 offset) {
    if (const int code = file_of(raw)->state->next(); code != SQLITE_OK) return code;
    remember(file_of(raw), offset, length);
    return file_of(raw)->real()->pMethods->xWrite(file_of(raw)->real(), bytes, length, offset);
}
int truncate_file(sqlite3_file* raw, sqlite3_int64 size) {
    if (file_of(raw)->state->next() != SQLITE_OK) return SQLITE_IOERR_TRUNCATE;
    sqlite3_int64 now = 0;
    file_of(raw)->real()->pMethods->xFileSize(file_of(raw)->real(), &now);
    remember(file_of(raw), size, static_cast<int>(now > size ? now - size : 0));
    return file_of(raw)->real()->pMethods->xTruncate(file_of(raw)->real(), size);
}
int sync_file(sqlite3_file* raw, int flags) {
    File* file = file_of(raw);
    if (file->state->next() != SQLITE_OK) return SQLITE_IOERR_FSYNC;
    const int code = file->real()->pMethods->xSync(file->real(), flags);
    if (code == SQLITE_OK && file->tracked) {
        const std::lock_guard lock(file->state->mutex);
        file->state->unsynced.erase(file->path);
    }
    return code;
}
int file_size(sqlite3_file* raw, sqlite3_int64* size) { return file_of(raw)->real()->pMethods->xFileSize(file_of(raw)->real(), size); }
int lock_file(sqlite3_file* raw, int level) { return file_of(raw)->real()->pMethods->xLock(file_of(raw)->real(), level); }
int unlock_file(sqlite3_file* raw, int level) { return file_of(raw)->real()->pMethods->xUnlock(file_of(raw)->real(), level); }
int check_lock(sqlite3_file* raw, int* out) { return file_of(raw)->real()->pMethods->xCheckReservedLock(file_of(raw)->real(), out); }
int control_file(sqlite3_file* raw, int op, void* arg) { return file_of(raw)->real()->pMethods->xFileControl(file_of(raw)->real(), op, arg); }
int sector_size(sqlite3_file* raw) { return file_of(raw)->real()->pMethods->xSectorSize(file_of(raw)->real()); }
// No promises of the host count: what is not synced is lost.
int characteristics(sqlite3_file*) { return 0; }
int shm_map(sqlite3_file* raw, int page, int size, int extend, void volatile** out) {
    return file_of(raw)->real()->pMethods->xShmMap(file_of(raw)->real(), page, size, extend, out);
}
int shm_lock(sqlite3_file* raw, int offset, int n, int flags) { return file_of(raw)->real()->pMethods->xShmLock(file_of(raw)->real(), offset, n, flags); }
void shm_barrier(sqlite3_file* raw) { file_of(raw)->real()->pMethods->xShmBarrier(file_of(raw)->real()); }
int shm_unmap(sqlite3_file* raw, int remove) { return file_of(raw)->real()->pMethods->xShmUnmap(file_of(raw)->real(), remove); }

const sqlite3_io_methods kMethods = {2,         close_file,  read_file,  write_file,   truncate_file, sync_file,       file_size,
                                     lock_file, unlock_file, check_lock, control_file, sector_size,   characteristics, shm_map,
                                     shm_lock,  shm_barrier, shm_unmap,  nullptr,      nullptr};

FaultVfs::State* state_of(sqlite3_vfs* vfs) { return static_cast<FaultVfs::State*>(vfs->pAppData); }

int open_file(sqlite3_vfs* vfs, const char* path, sqlite3_file* raw, int flags, int* out_flags) {
    FaultVfs::State* state = state_of(vfs);
    File* file = file_of(raw);
    file->base.pMethods = nullptr;
    if (state->next() != SQLITE_OK) return SQLITE_CANTOPEN;
    const bool there = path != nullptr && ::access(path, F_OK) == 0;
    const int code = state->real->xOpen(state->real, path, file->real(), flags, out_flags);
    if (code != SQLITE_OK) return code;
    file->base.pMethods = &kMethods;
    file->state = state;
    file->path = path;
    file->tracked = path != nullptr && (flags & (SQLITE_OPEN_MAIN_DB | SQLITE_OPEN_WAL | SQLITE_OPEN_MAIN_JOURNAL)) != 0;
    if (file->tracked && !there) {
        const std::lock_guard lock(state->mutex);
        state->unsynced[path].created = true;
    }
    return SQLITE_OK;
}
int delete_file(sqlite3_vfs* vfs, const char* path, int sync_dir) {
    if (state_of(vfs)->next() != SQLITE_OK) return SQLITE_IOERR_DELETE;
    const std::lock_guard lock(state_of(vfs)->mutex);
    state_of(vfs)->unsynced.erase(path);
    return state_of(vfs)->real->xDelete(state_of(vfs)->real, path, sync_dir);
}
int access_file(sqlite3_vfs* vfs, const char* path, int flags, int* out) { return state_of(vfs)->real->xAccess(state_of(vfs)->real, path, flags, out); }
int full_path(sqlite3_vfs* vfs, const char* path, int n, char* out) { return state_of(vfs)->real->xFullPathname(state_of(vfs)->real, path, n, out); }
int randomness(sqlite3_vfs* vfs, int n, char* out) { return state_of(vfs)->real->xRandomness(state_of(vfs)->real, n, out); }
int sleep_us(sqlite3_vfs* vfs, int us) { return state_of(vfs)->real->xSleep(state_of(vfs)->real, us); }
int current_time(sqlite3_vfs* vfs, double* out) { return state_of(vfs)->real->xCurrentTime(state_of(vfs)->real, out); }
int last_error(sqlite3_vfs* vfs, int n, char* out) { return state_of(vfs)->real->xGetLastError(state_of(vfs)->real, n, out); }
int current_time64(sqlite3_vfs* vfs, sqlite3_int64* out) { return state_of(vfs)->real->xCurrentTimeInt64(state_of(vfs)->real, out); }

}  // namespace

FaultVfs::FaultVfs() : state_(std::make_unique<State>()) {
    static std::atomic<int> count{0};
    state_->name = "ntt-fault-" + std::to_string(++count);
    state_->real = sqlite3_vfs_find(nullptr);
    sqlite3_vfs& vfs = state_->vfs;
    vfs.iVersion = 2;
    vfs.szOsFile = static_cast<int>(sizeof(File)) + state_->real->szOsFile;
    vfs.mxPathname = state_->real->mxPathname;
    vfs.zName = state_->name.c_str();
    vfs.pAppData = state_.get();
    vfs.xOpen = open_file;
    vfs.xDelete = delete_file;
    vfs.xAccess = access_file;
    vfs.xFullPathname = full_path;
    vfs.xRandomness = randomness;
    vfs.xSleep = sleep_us;
    vfs.xCurrentTime = current_time;
    vfs.xGetLastError = last_error;
    vfs.xCurrentTimeInt64 = current_time64;
    NTT_CHECK(sqlite3_vfs_register(&vfs, 1) == SQLITE_OK, "cannot register the fault VFS");
}

FaultVfs::~FaultVfs() { sqlite3_vfs_unregister(&state_->vfs); }

uint64_t FaultVfs::operations() const { return state_->operations; }
bool FaultVfs::has_failed() const { return state_->failed; }

void FaultVfs::fail_at(uint64_t n, int sqlite_code) {
    state_->failed = false;
    state_->code = sqlite_code;
    state_->fail_at = state_->operations + n;
}

void FaultVfs::fail_never() { state_->fail_at = 0; }
void FaultVfs::stop_at(uint64_t n) {
    state_->failed = false;
    state_->stop_at = state_->operations + n;
}

void FaultVfs::undo() {
    const std::lock_guard lock(state_->mutex);
    for (const auto& [path, history] : state_->unsynced) {
        if (history.created) {
            ::unlink(path.c_str());
            continue;
        }
        const int fd = ::open(path.c_str(), O_RDWR | O_CLOEXEC);
        if (fd < 0) continue;
        for (auto step = history.steps.rbegin(); step != history.steps.rend(); ++step) {
            const ssize_t n = ::pwrite(fd, step->bytes.data(), step->bytes.size(), step->offset);
            NTT_CHECK(n == static_cast<ssize_t>(step->bytes.size()), "cannot take a write back");
            NTT_CHECK(::ftruncate(fd, step->size) == 0, "cannot take a size back");
        }
        ::close(fd);
    }
    state_->unsynced.clear();
    state_->stop_at = 0;
    state_->stopped = false;
}

}  // namespace ntt::test

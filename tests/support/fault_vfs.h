// An SQLite VFS over the system's own that fails the Nth operation on demand and can drop what was not synced.
#pragma once

#include <cstdint>
#include <memory>
#include <string>

namespace ntt::test {

// SQLite's default VFS while it lives. Thread-safe as far as SQLite's own files are.
class FaultVfs {
public:
    FaultVfs();
    ~FaultVfs();
    FaultVfs(const FaultVfs&) = delete;
    FaultVfs& operator=(const FaultVfs&) = delete;

    // Operations that can fail: open, read, write, truncate, sync, delete. The memory that SQLite shares between
    // connections has no file of its own to lose.
    uint64_t operations() const;
    // The Nth operation from now (from 1) fails once with `sqlite_code` (SQLITE_IOERR_WRITE, SQLITE_FULL …); a read
    // or open that is hit fails with SQLITE_IOERR_READ, respectively SQLITE_CANTOPEN.
    void fail_at(uint64_t n, int sqlite_code);
    void fail_never();
    bool has_failed() const;

    // From the Nth operation from now on every one fails, as after a power cut. Close the databases, then undo().
    void stop_at(uint64_t n);
    // Takes back every write, truncation and creation since the file's last sync, and lets operations pass again. All
    // files must be closed.
    void undo();

    struct State;

private:
    std::unique_ptr<State> state_;
};

}  // namespace ntt::test

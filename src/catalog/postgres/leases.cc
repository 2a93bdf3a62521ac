#include "catalog/postgres/leases.h"

#include <algorithm>
#include <condition_variable>
#include <mutex>
#include <thread>

#include <fmt/format.h>

namespace ntt::postgres {
namespace {

constexpr uint64_t kRangesOfOneAlone = 16;

std::string interval(std::chrono::milliseconds length) { return fmt::format("{} milliseconds", length.count()); }

// A connection that is lost is opened anew at the next beat: a lease lasts for several.
class Beats final : public Heartbeat {
public:
    Beats(std::string url, std::string worker_id, const LeaseTerms& terms, const std::atomic<uint64_t>& signs_of_life, std::shared_ptr<PostgresLeases::HeldImage> held)
        : url_(std::move(url)), worker_id_(std::move(worker_id)), terms_(terms), signs_of_life_(signs_of_life), held_(std::move(held)), thread_([this] { run(); }) {}
    ~Beats() override {
        {
            const std::lock_guard lock(mutex_);
            ended_ = true;
        }
        wake_.notify_all();
        thread_.join();
    }

private:
    void run() {
        std::unique_lock lock(mutex_);
        while (!wake_.wait_for(lock, terms_.heartbeat, [this] { return ended_; })) {
            lock.unlock();
            beat().ignore("the next beat tries again; a lease that ends meanwhile is noticed at the commit");
            lock.lock();
        }
    }
    Result<void> beat() {
        if (connection_ == nullptr || !connection_->is_alive()) {
            ConnectionOptions options;
            options.lock_timeout_ms = options.statement_timeout_ms = static_cast<int>(terms_.heartbeat.count());
            TRY_ASSIGN(connection_, Connection::open(url_, options));
        }
        const auto now = std::chrono::steady_clock::now();
        const uint64_t sign = signs_of_life_;
        if (sign != last_sign_) got_on_at_ = now;
        last_sign_ = sign;
        TRY(connection_->run("UPDATE worker SET heartbeat_at=clock_timestamp() WHERE worker_id=$1", worker_id_));
        if (now - got_on_at_ > terms_.stall) return {};
        TRY(connection_->run("UPDATE lease SET heartbeat_at=clock_timestamp(), expires_at=clock_timestamp() + $2::interval "
                             "WHERE owner=$1 AND expires_at > clock_timestamp()",
                             worker_id_, interval(terms_.end)));
        const std::optional<std::string> image = [this] {
            const std::lock_guard lock(held_->mutex);
            return held_->image;
        }();
        if (image) TRY(connection_->run("UPDATE image_digest SET alive_at=clock_timestamp() WHERE image=$1 AND (digest IS NOT NULL OR worker_id=$2)", *image, worker_id_));
        return {};
    }

    const std::string url_, worker_id_;
    const LeaseTerms terms_;
    const std::atomic<uint64_t>& signs_of_life_;
    const std::shared_ptr<PostgresLeases::HeldImage> held_;
    uint64_t last_sign_ = 0;
    std::chrono::steady_clock::time_point got_on_at_ = std::chrono::steady_clock::now();
    std::unique_ptr<Connection> connection_;
    std::mutex mutex_;
    std::condition_variable wake_;
    bool ended_ = false;
    std::thread thread_;  // last: it uses the rest
};

Error lost(const Lease& lease) {
    return make_error(ErrorCode::lease_lost, fmt::format("the lease {} of the medium {} ran out, and another worker has it", lease.id, lease.medium_hash),
                      "nothing is lost: what was not committed is read by that worker");
}

#define NTT_FIRST_OF_QUEUE "ORDER BY coalesce(first_offset, -1), ino, volume LIMIT 1"

// Rows of the queue from $2, $3, $4 on.
#define NTT_QUEUE_FROM                                                                                              \
    " FROM inode_row WHERE medium=(SELECT medium_key FROM medium WHERE medium_hash=$1) AND NOT copied AND "         \
    "claimed_by IS NULL AND (coalesce(first_offset, -1), ino, volume) >= ($2::bigint, $3::bigint, $4::int) "        \
    "ORDER BY coalesce(first_offset, -1), ino, volume "

}  // namespace

Result<std::string> PostgresLeases::now() {
    TRY_ASSIGN(Rows row, db_.run("SELECT clock_timestamp()"));
    row.next();
    return row.time();
}

Result<std::unique_ptr<Heartbeat>> PostgresLeases::start_worker(const std::string& worker_id, const std::string& host, int process, const LeaseTerms& terms,
                                                               const std::atomic<uint64_t>& signs_of_life) {
    // Those that were killed long ago leave their rows to the next that begins.
    TRY(db_.run("DELETE FROM worker w WHERE heartbeat_at < clock_timestamp() - interval '1 day'"));
    // A digest that this name was taking before is not being taken any more.
    TRY(db_.run("DELETE FROM image_digest WHERE alive_at < clock_timestamp() - interval '1 day' OR (worker_id=$1 AND digest IS NULL)", worker_id));
    TRY(db_.run("INSERT INTO worker (worker_id, host, process) VALUES ($1, $2, $3) ON CONFLICT (worker_id) DO UPDATE SET host=$2, process=$3, "
                "started_at=clock_timestamp(), heartbeat_at=clock_timestamp(), files=0, bytes=0",
                worker_id, host, process));
    // What this name had before is nobody's now: else the new one's signs of life would keep the dead one's leases.
    TRY(db_.run("UPDATE lease SET expires_at=clock_timestamp() WHERE owner=$1 AND expires_at > clock_timestamp()", worker_id));
    hold_image(std::nullopt);
    return std::unique_ptr<Heartbeat>(new Beats(url_, worker_id, terms, signs_of_life, held_));
}

Result<void> PostgresLeases::end_worker(const std::string& worker_id) {
    TRY(db_.run("DELETE FROM worker WHERE worker_id=$1", worker_id));
    return {};
}

Result<std::vector<WorkerRow>> PostgresLeases::workers() {
    TRY_ASSIGN(Rows rows,
               db_.run("SELECT w.worker_id, w.host, w.process, w.started_at, w.heartbeat_at, extract(epoch FROM clock_timestamp() - w.heartbeat_at), w.files, "
                       "w.bytes, extract(epoch FROM clock_timestamp() - w.started_at), m.medium_hash, m.medium_human, l.first_offset, "
                       "extract(epoch FROM l.expires_at - clock_timestamp()) "
                       "FROM worker w LEFT JOIN lease l ON l.owner=w.worker_id LEFT JOIN medium m ON m.medium_hash=l.medium_hash ORDER BY w.worker_id, l.lease_id"));
    const auto number = [](const std::optional<std::string>& text) { return text ? std::strtod(text->c_str(), nullptr) : 0; };
    std::vector<WorkerRow> out;
    while (rows.next()) {
        WorkerRow one;
        one.worker_id = rows.text();
        one.host = rows.text();
        one.process = static_cast<int>(rows.integer());
        one.started_at = rows.time();
        one.heartbeat_at = rows.time();
        one.silent_seconds = number(rows.text());
        one.files = rows.size();
        one.bytes = rows.size();
        const double seconds = number(rows.text());
        one.files_a_second = seconds > 0 ? static_cast<double>(one.files) / seconds : 0;
        one.medium_hash = rows.maybe_text();
        one.medium_human = rows.maybe_text();
        one.first_offset = rows.maybe_integer();
        const std::optional<std::string> left = rows.maybe_text();
        if (left) one.lease_seconds_left = number(left);
        out.push_back(std::move(one));
    }
    return out;
}

// The index keeps the entries of files that are done until the next VACUUM, and a look from its beginning walks over all of them:
// so it begins where the queue stands, and is made once only where it found nothing. Ordered, because EXISTS is planned as if one in
// many rows were of the medium, and reads the table.
Result<std::vector<MediumWork>> PostgresLeases::media_with_work() {
    TRY_ASSIGN(Rows rows,
               db_.run("SELECT medium_hash, image_path, leases, CASE WHEN has_lease THEN true "
                       "WHEN NOT at_end AND (SELECT true FROM inode_row WHERE medium=medium_key AND NOT inode_row.copied AND claimed_by IS NULL AND "
                       "(coalesce(first_offset, -1), ino, volume) >= (next_offset, next_ino, next_volume) " NTT_FIRST_OF_QUEUE ") THEN true "
                       "WHEN done AND drained THEN false "
                       "ELSE (SELECT true FROM inode_row WHERE medium=medium_key AND NOT inode_row.copied AND claimed_by IS NULL " NTT_FIRST_OF_QUEUE ") IS NOT NULL END, "
                       "done, drained "
                       "FROM (SELECT m.medium_hash, m.medium_key, m.image_path, m.added_at, m.copy_done IS NOT NULL AS done, "
                       "(SELECT count(*) FROM lease l WHERE l.medium_hash=m.medium_hash AND l.expires_at > clock_timestamp()) AS leases, "
                       "EXISTS (SELECT 1 FROM lease l WHERE l.medium_hash=m.medium_hash) AS has_lease, "
                       "coalesce(q.at_end, true) AS at_end, coalesce(q.drained, false) AS drained, q.next_offset, q.next_ino, q.next_volume "
                       "FROM medium m LEFT JOIN queue_position q ON q.medium_hash=m.medium_hash WHERE m.enum_done IS NOT NULL OFFSET 0) w "
                       "ORDER BY leases, added_at, medium_hash"));
    std::vector<MediumWork> out;
    while (rows.next()) {
        MediumWork one;
        one.medium_hash = rows.text();
        one.image_path = rows.text();
        one.leases = rows.size();
        one.has_pending = rows.boolean();
        one.is_concluded = rows.boolean();
        const bool drained = rows.boolean();
        if (one.has_pending || !one.is_concluded) {
            out.push_back(std::move(one));
        } else if (!drained) {
            TRY(note_drained(one.medium_hash));
        }
    }
    return out;
}

// A row that is being put back is not to be seen yet: then another time.
Result<void> PostgresLeases::note_drained(const std::string& medium_hash) {
    TRY_ASSIGN(Scope scope, db_.begin());
    TRY_ASSIGN(Rows alone, db_.run("SELECT pg_try_advisory_xact_lock(hashtext('ntt drained'), medium_key) FROM medium WHERE medium_hash=$1", medium_hash));
    if (!alone.next() || !alone.boolean()) return {};
    TRY(db_.run("INSERT INTO queue_position (medium_hash, drained) SELECT medium_hash, true FROM medium m WHERE medium_hash=$1 AND copy_done IS NOT NULL AND "
                "(SELECT true FROM inode_row WHERE medium=m.medium_key AND NOT copied AND claimed_by IS NULL " NTT_FIRST_OF_QUEUE ") IS NULL "
                "ON CONFLICT (medium_hash) DO UPDATE SET drained=true",
                medium_hash));
    return scope.commit();
}

Result<std::optional<Lease>> PostgresLeases::take_over(const std::string& medium_hash, const std::string& worker_id, const LeaseTerms& terms) {
    TRY_ASSIGN(Rows row, db_.run("UPDATE lease SET owner=$2, fence=nextval('lease_fence'), started_at=clock_timestamp(), heartbeat_at=clock_timestamp(), "
                                 "expires_at=clock_timestamp() + $3::interval WHERE lease_id=(SELECT lease_id FROM lease WHERE medium_hash=$1 AND "
                                 "expires_at <= clock_timestamp() ORDER BY lease_id LIMIT 1 FOR UPDATE SKIP LOCKED) RETURNING lease_id, fence",
                                 medium_hash, worker_id, interval(terms.end)));
    if (!row.next()) return std::optional<Lease>();
    Lease out;
    out.medium_hash = medium_hash;
    out.id = row.integer();
    out.fence = row.integer();
    return std::optional(std::move(out));
}

// Every end of a range is a pause. A worker that is alone takes as much as it has done so far: nobody waits for what it has.
Result<uint64_t> PostgresLeases::files_of_range(const std::string& worker_id, const LeaseTerms& terms) {
    TRY_ASSIGN(Rows row, db_.run("SELECT coalesce(sum(files) FILTER (WHERE worker_id=$1), 0)::bigint, "
                                 "count(*) FILTER (WHERE worker_id<>$1 AND heartbeat_at > clock_timestamp() - $2::interval) FROM worker",
                                 worker_id, interval(terms.end)));
    row.next();
    const uint64_t done = row.size(), others = row.size();
    return others != 0 ? terms.files : std::clamp(done, terms.files, kRangesOfOneAlone * terms.files);
}

Result<std::optional<Lease>> PostgresLeases::take_next(const std::string& medium_hash, const std::string& worker_id, const LeaseTerms& terms, const std::string& since) {
    TRY(db_.run("INSERT INTO queue_position (medium_hash) VALUES ($1) ON CONFLICT DO NOTHING", medium_hash));
    TRY_ASSIGN(Rows queue, db_.run("SELECT coalesce(next_offset, -1), coalesce(next_ino, -9223372036854775808), coalesce(next_volume, 0), at_end, "
                                   "round_started_at < $2::timestamptz FROM queue_position WHERE medium_hash=$1 FOR UPDATE",
                                   medium_hash, since));
    queue.next();
    QueueRange range{queue.integer(), queue.integer(), static_cast<int>(queue.integer()), {}, {}, {}};
    const bool at_end = queue.boolean(), may_begin_anew = queue.boolean();
    if (at_end) {
        TRY_ASSIGN(const bool leased, is_leased(medium_hash));
        if (leased || !may_begin_anew) return std::optional<Lease>();
        range = {-1, INT64_MIN, 0, {}, {}, {}};
        TRY(db_.run("UPDATE queue_position SET round=round+1, round_started_at=clock_timestamp() WHERE medium_hash=$1", medium_hash));
    }
    TRY_ASSIGN(Rows first, db_.run("SELECT coalesce(first_offset, -1), ino, volume" NTT_QUEUE_FROM "LIMIT 1", medium_hash, range.first_offset, range.first_ino,
                                   range.first_volume));
    if (!first.next()) {
        TRY(db_.run("UPDATE queue_position SET at_end=true WHERE medium_hash=$1", medium_hash));
        return std::optional<Lease>();
    }
    range.first_offset = first.integer();
    range.first_ino = first.integer();
    range.first_volume = static_cast<int>(first.integer());
    TRY_ASSIGN(const uint64_t files, files_of_range(worker_id, terms));
    TRY_ASSIGN(Rows end, db_.run("SELECT coalesce(first_offset, -1), ino, volume" NTT_QUEUE_FROM "OFFSET $5 LIMIT 1", medium_hash, range.first_offset,
                                 range.first_ino, range.first_volume, files));
    if (end.next()) {
        range.end_offset = end.integer();
        range.end_ino = end.integer();
        range.end_volume = static_cast<int>(end.integer());
    }
    TRY(db_.run("UPDATE queue_position SET next_offset=$2, next_ino=$3, next_volume=$4, at_end=$5 WHERE medium_hash=$1", medium_hash, range.end_offset,
                range.end_ino, range.end_volume, !range.end_offset.has_value()));
    TRY_ASSIGN(Rows row, db_.run("INSERT INTO lease (medium_hash, volume, first_offset, first_ino, first_volume, end_offset, end_ino, end_volume, owner, fence, "
                                 "expires_at) VALUES ($1, $2, $3, $4, $2, $5, $6, $7, $8, nextval('lease_fence'), clock_timestamp() + $9::interval) "
                                 "RETURNING lease_id, fence",
                                 medium_hash, range.first_volume, range.first_offset, range.first_ino, range.end_offset, range.end_ino, range.end_volume, worker_id,
                                 interval(terms.end)));
    row.next();
    Lease out;
    out.medium_hash = medium_hash;
    out.id = row.integer();
    out.fence = row.integer();
    return std::optional(std::move(out));
}

Result<std::optional<Lease>> PostgresLeases::take(const std::string& medium_hash, const std::string& worker_id, const LeaseTerms& terms, const std::string& since) {
    end_ = terms.end;
    TRY_ASSIGN(Scope scope, db_.begin());
    TRY_ASSIGN(std::optional<Lease> out, take_over(medium_hash, worker_id, terms));
    if (!out) {
        TRY_ASSIGN(out, take_next(medium_hash, worker_id, terms, since));
    }
    TRY(scope.commit());
    return out;
}

Result<bool> PostgresLeases::is_leased(const std::string& medium_hash) {
    TRY_ASSIGN(Rows row, db_.run("SELECT EXISTS (SELECT 1 FROM lease WHERE medium_hash=$1)", medium_hash));
    row.next();
    return row.boolean();
}

Result<void> PostgresLeases::finish(const Lease& lease) {
    TRY_ASSIGN(const Rows done, db_.run("DELETE FROM lease WHERE lease_id=$1 AND fence=$2", lease.id, lease.fence));
    return done.changed() == 1 ? Result<void>() : lost(lease);
}

Result<void> PostgresLeases::give_back(const Lease& lease) {
    TRY_ASSIGN(const Rows done, db_.run("UPDATE lease SET expires_at=clock_timestamp() WHERE lease_id=$1 AND fence=$2", lease.id, lease.fence));
    return done.changed() == 1 ? Result<void>() : lost(lease);
}

// Whoever waits only reads.
Result<ToldDigest> PostgresLeases::ask_for_digest(const std::string& image, const std::string& worker_id, std::chrono::milliseconds end) {
    for (;;) {
        TRY_ASSIGN(Rows row, db_.run("SELECT digest, digest IS NULL AND worker_id <> '' AND worker_id <> $2 FROM image_digest "
                                     "WHERE image=$1 AND alive_at > clock_timestamp() - $3::interval",
                                     image, worker_id, interval(end)));
        if (row.next()) {
            ToldDigest out;
            out.digest = row.maybe_blob_id();
            out.is_being_taken = row.boolean();
            return out;
        }
        TRY_ASSIGN(Rows claimed, db_.run("INSERT INTO image_digest AS d (image, worker_id) VALUES ($1, $2) ON CONFLICT (image) DO UPDATE SET worker_id=$2, "
                                         "digest=NULL, alive_at=clock_timestamp() WHERE d.alive_at <= clock_timestamp() - $3::interval RETURNING true",
                                         image, worker_id, interval(end)));
        if (claimed.next()) return ToldDigest{};
    }
}

Result<void> PostgresLeases::put_digest(const std::string& image, const std::string& worker_id, const std::optional<BlobId>& digest) {
    if (digest) {
        TRY(db_.run("UPDATE image_digest SET digest=$2, alive_at=clock_timestamp() WHERE image=$1", image, *digest));
    } else {
        TRY(db_.run("UPDATE image_digest SET worker_id='' WHERE image=$1 AND worker_id=$2 AND digest IS NULL", image, worker_id));
    }
    return {};
}

void PostgresLeases::hold_image(const std::optional<std::string>& image) {
    const std::lock_guard lock(held_->mutex);
    held_->image = image;
}

Result<QueueRange> PostgresLeases::range_of(const Lease& lease) {
    TRY_ASSIGN(Rows row, db_.run("SELECT first_offset, first_ino, first_volume, end_offset, end_ino, end_volume FROM lease WHERE lease_id=$1 AND fence=$2", lease.id,
                                 lease.fence));
    if (!row.next()) return lost(lease);
    QueueRange out;
    out.first_offset = row.integer();
    out.first_ino = row.integer();
    out.first_volume = static_cast<int>(row.integer());
    out.end_offset = row.maybe_integer();
    out.end_ino = row.maybe_integer();
    out.end_volume = row.maybe_int();
    return out;
}

// The row is locked by its UPDATE: until this transaction ends nobody takes the lease over. Who commits lives, however late its heartbeat is.
Result<void> PostgresLeases::hold(const Lease& lease, uint64_t files, uint64_t bytes) {
    TRY_ASSIGN(Rows row, db_.run("UPDATE lease SET files=files+$3, bytes=bytes+$4, expires_at=greatest(expires_at, clock_timestamp() + $5::interval) "
                                 "WHERE lease_id=$1 AND fence=$2 RETURNING owner",
                                 lease.id, lease.fence, files, bytes, interval(end_)));
    if (!row.next()) return lost(lease);
    TRY(db_.run("UPDATE worker SET files=files+$2, bytes=bytes+$3 WHERE worker_id=$1", row.text(), files, bytes));
    return {};
}

}  // namespace ntt::postgres

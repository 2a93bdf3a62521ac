// The catalog alone, without images: how fast rows go in, and how fast many workers hand ranges to each other.
//
//   catalog fill URL MEDIA FILES [NAMES]
//                                  so many media of so many files, each file with so many names (1), a transaction for each; a
//                                  line with the seconds it took
//   catalog names URL COUNT FILES  looks for that many of the first FILES names in all media; the median and the worst in milliseconds
//   catalog store URL              commits an outcome for every file, as if each content were there twice
//   catalog claims URL WORKERS     that many workers take ranges of all media and commit made-up outcomes until nothing is left;
//                                  a line for each tenth of the work, with files a second and milliseconds for a claim
#include <algorithm>
#include <atomic>
#include <chrono>
#include <cstdio>
#include <cstdlib>
#include <functional>
#include <mutex>
#include <string>
#include <string_view>
#include <thread>
#include <vector>

#include <fmt/format.h>

#include "base/clock.h"
#include "base/hash.h"
#include "catalog/catalog.h"

namespace ntt {
namespace {

using std::chrono::steady_clock;

double seconds_since(steady_clock::time_point begin) { return std::chrono::duration<double>(steady_clock::now() - begin).count(); }

// What a file's place, size and names are like. In one transaction, as a load is.
Result<void> fill_one(Catalog& catalog, const MediumRow& medium, int64_t files, int64_t names) {
    TRY_ASSIGN(const auto transaction, catalog.begin());
    TRY_ASSIGN(const MediumKey key, catalog.add_medium(medium));
    InodeRow row;
    row.volume = 1;
    row.image_id = 1;
    row.access = 1;
    row.mode = 0100644;
    row.uid = row.gid = 1000;
    PathRow path;
    path.volume = 1;
    for (int64_t i = 1; i <= files; ++i) {
        row.ino = i + 10;
        row.fs_ino = std::to_string(row.ino);
        row.size = static_cast<uint64_t>(i * 37 % 50'000);
        row.mtime = 1'000'000'000 + i;
        row.first_offset = static_cast<uint64_t>(i * 7919 % files) * 4096;
        row.extents.assign("\x01\x02", 2).append(reinterpret_cast<const char*>(&i), 5);
        TRY(catalog.add_inode(key, row, {}));
        path.ino = row.ino;
        for (int64_t n = 0; n < names; ++n) {
            ++path.entry;
            path.path = fmt::format("home/user{}/projects/folder {}/document number {}.doc", i % 50, i / 40, path.entry);
            TRY(catalog.add_path(key, path));
        }
    }
    return transaction->commit();
}

Result<void> fill(const std::string& url, int64_t media, int64_t files, int64_t names) {
    TRY_ASSIGN(const auto catalog, open_catalog(Env::host(), Clock::system(), url));
    MediumRow medium;
    medium.medium_human = "made up";
    medium.image_path = "/nowhere";
    medium.added_at = iso8601_utc(Clock::system().wall_us());
    medium.enum_done = medium.added_at;
    TRY_ASSIGN(const auto before, catalog->media());
    const auto begin = steady_clock::now();
    for (int64_t i = 1; i <= media; ++i) {
        medium.medium_hash = fmt::format("{:032x}", static_cast<int64_t>(before.size()) + i);
        TRY(fill_one(*catalog, medium, files, names));
    }
    std::printf("%.3f\n", seconds_since(begin));
    return {};
}

Result<void> names(const std::string& url, int64_t count, int64_t files) {
    TRY_ASSIGN(const auto catalog, open_catalog(Env::host(), Clock::system(), url));
    std::vector<double> times;
    for (int64_t i = 1; i <= count; ++i) {
        FileFilter filter;
        filter.basename_glob = fmt::format("document number {}.doc", i * 7919 % files + 1);
        int64_t found = 0;
        const auto begin = steady_clock::now();
        TRY(catalog->files(filter, [&found](const FileRow&) -> Result<void> {
            ++found;
            return {};
        }));
        times.push_back(seconds_since(begin) * 1000);
        if (found == 0) return make_error(ErrorCode::not_found, *filter.basename_glob);
    }
    std::sort(times.begin(), times.end());
    std::printf("%.2f %.2f\n", times[times.size() / 2], times.back());
    return {};
}

struct Meter {
    std::atomic<int64_t> files{0}, claims{0}, claim_us{0};
};

// Made-up outcomes for all that is pending: under a lease, of its range.
Result<void> store_pending(Catalog& catalog, MediumKey key, const std::function<void(size_t)>& committed) {
    TRY_ASSIGN(const std::vector<int64_t> rows, catalog.pending_rows(key));
    for (size_t at = 0; at < rows.size(); at += 1000) {
        const auto part = std::span(rows).subspan(at, std::min<size_t>(1000, rows.size() - at));
        TRY_ASSIGN(const std::vector<WorkItem> items, catalog.work_items(key, part));
        std::vector<CopyOutcome> outcomes;
        for (const WorkItem& item : items) {
            CopyOutcome outcome;
            outcome.row = item.row;
            outcome.volume = item.volume;
            outcome.ino = item.ino;
            outcome.blobid = blake3_of(as_bytes(fmt::format("{}", item.ino / 2)));
            outcome.blob_size = 1000;
            outcomes.push_back(std::move(outcome));
        }
        TRY(catalog.commit_outcomes(key, "store", outcomes, {}, iso8601_utc(Clock::system().wall_us())));
        committed(outcomes.size());
    }
    return {};
}

Result<void> store(const std::string& url) {
    TRY_ASSIGN(const auto catalog, open_catalog(Env::host(), Clock::system(), url));
    TRY_ASSIGN(const std::vector<MediumRow> media, catalog->media());
    for (const MediumRow& medium : media) {
        TRY_ASSIGN(const MediumKey key, catalog->medium_key(medium.medium_hash));
        TRY(store_pending(*catalog, key, [](size_t) {}));
    }
    return {};
}

// As `ntt work` goes about it: range after range of a medium, then the next medium.
Result<void> work(const std::string& url, const std::string& name, Meter& meter) {
    TRY_ASSIGN(const auto catalog, open_catalog(Env::host(), Clock::system(), url));
    LeaseTable& leases = *catalog->leases();
    const LeaseTerms terms;
    const std::atomic<uint64_t> signs_of_life{0};
    TRY_ASSIGN(const auto heartbeat, leases.start_worker(name, "bench", 1, terms, signs_of_life));
    TRY_ASSIGN(const std::string since, leases.now());
    for (bool took = true; took;) {
        took = false;
        TRY_ASSIGN(const std::vector<MediumWork> media, leases.media_with_work());
        for (const MediumWork& medium : media) {
            TRY_ASSIGN(const MediumKey key, catalog->medium_key(medium.medium_hash));
            for (;;) {
                const auto begin = steady_clock::now();
                TRY_ASSIGN(const std::optional<Lease> lease, leases.take(medium.medium_hash, name, terms, since));
                meter.claim_us += static_cast<int64_t>(seconds_since(begin) * 1e6);
                ++meter.claims;
                if (!lease) break;
                took = true;
                catalog->work_under(lease);
                TRY(store_pending(*catalog, key, [&meter](size_t files) { meter.files += static_cast<int64_t>(files); }));
                catalog->work_under(std::nullopt);
                TRY(leases.finish(*lease));
            }
            if (took) break;
        }
    }
    return leases.end_worker(name);
}

Result<void> claims(const std::string& url, int workers) {
    int64_t total = 0;
    {
        TRY_ASSIGN(const auto catalog, open_catalog(Env::host(), Clock::system(), url));
        TRY_ASSIGN(const std::vector<MediumRow> media, catalog->media());
        for (const MediumRow& medium : media) {
            TRY_ASSIGN(const MediumKey key, catalog->medium_key(medium.medium_hash));
            TRY_ASSIGN(const Totals totals, catalog->totals(key));
            total += static_cast<int64_t>(totals.pending);
        }
    }
    Meter meter;
    std::atomic<int> running{workers};
    std::mutex mutex;
    std::vector<std::string> failures;
    std::vector<std::thread> threads;
    for (int i = 0; i < workers; ++i)
        threads.emplace_back([&, i] {
            const Result<void> done = work(url, fmt::format("w{}", i), meter);
            if (!done.ok()) {
                const std::lock_guard lock(mutex);
                failures.push_back(done.error().text());
            }
            --running;
        });
    auto begin = steady_clock::now();
    int64_t files = 0, taken = 0, us = 0;
    for (int tenth = 1; tenth <= 10; ++tenth) {
        while (meter.files < total * tenth / 10 && running > 0) std::this_thread::sleep_for(std::chrono::milliseconds(20));
        const int64_t now_files = meter.files, now_claims = meter.claims, now_us = meter.claim_us;
        std::printf("%3d %%  %9.0f files/s  %7.2f ms a claim\n", tenth * 10, static_cast<double>(now_files - files) / seconds_since(begin),
                    static_cast<double>(now_us - us) / 1000 / static_cast<double>(std::max<int64_t>(1, now_claims - taken)));
        std::fflush(stdout);
        files = now_files, taken = now_claims, us = now_us, begin = steady_clock::now();
    }
    for (std::thread& thread : threads) thread.join();
    for (const std::string& failure : failures) std::fprintf(stderr, "%s\n", failure.c_str());
    return failures.empty() ? Result<void>() : make_error(ErrorCode::io, "a worker failed");
}

}  // namespace
}  // namespace ntt

int main(int argc, char** argv) {
    const std::string_view verb = argc > 1 ? argv[1] : "";
    const auto number = [&](int at) { return argc > at ? std::strtoll(argv[at], nullptr, 10) : 1; };
    ntt::Result<void> done = ntt::make_error(ntt::ErrorCode::invalid_argument, "usage: catalog fill URL MEDIA FILES [NAMES] | names URL COUNT FILES | store URL | claims URL WORKERS");
    if (verb == "fill" && argc >= 5) done = ntt::fill(argv[2], number(3), number(4), number(5));
    if (verb == "store" && argc == 3) done = ntt::store(argv[2]);
    if (verb == "names" && argc == 5) done = ntt::names(argv[2], std::max<int64_t>(1, number(3)), std::max<int64_t>(1, number(4)));
    if (verb == "claims" && argc == 4) done = ntt::claims(argv[2], static_cast<int>(number(3)));
    if (done.ok()) return 0;
    std::fprintf(stderr, "catalog: %s\n", done.error().text().c_str());
    return 1;
}

#include "catalog/predecessor/rules.h"

#include <algorithm>
#include <array>
#include <charconv>

#include <fmt/format.h>
#include <nlohmann/json.hpp>

#include "base/hash.h"
#include "catalog/timestamps.h"

namespace ntt::predecessor {
namespace {

using nlohmann::json;

struct RuleText {
    Rule rule;
    std::string_view word, meaning;
};
constexpr std::array kRules = {
    RuleText{Rule::medium_known, "medium_known", "skipped: the target has this medium"},
    RuleText{Rule::medium_hash_replaced, "medium_hash_replaced", "a medium whose name is no hash gets one, made from that name"},
    RuleText{Rule::health_unknown, "health_unknown", "health is none of ok, incomplete, corrupt, failed: unknown"},
    RuleText{Rule::problems_wrapped, "problems_wrapped", "problems is no object: kept as problems.predecessor"},
    RuleText{Rule::diagnostics_as_text, "diagnostics_as_text", "diagnostics is no JSON: kept as one text"},
    RuleText{Rule::copy_done_taken_back, "copy_done_taken_back", "copy_done is not kept: files are pending"},
    RuleText{Rule::stored, "stored", "stored: success with a blob id"},
    RuleText{Rule::nonfile, "nonfile", "nonfile: directories, links, devices"},
    RuleText{Rule::excluded, "excluded", "excluded; their audits counted these as missing"},
    RuleText{Rule::excluded_bad_health, "excluded_bad_health", "excluded for the medium's health; ntt would read them (ntt requeue)"},
    RuleText{Rule::given_up, "given_up", "unreadable: given up, with the cause that claimed_by says"},
    RuleText{Rule::failed_permanent, "failed_permanent", "unreadable: IO_ERROR"},
    RuleText{Rule::failed_retryable, "failed_retryable", "pending: failed, to be tried again"},
    RuleText{Rule::pending, "pending", "pending: not yet copied"},
    RuleText{Rule::type_unknown, "type_unknown", "fs_type is no letter that is known"},
    RuleText{Rule::duplicate_ino, "duplicate_ino", "two inodes of one number and two devices: the second gets a number of its own"},
    RuleText{Rule::inode_without_path, "inode_without_path", "an inode without a name"},
    RuleText{Rule::mount_point, "mount_point", "the name of the mount point itself, which is not carried over"},
    RuleText{Rule::path_outside_mount, "path_outside_mount", "a path that is not below /mnt/ntt/HASH: kept without its leading slash"},
    RuleText{Rule::mount_prefix_doubled, "mount_prefix_doubled", "a path with the mount point in front of it twice"},
    RuleText{Rule::event, "event", "events of problems.diagnostic_events"},
    RuleText{Rule::success_without_blobid, "success_without_blobid", "said to be copied, without a blob id: pending again"},
    RuleText{Rule::empty_file_hash, "empty_file_hash", "the blob id is SHA-256 of nothing: pending again"},
    RuleText{Rule::blobid_malformed, "blobid_malformed", "the blob id is not 64 hexadecimal digits: pending again"},
    RuleText{Rule::blob_of_two_sizes, "blob_of_two_sizes", "the same blob id with files of two sizes: pending again"},
    RuleText{Rule::content_of_either_partition, "content_of_either_partition", "one row for inodes of several partitions, content of one of them: pending again"},
    RuleText{Rule::inode_of_other_partition, "inode_of_other_partition", "a partition's inode that had no row of its own: pending, of unknown size"},
    RuleText{Rule::backslash_name, "backslash_name", "given up because of \\r or \\n in a name, which they read as line ends: pending again"},
    RuleText{Rule::copied_but_failed, "copied_but_failed", "copied and failed at once: pending again"},
    RuleText{Rule::nonfile_is_file, "nonfile_is_file", "a regular file marked NON_FILE: pending again"},
    RuleText{Rule::path_without_inode, "path_without_inode", "names without an inode: pending, of unknown size"},
    RuleText{Rule::medium_row_missing, "medium_row_missing", "a medium of which there are inodes and no row"},
    RuleText{Rule::event_malformed, "event_malformed", "an entry of diagnostic_events that is no event: left in problems only"},
};

const RuleText& text_of(Rule rule) { return *std::find_if(kRules.begin(), kRules.end(), [rule](const RuleText& one) { return one.rule == rule; }); }

constexpr size_t kMostExamples = 20;
constexpr int kMostPartitions = 999;
constexpr int kThroughReader = 2;  // ContentAccess::through_reader: no place in an image is known

bool begins(const std::optional<std::string>& text, std::string_view with) { return text && text->starts_with(with); }

constexpr std::string_view kSkip = "DIAGNOSTIC_SKIP:";

bool is_given_up(const std::optional<std::string>& claimed_by) {
    return claimed_by == "MAX_RETRIES_EXCEEDED" || claimed_by == "IO_ERROR_SKIP" || claimed_by == "FAT_ERROR_SKIP" || begins(claimed_by, kSkip);
}

// As Catalog::give_up_on_errors() tells them apart.
Cause cause_of_errors(const TheirInode& inode) {
    if (inode.error_type == "permission_error") return Cause::PERMISSION;
    if (inode.error_type == "path_error") return Cause::MISSING_FILE;
    if (!inode.errors.empty() && inode.errors.back().find("timed out") != std::string::npos) return Cause::TIMEOUT;
    return Cause::IO_ERROR;
}

Cause cause_of_skip(const TheirInode& inode) {
    if (begins(inode.claimed_by, kSkip)) return cause_from(std::string_view(*inode.claimed_by).substr(kSkip.size())).value_or(Cause::IO_ERROR);
    if (inode.claimed_by == "FAT_ERROR_SKIP") return Cause::FAT_CHAIN_INVALID;
    if (inode.claimed_by == "IO_ERROR_SKIP") return Cause::IO_ERROR;
    return cause_of_errors(inode);
}

// The two characters that they replaced in every path (field case N4).
bool has_backslash_escape(const std::string& path) { return path.find("\\r") != std::string::npos || path.find("\\n") != std::string::npos; }

std::optional<std::string> time_of(const std::optional<std::string>& text) { return text ? catalog_time(*text) : std::nullopt; }

std::optional<std::string> known_error_type(const std::optional<std::string>& text) {
    if (!text || text->empty()) return std::nullopt;
    for (const char* known : {"path_error", "io_error", "hash_error", "permission_error"})
        if (*text == known) return text;
    return "unknown";
}

}  // namespace

std::string_view to_string(Rule rule) { return text_of(rule).word; }
std::string_view explain(Rule rule) { return text_of(rule).meaning; }
bool is_defect(Rule rule) { return rule >= Rule::success_without_blobid; }

// --- one inode ---

namespace {

Judgement pending_for(Rule rule) {
    Judgement out;
    out.rule = rule;
    return out;
}

Judgement put_aside(Rule rule, Status status, const std::string& claimed_by, std::optional<Cause> cause) {
    Judgement out;
    out.rule = rule;
    out.status = status;
    out.claimed_by = claimed_by;
    out.cause = cause;
    return out;
}

// A row that says its content is in the store.
Judgement judge_success(const TheirInode& inode, const Circumstances& about) {
    if (!inode.blobid || inode.blobid->empty()) return pending_for(Rule::success_without_blobid);
    if (*inode.blobid == kEmptyFileHash) return pending_for(Rule::empty_file_hash);
    const std::optional<BlobId> id = inode.blobid->size() == kEmptyFileHash.size() ? BlobId::from_hex(*inode.blobid) : std::nullopt;
    if (!id) return pending_for(Rule::blobid_malformed);
    // They read the first of all names and gave all of them its blob id (N11).
    if (about.has_names_in_other_partitions) return pending_for(Rule::content_of_either_partition);
    if (about.blob_has_two_sizes) return pending_for(Rule::blob_of_two_sizes);
    Judgement out;
    out.rule = Rule::stored;
    out.status = Status::stored;
    out.blobid = id;
    return out;
}

Judgement judge_file(const TheirInode& inode, const Circumstances& about) {
    const bool failed = begins(inode.status, "failed");
    const bool copied = inode.copied.value_or(false);
    const bool says_success = inode.status == "success" || (copied && !failed);
    // What is in the store counts over what is said of it besides.
    const Judgement success = judge_success(inode, about);
    if (says_success && success.rule == Rule::stored) return success;

    if (begins(inode.claimed_by, "EXCLUDED")) {
        const Rule rule = *inode.claimed_by == "EXCLUDED: bad_health" ? Rule::excluded_bad_health : Rule::excluded;
        return put_aside(rule, Status::excluded, *inode.claimed_by, std::nullopt);
    }
    if (inode.claimed_by == "BACKSLASH_SKIP") return pending_for(Rule::backslash_name);
    const bool may_be_their_bug = about.has_backslash_name && !begins(inode.claimed_by, kSkip) && inode.claimed_by != "FAT_ERROR_SKIP";
    if (is_given_up(inode.claimed_by)) {
        if (may_be_their_bug) return pending_for(Rule::backslash_name);
        return put_aside(Rule::given_up, Status::unreadable, *inode.claimed_by, cause_of_skip(inode));
    }
    if (says_success) return inode.claimed_by == "NON_FILE" ? pending_for(Rule::nonfile_is_file) : success;
    if (inode.status == "failed_permanent") {
        if (may_be_their_bug) return pending_for(Rule::backslash_name);
        return put_aside(Rule::failed_permanent, Status::unreadable, claimed_by_of(Cause::IO_ERROR), Cause::IO_ERROR);
    }
    if (failed) return pending_for(copied ? Rule::copied_but_failed : Rule::failed_retryable);
    return pending_for(Rule::pending);  // whoever had it claimed
}

}  // namespace

Judgement judge(const TheirInode& inode, const Circumstances& about) {
    constexpr std::string_view kNonFiles = "dlbcps";
    const char letter = inode.fs_type && inode.fs_type->size() == 1 ? inode.fs_type->front() : '?';
    Judgement out;
    if (letter == 'f') return judge_file(inode, about);
    const bool known = kNonFiles.find(letter) != std::string_view::npos;
    if (known || inode.claimed_by == "NON_FILE") {
        out = put_aside(Rule::nonfile, Status::nonfile, "NON_FILE", std::nullopt);
        out.fs_type = known ? letter : 'u';
    } else {
        out = judge_file(inode, about);
    }
    out.type_is_unknown = !known;
    return out;
}

// --- one medium ---

void MediumCarrier::count(Rule rule, int64_t ino) {
    ++counts_[rule];
    if (!is_defect(rule)) return;
    std::vector<int64_t>& known = examples_[rule];
    if (known.size() < kMostExamples) known.push_back(ino);
}

MediumCarrier::Place MediumCarrier::place_of(const std::string& path) {
    Place out;
    std::string_view rest = path;
    const auto is_below = [&] { return rest.starts_with(mount_point_) && (rest.size() == mount_point_.size() || rest[mount_point_.size()] == '/'); };
    if (is_below()) {
        for (int times = 1; is_below(); ++times) {
            rest.remove_prefix(mount_point_.size());
            if (times == 2) ++counts_[Rule::mount_prefix_doubled];
        }
        if (partitions_ == Partitions::by_folder && rest.starts_with("/p")) {
            int number = 0;
            const auto parsed = std::from_chars(rest.data() + 2, rest.data() + rest.size(), number);
            const auto end = static_cast<size_t>(parsed.ptr - rest.data());
            const bool is_whole_name = end == rest.size() || rest[end] == '/';
            if (parsed.ec == std::errc() && is_whole_name && number >= 1 && number <= kMostPartitions) {
                out.volume = number;
                rest.remove_prefix(end);
            }
        }
    } else {
        ++counts_[Rule::path_outside_mount];
    }
    while (rest.starts_with('/')) rest.remove_prefix(1);
    out.path = rest;
    return out;
}

CarriedInode MediumCarrier::inode_of(const TheirInode& inode, int volume, const Circumstances& about) {
    const Judgement judged = judge(inode, about);
    CarriedInode out;
    out.rule = judged.rule;
    InodeRow& row = out.row;
    row.volume = volume;
    row.ino = inode.ino;
    row.fs_ino = std::to_string(inode.ino);
    row.fs_type = judged.fs_type;
    row.dev = inode.dev;
    row.nlink = static_cast<uint64_t>(std::max<int64_t>(inode.nlink.value_or(1), 0));
    row.size = static_cast<uint64_t>(std::max<int64_t>(inode.size.value_or(0), 0));
    row.mtime = inode.mtime;
    row.access = judged.fs_type == 'f' ? kThroughReader : 0;
    row.status = judged.status;
    row.copied = judged.status != Status::pending;
    row.claimed_by = judged.claimed_by;
    if (judged.claimed_by) row.claimed_at = time_of(inode.claimed_at);
    row.blobid = judged.blobid;
    row.cause = judged.cause;
    row.errors = inode.errors;
    if (judged.status != Status::stored) row.error_type = known_error_type(inode.error_type);
    row.mime_type = inode.mime_type;
    if (row.copied) row.processed_at = time_of(inode.processed_at);
    if (judged.status == Status::unreadable) {
        row.missing_bytes = row.size;
        if (row.size > 0) out.missing.push_back({0, row.size, std::nullopt, *judged.cause});
    }
    if (judged.type_is_unknown) count(Rule::type_unknown, inode.ino);
    return out;
}

Carried MediumCarrier::carry(const TheirGroup& group) {
    Carried out;
    const int64_t number = group.inodes.empty() ? group.paths.front().ino : group.inodes.front().ino;
    std::vector<Place> places;
    std::set<int> named_in;
    Circumstances about;
    for (const TheirPath& path : group.paths) {
        places.push_back(place_of(path.path));
        named_in.insert(places.back().volume);
        about.has_backslash_name = about.has_backslash_name || has_backslash_escape(places.back().path);
    }

    // The partition of each row: that of the names with its device; the others' inodes had no row.
    std::vector<int> homes;
    for (const TheirInode& inode : group.inodes) {
        std::optional<int> home;
        for (size_t i = 0; i < places.size(); ++i)
            if (inode.dev && group.paths[i].dev == inode.dev && (!home || places[i].volume < *home)) home = places[i].volume;
        homes.push_back(home.value_or(named_in.empty() ? 1 : *named_in.begin()));
    }
    // With a row for each device the contents are told apart; names of other partitions than the rows' are not.
    about.has_names_in_other_partitions =
        std::any_of(named_in.begin(), named_in.end(), [&](int volume) { return std::find(homes.begin(), homes.end(), volume) == homes.end(); }) && !homes.empty();

    std::map<int, size_t> first_of;  // volume: index into out.inodes
    for (size_t i = 0; i < group.inodes.size(); ++i) {
        const TheirInode& inode = group.inodes[i];
        Circumstances of_this = about;
        of_this.blob_has_two_sizes = inode.blobid && doubtful_.contains(*inode.blobid);
        CarriedInode carried = inode_of(inode, homes[i], of_this);
        const bool is_first = first_of.try_emplace(homes[i], i).second;
        // Numbers from 2^62 up are ours.
        if (!is_first || inode.ino < 0 || inode.ino >= int64_t{1} << 62) {
            if (!is_first && inode.dev) carried.row.fs_ino = fmt::format("{}:{}", *inode.dev, inode.ino);
            carried.row.ino = next_own_++;
        }
        if (!is_first) count(Rule::duplicate_ino, inode.ino);
        count(carried.rule, inode.ino);
        if (group.paths.empty()) count(Rule::inode_without_path, inode.ino);
        out.inodes.push_back(std::move(carried));
    }

    for (size_t i = 0; i < places.size(); ++i) {
        const int volume = places[i].volume;
        std::optional<size_t> owner;
        for (size_t k = 0; k < group.inodes.size() && !owner; ++k)
            if (homes[k] == volume && group.inodes[k].dev == group.paths[i].dev) owner = k;
        if (!owner) {
            auto known = first_of.find(volume);
            if (known == first_of.end()) {
                // Of which nothing is known but its names. What was a directory in one partition may be a file in the other.
                CarriedInode unknown;
                unknown.rule = group.inodes.empty() ? Rule::path_without_inode : Rule::inode_of_other_partition;
                unknown.row.volume = volume;
                unknown.row.ino = number < 0 || number >= int64_t{1} << 62 ? next_own_++ : number;
                unknown.row.fs_ino = std::to_string(number);
                unknown.row.dev = group.paths[i].dev;
                unknown.row.access = kThroughReader;
                if (places[i].path.empty()) {  // a partition's root has the same number in all of them
                    unknown.rule = Rule::nonfile;
                    unknown.row.fs_type = 'd';
                    unknown.row.status = Status::nonfile;
                    unknown.row.copied = true;
                    unknown.row.claimed_by = "NON_FILE";
                    unknown.row.access = 0;
                }
                count(unknown.rule, number);
                known = first_of.emplace(volume, out.inodes.size()).first;
                out.inodes.push_back(std::move(unknown));
            }
            owner = known->second;
        }
        if (places[i].path.empty()) {
            count(Rule::mount_point, number);
            continue;
        }
        PathRow row;
        row.volume = volume;
        row.entry = ++entries_[volume];
        row.ino = out.inodes[*owner].row.ino;
        row.path = places[i].path;
        row.exclude_reason = group.paths[i].exclude_reason;
        out.paths.push_back(std::move(row));
    }
    for (const CarriedInode& inode : out.inodes) volumes_.insert(inode.row.volume);
    return out;
}

MediumRow medium_of(const TheirMedium& medium, const std::string& now, RuleCounts& counts) {
    MediumRow out;
    out.medium_hash = medium.medium_hash;
    out.medium_human = medium.medium_human.value_or(medium.medium_hash);
    out.hash_method = "given";
    out.image_path = medium.image_path.value_or("");
    out.message = medium.message;
    out.added_at = time_of(medium.added_at).value_or(time_of(medium.enum_done).value_or(now));
    out.enum_done = time_of(medium.enum_done);
    out.copy_done = time_of(medium.copy_done);
    if (!medium.is_listed) ++counts[Rule::medium_row_missing];
    if (!is_medium_hash(medium.medium_hash)) {
        out.medium_hash = blake3_of(as_bytes("ntt-predecessor\n" + medium.medium_hash)).hex().substr(0, 32);
        ++counts[Rule::medium_hash_replaced];
    }
    constexpr std::array kHealth = {"ok", "incomplete", "corrupt", "failed"};
    const bool known = medium.health && std::find(kHealth.begin(), kHealth.end(), *medium.health) != kHealth.end();
    out.health = known ? *medium.health : "unknown";
    if (!known && medium.health && *medium.health != "unknown") ++counts[Rule::health_unknown];
    json problems = medium.problems ? json::parse(*medium.problems, nullptr, false) : json();
    if (problems.is_discarded()) problems = to_display_utf8(*medium.problems);
    if (!problems.is_null() && !problems.is_object()) {
        problems = {{"predecessor", std::move(problems)}};
        ++counts[Rule::problems_wrapped];
    }
    if (out.medium_hash != medium.medium_hash) {
        if (problems.is_null()) problems = json::object();
        problems["predecessor_medium_hash"] = to_display_utf8(medium.medium_hash);
    }
    if (!problems.is_null()) out.problems = problems.dump();
    if (medium.diagnostics) {
        const bool is_json = json::accept(*medium.diagnostics);
        out.diagnostics = is_json ? *medium.diagnostics : json(to_display_utf8(*medium.diagnostics)).dump();
        if (!is_json) ++counts[Rule::diagnostics_as_text];
    }
    return out;
}

namespace {

std::optional<std::string> taken_text(json& from, const char* key) {
    const auto found = from.find(key);
    if (found == from.end() || !found->is_string()) return std::nullopt;
    std::string out = found->get<std::string>();
    from.erase(found);
    return out;
}

std::optional<int64_t> taken_number(json& from, const char* key) {
    const auto found = from.find(key);
    if (found == from.end() || !found->is_number_integer()) return std::nullopt;
    const auto out = found->get<int64_t>();
    from.erase(found);
    return out;
}

// What is not taken stays as evidence. dmesg's words are no cause: they may be of another device (field case E6).
EventRow event_of(const MediumRow& medium, int volume, json entry) {
    EventRow out;
    out.medium_hash = medium.medium_hash;
    out.volume = volume;
    out.ino = taken_number(entry, "ino");
    out.retry_count = static_cast<int>(std::clamp<int64_t>(taken_number(entry, "retry_count").value_or(0), 0, INT32_MAX));
    if (const auto checks = entry.find("checks"); checks != entry.end() && checks->is_array()) {
        out.checks = checks->dump();
        entry.erase(checks);
    }
    const std::string action = taken_text(entry, "action").value_or("");
    constexpr std::array kActions = {"continuing", "skipped", "remounted", "max_retries"};
    const bool known = std::find(kActions.begin(), kActions.end(), action) != kActions.end();
    out.action = known ? action : action == "diagnostic_skip" ? "skipped" : "continuing";
    if (!known) entry["action"] = action;
    if (const auto cause = taken_text(entry, "cause"); cause) {
        out.cause = cause_from(*cause);
        if (!out.cause) entry["cause"] = *cause;
    }
    out.exception_type = taken_text(entry, "exception_type");
    out.exception_msg = taken_text(entry, "exception_msg");
    out.worker_id = taken_text(entry, "worker_id").value_or("unknown");
    const std::string timestamp = taken_text(entry, "timestamp").value_or("");
    const std::optional<std::string> time = catalog_time(timestamp);
    out.timestamp = time.value_or(medium.added_at);
    if (!time) entry["timestamp"] = timestamp;
    out.evidence = entry.dump();
    return out;
}

}  // namespace

std::vector<EventRow> events_of(const MediumRow& medium, int volume, RuleCounts& counts) {
    std::vector<EventRow> out;
    const json problems = medium.problems ? json::parse(*medium.problems, nullptr, false) : json();
    if (!problems.is_object() || !problems.contains("diagnostic_events")) return out;
    const json& entries = problems["diagnostic_events"];
    if (!entries.is_array()) {
        ++counts[Rule::event_malformed];
        return out;
    }
    for (const json& entry : entries) {
        ++counts[entry.is_object() ? Rule::event : Rule::event_malformed];
        if (entry.is_object()) out.push_back(event_of(medium, volume, entry));
    }
    return out;
}

}  // namespace ntt::predecessor

#include "ingest/mount_helper.h"

#include <nlohmann/json.hpp>

#include "os/run_program.h"

namespace ntt {
namespace {

using nlohmann::json;

constexpr size_t kMaxMounts = 4096;

Result<ProgramRun> call(const MountHelper& helper, std::vector<std::string> arguments) {
    std::vector<std::string> command = helper.command;
    const std::string verb = arguments.front();
    command.insert(command.end(), std::make_move_iterator(arguments.begin()), std::make_move_iterator(arguments.end()));
    TRY_ASSIGN(ProgramRun run, run_program(command, helper.limit));
    if (run.exit_code == 0) return run;
    const bool sudo_refused = helper.command.size() > 1 && run.words.find("sudo:") != std::string::npos;
    return make_error(sudo_refused ? ErrorCode::permission : ErrorCode::io,
                      "ntt-mount-helper cannot " + verb + ": " + (run.words.empty() ? "it was killed" : run.words),
                      sudo_refused ? "docs/mount-helper.md has the line that sudo needs" : "");
}

std::string text_in(const json& object, const char* key) { return object.contains(key) && object[key].is_string() ? object[key].get<std::string>() : std::string(); }

std::optional<uint64_t> offset_in(const json& object) {
    if (!object.is_object() || !object.contains("offset_bytes") || !object["offset_bytes"].is_number_unsigned()) return std::nullopt;
    return object["offset_bytes"].get<uint64_t>();
}

}  // namespace

Result<MountReport> parse_mount_report(const std::string& text) {
    const auto odd = [] { return make_error(ErrorCode::malformed, "ntt-mount-helper prints what is no report"); };
    const json report = json::parse(text, nullptr, false);
    if (!report.is_object()) return odd();
    MountReport out;
    out.already_mounted = report.value("already_mounted", json()) == true;
    for (const char* key : {"mounts", "not_mounted"}) {
        const json list = report.value(key, json::array());
        if (!list.is_array() || list.size() > kMaxMounts) return odd();
        for (const json& one : list) {
            const std::optional<uint64_t> offset = offset_in(one);
            if (!offset) return odd();
            if (std::string_view(key) == "mounts") out.mounts.push_back({*offset, text_in(one, "path"), text_in(one, "fs_type"), text_in(one, "driver")});
            else out.not_mounted.push_back({*offset, text_in(one, "reason")});
        }
    }
    return out;
}

Result<MountReport> mount_image(const MountHelper& helper, const std::string& medium_hash, const std::string& image) {
    TRY_ASSIGN(const ProgramRun run, call(helper, {"mount", medium_hash, image}));
    return parse_mount_report(run.out);
}

Result<void> unmount_image(const MountHelper& helper, const std::string& medium_hash) {
    TRY(call(helper, {"unmount", medium_hash}));
    return {};
}

}  // namespace ntt

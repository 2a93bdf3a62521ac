// ntt-mount-helper: mounts the volumes of an image read-only below /mnt/ntt. The only program of ntt that runs as root; what
// it may do and why stands in docs/mount-helper.md.
#include <syslog.h>
#include <unistd.h>

#include <cerrno>
#include <cstdio>
#include <string>
#include <string_view>
#include <vector>

#include <fmt/format.h>

#include "base/bytes.h"
#include "clean_start.h"
#include "config.h"
#include "medium.h"
#include "request.h"

namespace ntt::mount_helper {
namespace {

constexpr int kFailed = 1, kUsage = 2;

// All of it or an error: what nobody was told of must not stay mounted.
Result<void> write_stdout(std::string_view text) {
    while (!text.empty()) {
        const ssize_t n = ::write(STDOUT_FILENO, text.data(), text.size());
        if (n < 0 && errno == EINTR) continue;
        if (n <= 0) return errno_error(errno, "write the report to stdout");
        text.remove_prefix(static_cast<size_t>(n));
    }
    return {};
}

Result<void> write_report(const nlohmann::ordered_json& report) {
    // Labels are bytes of an image: what is no UTF-8 becomes U+FFFD.
    return write_stdout(report.dump(-1, ' ', false, nlohmann::ordered_json::error_handler_t::replace) + "\n");
}

void complain(std::string_view text) { std::fprintf(stderr, "ntt-mount-helper: %s\n", to_terminal_text(text).c_str()); }

void log_line(int level, std::string_view text) { ::syslog(LOG_AUTHPRIV | level, "%s", to_terminal_text(text).c_str()); }

Result<int> serve(const Request& request, uid_t user) {
    TRY_ASSIGN(const Config config, load_config());
    switch (request.verb) {
        case Verb::mount: TRY(mount_medium(config, request, user, write_report)); break;
        case Verb::unmount: TRY(unmount_medium(config, request, write_report)); break;
        case Verb::status: {
            TRY_ASSIGN(const Mounted mounted, status_of_medium(config, request, write_report));
            return mounted == Mounted::yes ? 0 : kFailed;
        }
        case Verb::help:
        case Verb::version: break;
    }
    return 0;
}

int run(const std::vector<std::string_view>& arguments) {
    const Result<uid_t> user = real_user();
    const Result<void> started = start_clean();
    ::openlog("ntt-mount-helper", LOG_PID, LOG_AUTHPRIV);
    const std::optional<Request> request = parse_request(arguments);
    if (request && request->verb == Verb::help) return write_stdout(usage_text()).ok() ? 0 : kFailed;
    if (request && request->verb == Verb::version) return write_stdout("ntt-mount-helper " NTT_VERSION "\n").ok() ? 0 : kFailed;
    const std::string who = user.ok() ? fmt::format("uid {}", *user) : "an unknown user";
    if (!request) {
        log_line(LOG_WARNING, fmt::format("{}: refused: wrong arguments", who));
        std::fwrite(usage_text().data(), 1, usage_text().size(), stderr);
        return kUsage;
    }

    const std::string what =
        fmt::format("{}: {} {} {}", who, to_string(request->verb), request->medium_hash, request->image_path);
    Result<int> outcome = !user.ok()      ? Result<int>(user.error())
                          : !started.ok() ? Result<int>(started.error())
                                          : serve(*request, *user);
    if (outcome.ok()) {
        log_line(LOG_INFO, what);
        return *outcome;
    }
    const std::string reason = outcome.error().text();
    log_line(LOG_WARNING, fmt::format("{}: refused: {}", what, reason));
    complain(reason);
    return kFailed;
}

}  // namespace
}  // namespace ntt::mount_helper

int main(int argc, char** argv) {
    std::vector<std::string_view> arguments(argv, argv + argc);
    if (!arguments.empty()) arguments.erase(arguments.begin());
    return ntt::mount_helper::run(arguments);
}

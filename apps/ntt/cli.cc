#include "cli.h"

#include <algorithm>

#include <fmt/format.h>

#include "base/bytes.h"
#include "command.h"
#include "pages.h"
#include "report/json.h"
#include "report/summary.h"
#include "session.h"

namespace ntt::cli {
namespace {

bool asks_for_json(const std::vector<std::string>& args) { return std::find(args.begin(), args.end(), "--json") != args.end(); }

void print(std::FILE* file, std::string_view text) { std::fwrite(text.data(), 1, text.size(), file); }

// An error on stderr for people and, with --json, on stdout for programs.
Exit report(Io& io, std::string_view verb, const Error& error, Exit exit, bool json) {
    print(io.err, fmt::format("ntt{}{}: {}\n", verb.empty() ? "" : " ", verb, to_terminal_text(error.text())));
    if (!error.hint.empty()) print(io.err, fmt::format("  {}\n", to_terminal_text(error.hint)));
    if (json) print(io.out, to_line(json_of(error, std::nullopt)));
    return exit;
}

// What stops a call before its first source: with --json the call still ends with its closing line.
Exit report_before_start(Io& io, std::string_view verb, const Error& error, Exit exit, bool json) {
    report(io, verb, error, exit, json);
    if (json && (verb == "ingest" || verb == "copy")) print(io.out, to_line(result_json(exit, 0)));
    return exit;
}

Exit usage_error(Io& io, std::string_view verb, const std::string& message, const std::string& hint, bool json) {
    return report_before_start(io, verb, make_error(ErrorCode::invalid_argument, message, hint), Exit::usage, json);
}

Exit run_command(Command& command, const std::vector<std::string>& args, Io& io) {
    const std::string_view verb = command.page().name;
    CommonOptions common;
    const auto parser = make_parser(command, common);
    try {
        std::vector<std::string> reversed(args.rbegin(), args.rend());  // as CLI11 wants them
        parser->parse(reversed);
    } catch (const CLI::CallForHelp&) {
        print(io.out, help_text(command));
        return Exit::done;
    } catch (const CLI::CallForVersion&) {
        print(io.out, "ntt " NTT_VERSION "\n");
        return Exit::done;
    } catch (const CLI::ParseError& error) {
        return usage_error(io, verb, error.what(), fmt::format("ntt {} --help shows how", verb), asks_for_json(args));
    }

    auto settings = load_settings(io.env, common, io.variable);
    if (!settings.ok()) return report_before_start(io, verb, settings.error(), Exit::usage, common.json);
    auto session = Session::open(io, std::move(settings).value());
    if (!session.ok()) return report_before_start(io, verb, session.error(), exit_of(session.error()), common.json);
    const Result<Exit> done = command.run(*session);
    const Result<void> written = done.ok() ? session->out().flush() : Result<void>();
    if (done.ok() && written.ok()) return *done;
    const Error& error = done.ok() ? written.error() : done.error();
    if (reader_gone(error)) return done.ok() ? *done : Exit::done;  // `ntt files … | head` has seen enough
    return report(io, verb, error, exit_of(error), common.json);
}

Exit dispatch(const std::vector<std::string>& args, Io& io) {
    if (args.empty()) {
        print(io.err, overview_text());
        return Exit::usage;
    }
    const std::string& verb = args.front();
    if (verb == "--help" || verb == "-h") {
        print(io.out, overview_text());
        return Exit::done;
    }
    if (verb == "--version") {
        print(io.out, "ntt " NTT_VERSION "\n");
        return Exit::done;
    }
    const auto command = make_command(verb);
    if (command != nullptr) return run_command(*command, {args.begin() + 1, args.end()}, io);
    const bool is_option = verb.substr(0, 1) == "-";
    return usage_error(io, "", is_option ? "options stand after the command: " + verb : "no such command: " + verb,
                       "ntt help lists the commands", asks_for_json(args));
}

}  // namespace

int run(const std::vector<std::string>& args, Io& io) {
    const Exit exit = dispatch(args, io);
    std::fflush(io.out);  // what a command wrote is flushed and checked already; this is help and error objects
    std::fflush(io.err);
    return to_int(exit);
}

}  // namespace ntt::cli

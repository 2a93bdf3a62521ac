// ntt doctor: what this machine has, what is missing, and how to get it.
#include "doctor.h"

#include <algorithm>

#include <fmt/format.h>

#include "base/bytes.h"
#include "command.h"

namespace ntt::cli {
namespace {

const Page kPage = {
    "doctor",
    "check what this machine has, and say how to get what is missing",
    "",
    "Looks at the programs beside ntt (the reader, the mount helper and whether it may be called), the kernel (filesystems, loop "
    "devices, FUSE, its log, seccomp, Landlock), the FUSE drivers, the store with its room, the catalog, the clock, memory and "
    "open files. "
    "Each check is ok, a warning (something is worse or cannot be done), or failed (ntt cannot ingest here); below it stands "
    "what would help.\n\n"
    "Nothing is made or repaired: that there is no store or catalog yet is said, and is no failure. Those that are there are "
    "opened, "
    "which does what it does in every command: what killed runs left in the store is swept, and a catalog of an older ntt is "
    "brought to this "
    "one's schema. What has to do with calling the mount helper is left out where there is none, or where others than root can "
    "change it.\n\n"
    "With --json: an object of type check for each, with name, state (ok, warning, failed), message and hint, and at the end one "
    "of "
    "type doctor with the numbers of them.",
    {{"ntt doctor", "look at everything"},
     {"ntt doctor --json | jq -r 'select(.state == \"failed\") | .hint'", "what must be done, for a program"}},
    {{Exit::done, "nothing failed; there may be warnings"}, {Exit::failed, "something failed that ntt cannot work without"}},
};

class DoctorCommand final : public Command {
public:
    const Page& page() const override { return kPage; }
    void declare(CLI::App&) override {}

    Result<Exit> run(Session& session) override {
        const std::vector<Check> checks = judge(gather_facts(session));
        for (const Check& check : checks)
            TRY(session.json() ? session.out().json(as_json(check)) : session.out().text(as_text(check)));
        const auto count = [&](CheckState state) {
            return std::count_if(checks.begin(), checks.end(), [&](const Check& check) { return check.state == state; });
        };
        const auto good = count(CheckState::ok), warnings = count(CheckState::warning), failed = count(CheckState::failed);
        const Exit exit = failed > 0 ? Exit::failed : Exit::done;
        if (session.json())
            TRY(session.out().json(
                {{"type", "doctor"}, {"ok", good}, {"warnings", warnings}, {"failed", failed}, {"exit", to_int(exit)}}));
        else
            TRY(session.out().text(
                fmt::format("{} ok, {} warning{}, {} failed\n", good, warnings, warnings == 1 ? "" : "s", failed)));
        return exit;
    }

private:
    static Json as_json(const Check& check) {
        return {{"type", "check"},
                {"name", check.name},
                {"state", to_string(check.state)},
                {"message", to_display_utf8(check.message)},
                {"hint", check.hint.empty() ? Json(nullptr) : Json(to_display_utf8(check.hint))}};
    }

    static std::string as_text(const Check& check) {
        std::string out = fmt::format("{:<7}  {:<23}  {}\n", to_string(check.state), check.name, to_terminal_text(check.message));
        if (!check.hint.empty()) out += fmt::format("         {:<23}  -> {}\n", "", to_terminal_text(check.hint));
        return out;
    }
};

}  // namespace

std::unique_ptr<Command> make_doctor_command() { return std::make_unique<DoctorCommand>(); }

}  // namespace ntt::cli

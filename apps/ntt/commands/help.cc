// ntt help: pages, and the forms of them that packaging asks for.
#include <fmt/format.h>

#include "command.h"
#include "pages.h"

namespace ntt::cli {
namespace {

const Page kPage = {
    "help",
    "show the page of a command",
    "[COMMAND]",
    "Shows the page of a command, or the list of all commands. The same pages come as manual pages (--man) and as a script that "
    "completes commands and options in bash (--bash-completion).",
    {{"ntt help verify", "the same as ntt verify --help"},
     {"ntt help --man verify | man -l -", "as a manual page; without a command, or for ntt itself, the overview"},
     {"source <(ntt help --bash-completion)", "completion in this shell"}},
    {{Exit::done, "shown"}},
};

class HelpCommand final : public Command {
public:
    const Page& page() const override { return kPage; }
    void declare(CLI::App& app) override {
        app.add_option("COMMAND", command_, "a command")->check([](const std::string& name) {
            return name == "ntt" || make_command(name) != nullptr ? "" : "no such command: " + name;
        });
        app.add_flag("--man", man_, "as a manual page in roff");
        app.add_flag("--bash-completion", completion_, "the script for bash");
    }

    Result<Exit> run(Session& session) override {
        if (completion_) {
            TRY(session.out().text(bash_completion()));
            return Exit::done;
        }
        const auto command = make_command(command_);
        if (command == nullptr)
            TRY(session.out().text(man_ ? overview_man_page() : overview_text()));
        else
            TRY(session.out().text(man_ ? man_page(*command) : help_text(*command)));
        return Exit::done;
    }

private:
    std::string command_;
    bool man_ = false, completion_ = false;
};

}  // namespace

std::unique_ptr<Command> make_help_command() { return std::make_unique<HelpCommand>(); }

}  // namespace ntt::cli

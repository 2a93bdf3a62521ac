// The frame of one command: its page of help, its options, what it does. One command, one file in commands/.
#pragma once

#include <memory>
#include <string_view>
#include <vector>

#include <CLI/CLI.hpp>

#include "report/exit.h"
#include "session.h"

namespace ntt::cli {

struct Example {
    std::string_view line;     // what to type
    std::string_view meaning;  // what it does
};

struct ExitWords {
    Exit exit;
    std::string_view words;
};

// One text for three readers: --help, the manual page and the completion of the shell. The options come from declare().
struct Page {
    std::string_view name;         // the verb
    std::string_view summary;      // one line, no full stop
    std::string_view synopsis;     // what stands behind the verb: "MEDIUM [--status S]"
    std::string_view description;  // paragraphs apart by an empty line
    std::vector<Example> examples;
    std::vector<ExitWords> exits;  // usage, busy and interrupted are the same everywhere and stand in every page
};

class Command {
public:
    virtual ~Command() = default;
    virtual const Page& page() const = 0;
    // Names the arguments and options; they are written into members when the command line is read.
    virtual void declare(CLI::App& app) = 0;
    virtual Result<Exit> run(Session& session) = 0;
};

// The contents page of the program: every command in the order of the overview. See commands.cc.
struct CommandEntry {
    std::string_view name;
    std::unique_ptr<Command> (*make)();
};
const std::vector<CommandEntry>& commands();
// nullptr if there is no such verb.
std::unique_ptr<Command> make_command(std::string_view name);

}  // namespace ntt::cli

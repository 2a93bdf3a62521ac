// A command's page in its three forms, and the overview of all commands.
#pragma once

#include <string>

#include "command.h"

namespace ntt::cli {

// The parser of one command: its own arguments and options, and the common ones, which are written into `common`.
// Both must outlive the parser.
std::unique_ptr<CLI::App> make_parser(Command& command, CommonOptions& common);

std::string help_text(Command& command);
std::string overview_text();

// Manual pages in the man(7) macros: ntt-VERB(1) and ntt(1).
std::string man_page(Command& command);
std::string overview_man_page();

// A script for bash: verbs, options, files.
std::string bash_completion();

}  // namespace ntt::cli

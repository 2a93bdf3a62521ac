#include "pages.h"

#include <array>

#include <fmt/format.h>

namespace ntt::cli {
namespace {

constexpr std::string_view kWhatItIs =
    "ntt takes disk images of old and damaged media and puts every file's content once into a "
    "content-addressed "
    "store, with its provenance in a catalog. It knows which bytes of which file are missing and why.";

constexpr std::array kSameEverywhere = {Exit::usage, Exit::busy, Exit::interrupted};
constexpr size_t kTextWidth = 80;

struct VariableText {
    std::string_view name, meaning;
};
constexpr std::array kEnvironment = {
    VariableText{"NTT_HOME", "the folder of the catalog and the store; default $XDG_DATA_HOME/ntt, else ~/.local/share/ntt"},
    VariableText{"NTT_DB_URL", "the catalog; default sqlite:$NTT_HOME/catalog.db"},
    VariableText{"NTT_STORE", "the store's folder; default $NTT_HOME"},
    VariableText{"NTT_LOG_LEVEL", "trace, debug, info, warn, error or off"},
    VariableText{"NO_COLOR", "no colours when set to anything"},
};

// Signs beyond ASCII that pages use, and what roff calls them.
struct RoffName {
    std::string_view sign, name;
};
constexpr std::array kRoffNames = {RoffName{"…", "..."}, RoffName{"–", "\\(en"}};

// One option or argument as pages show it.
struct OptionText {
    std::string names;  // "--status S", "-h, --help", "MEDIUM"
    std::string description;
    std::vector<std::string> words;  // "--status", for completion; empty for an argument
};

OptionText text_of(const CLI::Option& option) {
    OptionText out;
    for (const std::string& name : option.get_snames()) out.words.push_back("-" + name);
    for (const std::string& name : option.get_lnames()) out.words.push_back("--" + name);
    out.names = out.words.empty() ? option.get_name(true) : fmt::format("{}", fmt::join(out.words, ", "));
    const bool takes_value = option.get_items_expected_max() > 0;
    const std::string type = option.get_type_name();  // "N:INT in [1 - 9]" when a check has a name too
    if (!out.words.empty() && takes_value && !type.empty()) out.names += " " + type.substr(0, type.find(':'));
    out.description = option.get_description();
    return out;
}

enum class Section { arguments, own, common };
constexpr std::string_view kCommonGroup = "Common options";

// Options of one section in the order of their declaration; hidden ones (an empty group) are left out.
std::vector<OptionText> options_of(const CLI::App& parser, Section section) {
    std::vector<OptionText> out;
    for (const CLI::Option* option : parser.get_options()) {
        if (option->get_group().empty()) continue;
        const Section its = option->get_positional()              ? Section::arguments
                            : option->get_group() == kCommonGroup ? Section::common
                                                                  : Section::own;
        if (its == section) out.push_back(text_of(*option));
    }
    return out;
}

// `text` in lines of at most kTextWidth, each behind `indent` spaces. Paragraphs stay apart.
std::string wrapped(std::string_view text, size_t indent) {
    std::string out, line;
    const auto end_line = [&] {
        if (!line.empty()) out += std::string(indent, ' ') + line + "\n";
        line.clear();
    };
    for (size_t begin = 0; begin < text.size();) {
        const size_t end = std::min(text.find_first_of(" \n", begin), text.size());
        const std::string_view word = text.substr(begin, end - begin);
        if (!line.empty() && indent + line.size() + 1 + word.size() > kTextWidth) end_line();
        if (!word.empty()) line += (line.empty() ? "" : " ") + std::string(word);
        if (text.substr(end, 2) == "\n\n") {
            end_line();
            out += "\n";
        }
        begin = end + 1;
    }
    end_line();
    return out;
}

// "  TERM" and the words behind it, on the next line where the term is long.
std::string entry(std::string_view term, std::string_view words) {
    constexpr size_t kColumn = 24;  // where the words begin
    const std::string body = wrapped(words, kColumn);
    if (term.size() + 4 > kColumn || body.empty()) return fmt::format("  {}\n{}", term, body);
    return fmt::format("  {:<{}}{}", term, kColumn - 2, body.substr(kColumn));
}

std::string synopsis_of(const Page& page) {
    return page.synopsis.empty() ? "[OPTIONS]" : std::string(page.synopsis) + " [OPTIONS]";
}

std::vector<ExitWords> all_exits(const Page& page) {
    std::vector<ExitWords> out = page.exits;
    for (const Exit exit : kSameEverywhere) out.push_back({exit, words_of(exit)});
    std::stable_sort(out.begin(), out.end(),
                     [](const ExitWords& a, const ExitWords& b) { return to_int(a.exit) < to_int(b.exit); });
    return out;
}

// Text as roff: backslashes and hyphens are themselves, no line begins a request, all is ASCII.
std::string roff(std::string_view text) {
    std::string out;
    bool line_begins = true;
    for (const char c : text) {
        if (line_begins && (c == '.' || c == '\'')) out += "\\&";
        if (c == '\\')
            out += "\\e";
        else if (c == '-')
            out += "\\-";
        else
            out += c;
        line_begins = c == '\n';
    }
    for (const auto& [word, name] : kRoffNames)
        for (size_t at = out.find(word); at != std::string::npos; at = out.find(word)) out.replace(at, word.size(), name);
    return out;
}

std::string roff_paragraphs(std::string_view text) {
    std::string out;
    for (size_t begin = 0; begin < text.size();) {
        const size_t end = std::min(text.find("\n\n", begin), text.size());
        out += ".PP\n" + roff(text.substr(begin, end - begin)) + "\n";
        begin = end + 2;
    }
    return out;
}

std::string roff_entry(std::string_view term, std::string_view words) {
    return fmt::format(".TP\n.B {}\n{}\n", roff(term), roff(words));
}

std::string roff_head(std::string_view title, std::string_view summary) {
    return fmt::format(".TH \"{}\" \"1\" \"\" \"ntt {}\" \"ntt manual\"\n.SH NAME\n{} \\- {}\n", roff(title), NTT_VERSION,
                       roff(title), roff(summary));
}

std::string words_line(const std::vector<std::string>& words) { return fmt::format("{}", fmt::join(words, " ")); }

}  // namespace

std::unique_ptr<CLI::App> make_parser(Command& command, CommonOptions& common) {
    auto parser = std::make_unique<CLI::App>(std::string(command.page().summary), fmt::format("ntt {}", command.page().name));
    parser->set_help_flag();
    command.declare(*parser);
    const auto text = [&](const char* name, std::optional<std::string>& target, const char* type, const char* words) {
        parser->add_option(name, target, words)->type_name(type)->group(std::string(kCommonGroup));
    };
    const auto flag = [&](const char* name, bool& target, const char* words) {
        parser->add_flag(name, target, words)->group(std::string(kCommonGroup));
    };
    text("--home", common.home, "DIR", "the folder of catalog and store ($NTT_HOME)");
    text("--catalog", common.catalog, "URL", "the catalog: sqlite:FILE or postgresql://USER@HOST/DATABASE ($NTT_DB_URL)");
    text("--store", common.store, "DIR", "the store's folder ($NTT_STORE)");
    text("--config", common.config, "FILE", "the configuration; default $XDG_CONFIG_HOME/ntt/ntt.toml");
    flag("--json", common.json, "JSON Lines on stdout and nothing else");
    text("--log-file", common.log_file, "FILE", "log there, not on stderr");
    text("--log-level", common.log_level, "LEVEL", "trace, debug, info, warn, error or off ($NTT_LOG_LEVEL)");
    flag("--no-progress", common.no_progress, "no progress on the terminal");
    parser->set_version_flag("--version", "ntt " NTT_VERSION, "print the version")->group(std::string(kCommonGroup));
    parser->set_help_flag("-h,--help", "print this page")->group(std::string(kCommonGroup));
    return parser;
}

std::string help_text(Command& command) {
    CommonOptions common;
    const auto parser = make_parser(command, common);
    const Page& page = command.page();
    std::string out = fmt::format("ntt {} - {}\n\nUsage: ntt {} {}\n\n", page.name, page.summary, page.name, synopsis_of(page));
    out += wrapped(page.description, 0);
    const auto section = [&](std::string_view title, Section which) {
        const auto options = options_of(*parser, which);
        if (options.empty()) return;
        out += fmt::format("\n{}:\n", title);
        for (const OptionText& option : options) out += entry(option.names, option.description);
    };
    section("Arguments", Section::arguments);
    section("Options", Section::own);
    section(kCommonGroup, Section::common);
    out += "\nExamples:\n";
    for (const Example& example : page.examples) out += fmt::format("  {}\n{}", example.line, wrapped(example.meaning, 6));
    out += "\nExit codes:\n";
    for (const ExitWords& exit : all_exits(page)) out += entry(std::to_string(to_int(exit.exit)), exit.words);
    return out;
}

std::string overview_text() {
    std::string out =
        "ntt - no two things\n\n" + wrapped(kWhatItIs, 0) + "\nUsage: ntt COMMAND [ARGUMENTS] [OPTIONS]\n\nCommands:\n";
    for (const CommandEntry& command : commands()) out += entry(command.name, command.make()->page().summary);
    out += "\nEnvironment:\n";
    for (const VariableText& variable : kEnvironment) out += entry(variable.name, variable.meaning);
    return out + "\n'ntt COMMAND --help' tells more.\n";
}

std::string man_page(Command& command) {
    CommonOptions common;
    const auto parser = make_parser(command, common);
    const Page& page = command.page();
    std::string out = roff_head(fmt::format("ntt-{}", page.name), page.summary);
    out += fmt::format(".SH SYNOPSIS\n.B ntt {}\n{}\n.SH DESCRIPTION\n", roff(page.name), roff(synopsis_of(page)));
    out += roff_paragraphs(page.description);
    const auto section = [&](std::string_view title, Section which) {
        const auto options = options_of(*parser, which);
        if (options.empty()) return;
        out += fmt::format(".SH {}\n", title);
        for (const OptionText& option : options) out += roff_entry(option.names, option.description);
    };
    section("ARGUMENTS", Section::arguments);
    section("OPTIONS", Section::own);
    section("COMMON OPTIONS", Section::common);
    out += ".SH EXAMPLES\n";
    for (const Example& example : page.examples) out += roff_entry(example.line, example.meaning);
    out += ".SH EXIT STATUS\n";
    for (const ExitWords& exit : all_exits(page)) out += roff_entry(std::to_string(to_int(exit.exit)), exit.words);
    return out + ".SH SEE ALSO\n.BR ntt (1)\n";
}

std::string overview_man_page() {
    std::string out = roff_head("ntt", "no two things: an archive of damaged media");
    out +=
        ".SH SYNOPSIS\n.B ntt\nCOMMAND [ARGUMENTS] [OPTIONS]\n.SH DESCRIPTION\n" + roff_paragraphs(kWhatItIs) + ".SH COMMANDS\n";
    for (const CommandEntry& command : commands()) out += roff_entry(command.name, command.make()->page().summary);
    out += ".SH ENVIRONMENT\n";
    for (const VariableText& variable : kEnvironment) out += roff_entry(variable.name, variable.meaning);
    out += ".SH EXIT STATUS\n";
    for (const Exit exit : {Exit::done, Exit::failed, Exit::usage, Exit::damaged, Exit::work_left, Exit::store_damaged,
                            Exit::busy, Exit::interrupted})
        out += roff_entry(std::to_string(to_int(exit)), words_of(exit));
    out += ".SH SEE ALSO\n";
    for (size_t i = 0; i < commands().size(); ++i)
        out += fmt::format(".BR ntt\\-{} (1){}\n", commands()[i].name, i + 1 < commands().size() ? "," : "");
    return out;
}

std::string bash_completion() {
    std::vector<std::string> verbs;
    std::string cases;
    for (const CommandEntry& item : commands()) {
        const auto command = item.make();
        CommonOptions common;
        const auto parser = make_parser(*command, common);
        std::vector<std::string> words;
        for (const Section section : {Section::own, Section::common})
            for (const OptionText& option : options_of(*parser, section))
                words.insert(words.end(), option.words.begin(), option.words.end());
        verbs.emplace_back(item.name);
        cases += fmt::format("        {}) words='{}' ;;\n", item.name, words_line(words));
    }
    return fmt::format(
        "# bash completion for ntt, made by `ntt help --bash-completion`\n"
        "_ntt() {{\n"
        "    local current=${{COMP_WORDS[COMP_CWORD]}} words=\n"
        "    COMPREPLY=()\n"
        "    if [ \"$COMP_CWORD\" -eq 1 ]; then\n"
        "        COMPREPLY=($(compgen -W '{}' -- \"$current\"))\n"
        "        return\n"
        "    fi\n"
        "    case ${{COMP_WORDS[1]}} in\n"
        "{}"
        "    esac\n"
        "    case $current in\n"
        "        -*) COMPREPLY=($(compgen -W \"$words\" -- \"$current\")) ;;\n"
        "    esac\n"
        "}}\n"
        "complete -o default -F _ntt ntt\n",
        words_line(verbs), cases);
}

}  // namespace ntt::cli

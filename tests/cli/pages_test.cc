// One text, three outputs: help, manual page, completion.
#include "pages.h"

#include <gmock/gmock.h>

#include "world.h"

namespace ntt::test {
namespace {

using ::testing::HasSubstr;

class EveryPage : public ::testing::TestWithParam<cli::CommandEntry> {
protected:
    std::unique_ptr<cli::Command> command() const { return GetParam().make(); }
    Shell shell;
};

TEST_P(EveryPage, stands_under_its_verb_and_has_all_its_parts) {
    const cli::Page& page = command()->page();
    EXPECT_EQ(page.name, GetParam().name);
    EXPECT_FALSE(page.summary.empty());
    EXPECT_NE(page.summary.back(), '.');
    EXPECT_GT(page.description.size(), 40u);
    EXPECT_FALSE(page.examples.empty());
    for (const auto& example : page.examples) EXPECT_THAT(std::string(example.line), HasSubstr("ntt")) << page.name;
    EXPECT_FALSE(page.exits.empty());
}

TEST_P(EveryPage, help_is_for_free_and_lists_the_exit_codes_and_common_options) {
    const Ran ran = shell.run({std::string(GetParam().name), "--help"});
    EXPECT_EQ(ran.exit, 0);
    EXPECT_EQ(ran.err, "");
    for (const char* part : {"Usage: ntt ", "Examples:", "Exit codes:", "\n  0 ", "\n  2 ", "\n  75 ", "\n  130 ", "--home DIR",
                             "--catalog URL", "--store DIR", "--config FILE", "--json", "--log-file FILE", "--log-level LEVEL",
                             "--no-progress", "--version", "--help"})
        EXPECT_THAT(ran.out, HasSubstr(part));
}

TEST_P(EveryPage, help_wins_over_missing_arguments_and_has_no_line_wider_than_a_page) {
    const Ran ran = shell.run({std::string(GetParam().name), "-h"});
    EXPECT_EQ(ran.exit, 0);
    std::istringstream lines(ran.out);
    for (std::string line; std::getline(lines, line);)
        EXPECT_TRUE(display_width(line) <= 80u || line.find("ntt ") != std::string::npos) << line;
}

TEST_P(EveryPage, a_bad_option_is_a_usage_error) {
    const Ran ran = shell.run({std::string(GetParam().name), "--no-such-option"});
    EXPECT_EQ(ran.exit, 2);
    EXPECT_EQ(ran.out, "");
    EXPECT_THAT(ran.err, HasSubstr("--help"));
}

TEST_P(EveryPage, the_manual_page_is_clean_roff_with_every_word_of_the_options) {
    NTT_NEED_TOOL("groff");
    const TempDir dir;
    write_file(dir / "page.1", cli::man_page(*command()));
    const CommandResult result = sh("groff -man -Tascii -P-cbou -ww page.1", dir.path().string());
    EXPECT_EQ(result.exit, 0);
    EXPECT_EQ(result.err, "");
    for (const char* part : {"NAME", "SYNOPSIS", "DESCRIPTION", "EXAMPLES", "EXIT STATUS"})
        EXPECT_THAT(result.out, HasSubstr(part));
    const std::string name = "ntt-" + std::string(GetParam().name);
    EXPECT_THAT(result.out, HasSubstr(name + "(1)"));
}

INSTANTIATE_TEST_SUITE_P(Command, EveryPage, ::testing::ValuesIn(cli::commands()),
                         [](const auto& entry) { return std::string(entry.param.name); });

TEST(Pages, the_overview_names_every_command_in_text_and_manual) {
    Shell shell;
    const Ran text = shell.run({"help"}), manual = shell.run({"help", "--man"});
    EXPECT_EQ(text.exit, 0);
    EXPECT_EQ(manual.exit, 0);
    EXPECT_EQ(shell.run({"--help"}).out, text.out);
    for (const auto& command : cli::commands()) {
        EXPECT_THAT(text.out, HasSubstr("\n  " + std::string(command.name) + " "));
        EXPECT_THAT(manual.out, HasSubstr("\n.B " + std::string(command.name) + "\n"));
    }
}

TEST(Pages, help_of_a_command_is_its_help_option_and_needs_no_home) {
    Shell shell;  // not even HOME
    EXPECT_EQ(shell.run({"help", "verify"}).out, shell.run({"verify", "--help"}).out);
    EXPECT_THAT(shell.run({"help", "--man", "verify"}).out, HasSubstr(".SH EXIT STATUS"));
    EXPECT_EQ(shell.run({"help", "nonsense"}).exit, 2);
}

TEST(Pages, roff_never_starts_a_request_from_text_and_stays_ascii) {
    for (const auto& entry : cli::commands()) {
        const auto command = entry.make();
        for (const char c : cli::man_page(*command)) ASSERT_LT(static_cast<unsigned char>(c), 0x80) << entry.name;
    }
}

TEST(Pages, bash_takes_the_completion_and_offers_verbs_and_options) {
    NTT_NEED_TOOL("bash");
    const TempDir dir;
    Shell shell;
    write_file(dir / "ntt.bash", shell.run({"help", "--bash-completion"}).out);
    must("bash -n ntt.bash", dir.path().string());
    const auto offered = [&](const std::string& words, int at) {
        return must("bash -c 'source ./ntt.bash; COMP_WORDS=(" + words + "); COMP_CWORD=" + std::to_string(at) +
                        "; _ntt; echo ${COMPREPLY[@]}'",
                    dir.path().string());
    };
    EXPECT_EQ(offered("ntt ver", 1), "verify\n");
    EXPECT_EQ(offered("ntt verify --str", 2), "--strict\n");
    EXPECT_EQ(offered("ntt files x --stat", 3), "--status\n");
}

}  // namespace
}  // namespace ntt::test

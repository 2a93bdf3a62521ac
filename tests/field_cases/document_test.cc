// docs/field-cases.md and the tests FieldCase_… speak of the same cases.
#include <filesystem>
#include <regex>
#include <set>
#include <sstream>

#include "support/support.h"

namespace ntt::test {
namespace {
namespace fs = std::filesystem;

// Cases for which there is a test, anywhere below tests/.
std::set<std::string> tested() {
    std::set<std::string> out;
    const std::regex pattern("TEST(?:_P|_F)?\\(FieldCase_([A-Z]\\d+),");
    for (const auto& entry : fs::recursive_directory_iterator(source_dir() / "tests")) {
        if (entry.path().extension() != ".cc") continue;
        const std::string text = read_file(entry.path().string());
        for (std::sregex_iterator it(text.begin(), text.end(), pattern), end; it != end; ++it) out.insert((*it)[1]);
    }
    return out;
}

struct Row {
    std::string id, test;
};

// Rows of the document: "| V9 | case | verdict | what is recovered | tested |".
std::vector<Row> rows() {
    std::vector<Row> out;
    std::istringstream in(read_file((source_dir() / "docs/field-cases.md").string()));
    const std::regex pattern("\\| ([A-Z]\\d+) \\|.*\\| ([^|]*) \\|");
    std::smatch found;
    for (std::string line; std::getline(in, line);)
        if (std::regex_match(line, found, pattern)) out.push_back({found[1], found[2]});
    return out;
}

TEST(FieldCases, each_test_has_its_row_and_each_row_that_says_so_its_test) {
    const std::set<std::string> tests = tested();
    std::set<std::string> listed;
    for (const Row& row : rows()) {
        EXPECT_TRUE(listed.insert(row.id).second) << row.id << " stands twice";
        const std::regex pattern("(?:tested|as ([A-Z]\\d+))");
        std::smatch found;
        if (!std::regex_match(row.test, found, pattern)) {
            EXPECT_FALSE(tests.count(row.id)) << row.id << " has a test, and its row says \"" << row.test << "\"";
            EXPECT_FALSE(row.test.empty()) << row.id << " neither has a test nor says why";
        } else {
            EXPECT_TRUE(tests.count(found[1].matched ? found[1].str() : row.id)) << row.id << " has no test";
        }
    }
    for (const std::string& id : tests) EXPECT_TRUE(listed.count(id)) << id << " has a test and no row";
    for (const auto& [letter, last] : std::vector<std::pair<char, int>>{{'A', 11}, {'I', 14}, {'V', 21}, {'N', 12}, {'X', 7}})
        for (int i = 1; i <= last; ++i) EXPECT_TRUE(listed.count(letter + std::to_string(i))) << letter << i << " has no row";
}

}  // namespace
}  // namespace ntt::test

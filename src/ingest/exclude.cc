#include "ingest/exclude.h"

#include <regex.h>

#include <algorithm>
#include <sstream>

#include <fmt/format.h>

namespace ntt {

struct ExcludePatterns::Pattern {
    regex_t compiled{};
    bool good = false;
    ~Pattern() {
        if (good) regfree(&compiled);
    }
};

Result<ExcludePatterns> ExcludePatterns::parse(const std::string& text) {
    ExcludePatterns out;
    std::istringstream lines(text);
    std::string line;
    for (int number = 1; std::getline(lines, line); ++number) {
        if (!line.empty() && line.back() == '\r') line.pop_back();
        if (line.empty() || line.front() == '#') continue;
        auto pattern = std::make_shared<Pattern>();
        const int status = regcomp(&pattern->compiled, line.c_str(), REG_EXTENDED | REG_NOSUB);
        if (status != 0) {
            char words[128] = {};
            regerror(status, &pattern->compiled, words, sizeof words);
            return make_error(ErrorCode::invalid_argument, fmt::format("exclude pattern in line {} is not a regular expression: {}", number, words));
        }
        pattern->good = true;
        out.patterns_.push_back(std::move(pattern));
    }
    return out;
}

bool ExcludePatterns::matches(const std::string& path) const {
    return std::any_of(patterns_.begin(), patterns_.end(), [&](const auto& p) { return regexec(&p->compiled, path.c_str(), 0, nullptr, 0) == 0; });
}

}  // namespace ntt

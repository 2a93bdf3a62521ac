// Findings and counts of one listing, with a limit on each code.
#pragma once

#include <cstdint>
#include <map>
#include <nlohmann/json.hpp>
#include <optional>
#include <string>

#include "base/finding.h"

namespace ntt {

inline constexpr uint64_t kMaxFindingsOfOneCode = 1000;  // of one volume; detail() counts the rest
inline constexpr size_t kMaxPathBytes = 64 * 1024;       // deeper folders are not entered

class ListingReport {
public:
    explicit ListingReport(int volume) : volume_(volume) {}

    void add(std::string code, std::string message, const nlohmann::json& evidence, std::optional<int64_t> ino,
             FindingSink& sink) {
        if (++findings_[code] > kMaxFindingsOfOneCode) return count("findings_left_out");
        sink.add({std::move(code), std::move(message), evidence.dump(-1, ' ', false, nlohmann::json::error_handler_t::replace),
                  volume_, ino});
    }
    void count(const std::string& what, uint64_t number = 1) { counts_[what] += number; }
    void add_counts_to(nlohmann::json& detail) const {
        for (const auto& [what, number] : counts_) detail[what] = number;
    }

private:
    int volume_;
    std::map<std::string, uint64_t> findings_, counts_;
};

}  // namespace ntt

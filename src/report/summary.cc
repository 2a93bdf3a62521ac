#include "report/summary.h"

#include <fmt/format.h>

#include "base/bytes.h"
#include "report/table.h"

namespace ntt {

Json json_of(const IngestSummary& s) {
    return {{"type", "summary"},
            {"source", to_display_utf8(s.source)},
            {"medium_hash", s.medium_hash},
            {"totals", json_of(s.totals)},
            {"bytes", {{"content", s.content_bytes}, {"missing", s.missing_bytes}, {"unique_new", s.unique_new_bytes}}},
            {"blobs", {{"new", s.blobs_new}, {"deduplicated", s.blobs_deduplicated}}},
            {"volumes", s.volumes},
            {"health", s.health},
            {"exit", to_int(s.exit)}};
}

Json result_json(Exit exit, uint64_t sources) { return {{"type", "result"}, {"exit", to_int(exit)}, {"sources", sources}}; }

std::string closing_table(const IngestSummary& s) {
    std::string out = fmt::format("{}\n  medium {}  health {}  {} volume{}\n", to_terminal_text(s.source), s.medium_hash,
                                  s.health, s.volumes, s.volumes == 1 ? "" : "s");
    const auto line = [&](std::string_view word, uint64_t count, const std::string& remark) {
        if (count != 0) out += fmt::format("  {:<11}{:>14}{}{}\n", word, with_commas(count), remark.empty() ? "" : "  ", remark);
    };
    const Totals& t = s.totals;
    line("stored", t.stored,
         fmt::format("{} new contents ({}), {} known", with_commas(s.blobs_new), human_size(s.unique_new_bytes),
                     with_commas(s.blobs_deduplicated)));
    line("damaged", t.damaged, fmt::format("{} missing in all", human_size(s.missing_bytes)));
    line("unreadable", t.unreadable, "");
    line("excluded", t.excluded, "");
    line("not files", t.nonfile, "");
    line("pending", t.pending, "");
    line("inodes", t.inodes, fmt::format("{} names, {} of content", with_commas(t.paths), human_size(s.content_bytes)));
    return out;
}

}  // namespace ntt

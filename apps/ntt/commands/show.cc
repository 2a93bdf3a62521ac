// ntt show: one medium in full.
#include <fmt/format.h>

#include "base/bytes.h"
#include "command.h"
#include "target.h"
#include "volume/detail.h"

namespace ntt::cli {
namespace {

const Page kPage = {
    "show",
    "show one medium: volumes, totals, problems, findings",
    "MEDIUM",
    "Shows what is known of a medium: where its image and rescue map are, its health, the volumes that were found with their "
    "outcome, "
    "how many inodes came to which end, the problems of the whole medium and the findings, which are facts about damage.",
    {{"ntt show f95834a4", "the medium whose hash begins so"}, {"ntt show 'Backup 1998' --json | jq .totals", "the counts only"}},
    {{Exit::done, "shown"}, {Exit::failed, "there is no such medium, or several fit"}},
};

constexpr size_t kShownFindings = 50;

class ShowCommand final : public Command {
public:
    const Page& page() const override { return kPage; }
    void declare(CLI::App& app) override { declare_medium(app, medium_); }

    Result<Exit> run(Session& session) override {
        TRY_ASSIGN(const auto catalog, session.open_catalog());
        TRY_ASSIGN(const MediumRow medium, catalog->resolve_medium(medium_));
        TRY_ASSIGN(const auto volumes, catalog->volumes(medium.medium_hash));
        TRY_ASSIGN(const auto findings, catalog->findings(medium.medium_hash));
        TRY_ASSIGN(const MediumKey key, catalog->medium_key(medium.medium_hash));
        TRY_ASSIGN(const Totals totals, catalog->totals(key));
        TRY(session.json() ? session.out().json(as_json(medium, volumes, totals, findings))
                           : session.out().text(as_text(medium, volumes, totals, findings)));
        return Exit::done;
    }

private:
    static Json as_json(const MediumRow& medium, const std::vector<VolumeRow>& volumes, const Totals& totals,
                        const std::vector<FindingRow>& findings) {
        Json out = json_of(medium);
        out["volumes"] = Json::array();
        for (const VolumeRow& volume : volumes) out["volumes"].push_back(json_of(volume));
        out["totals"] = json_of(totals);
        out["bytes"] = {{"content", totals.content_bytes}, {"missing", totals.missing_bytes}};
        out["findings"] = Json::array();
        for (const FindingRow& finding : findings) out["findings"].push_back(json_of(finding));
        return out;
    }

    static std::string as_text(const MediumRow& medium, const std::vector<VolumeRow>& volumes, const Totals& totals,
                               const std::vector<FindingRow>& findings) {
        std::string out;
        const auto line = [&](std::string_view word, const std::string& value) {
            if (!value.empty()) out += fmt::format("{:<11}{}\n", word, to_terminal_text(value));
        };
        line("medium", medium.medium_hash);
        line("label", medium.medium_human);
        line(medium.kind, medium.image_path);
        line("map", medium.map_path.value_or(""));
        line("size", fmt::format("{} ({} bytes)", human_size(medium.size_bytes), with_commas(medium.size_bytes)));
        line("health", medium.rescued_bytes
                           ? fmt::format("{} ({} bytes rescued)", medium.health, with_commas(*medium.rescued_bytes))
                           : medium.health);
        line("message", medium.message.value_or(""));
        line("added", medium.added_at);
        line("enumerated", medium.enum_done.value_or("no"));
        line("copied", medium.copy_done.value_or("no"));
        out += "\n" + volume_table(volumes) + "\n" + totals_table(totals);
        if (medium.problems && embedded(medium.problems) != Json::object())
            out += "\nproblems\n" + to_pretty(embedded(medium.problems)) + "\n";
        if (!findings.empty()) out += "\n" + finding_table(findings);
        return out;
    }

    // Volumes of a disc's later sessions have the same views as the first.
    static std::string shown_view(const VolumeRow& volume) {
        const auto session = number_in(parse_detail(volume.detail), "session");
        return session ? fmt::format("{} (session {})", volume.view, *session) : volume.view;
    }

    static std::string volume_table(const std::vector<VolumeRow>& volumes) {
        Table table({{"VOLUME", Table::Align::right},
                     {"OFFSET", Table::Align::right},
                     {"SIZE", Table::Align::right},
                     {"VIEW"},
                     {"ROLE"},
                     {"OUTCOME"},
                     {"LABEL"}});
        for (const VolumeRow& v : volumes)
            table.add({std::to_string(v.volume), with_commas(v.offset_bytes), human_size(v.size_bytes), shown_view(v), v.role, v.outcome,
                       v.label});
        return table.text();
    }

    static std::string totals_table(const Totals& t) {
        Table table({{"STATUS"}, {"INODES", Table::Align::right}});
        table.add({"stored", with_commas(t.stored)});
        table.add({"damaged", with_commas(t.damaged)});
        table.add({"unreadable", with_commas(t.unreadable)});
        table.add({"excluded", with_commas(t.excluded)});
        table.add({"nonfile", with_commas(t.nonfile)});
        table.add({"pending", with_commas(t.pending)});
        table.add({"all", with_commas(t.inodes)});
        return table.text() + fmt::format("{} names, {} of content, {} missing\n", with_commas(t.paths),
                                          human_size(t.content_bytes), human_size(t.missing_bytes));
    }

    static std::string finding_table(const std::vector<FindingRow>& findings) {
        Table table({{"FINDING"}, {"VOLUME", Table::Align::right}, {"INODE", Table::Align::right}, {"WHAT"}});
        for (const FindingRow& row : findings) {
            if (&row - findings.data() == static_cast<std::ptrdiff_t>(kShownFindings)) break;
            table.add({row.finding.code, std::to_string(row.finding.volume),
                       row.finding.ino ? std::to_string(*row.finding.ino) : "-", row.finding.message});
        }
        const size_t hidden = findings.size() > kShownFindings ? findings.size() - kShownFindings : 0;
        return table.text() + (hidden == 0 ? "" : fmt::format("and {} more: --json shows all\n", with_commas(hidden)));
    }

    std::string medium_;
};

}  // namespace

std::unique_ptr<Command> make_show_command() { return std::make_unique<ShowCommand>(); }

}  // namespace ntt::cli

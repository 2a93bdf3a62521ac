// ntt why: the evidence for what became of one file.
#include <fmt/format.h>

#include "base/bytes.h"
#include "command.h"
#include "report/hints.h"
#include "target.h"

namespace ntt::cli {
namespace {

const Page kPage = {
    "why",
    "say why a file is damaged, unreadable, excluded or pending",
    "MEDIUM PATH|INO",
    "Shows what became of a file and the evidence for it: the cause in words, each missing range with its place in the file and "
    "in the "
    "image, the sectors (of 512 bytes) and the image's limit, the lines of the rescue map, the diagnostic events, and what to do "
    "next. "
    "With it the verdict can be checked by hand.\n\n"
    "The second argument is a path, or the number of an inode if no path is called so. A name that stands twice on the medium is "
    "shown twice.",
    {{"ntt why f95834a4 AliciaMainList.xls", "by path"}, {"ntt why f95834a4 3455 --volume 1", "by inode"}},
    {{Exit::done, "shown"}, {Exit::failed, "there is no such medium or file"}},
};

// All that is shown of one inode.
struct Case {
    FileRow file;
    std::vector<MissingRow> missing;
    std::vector<EventRow> events;
    std::optional<ImageRow> image;
};

class WhyCommand final : public Command {
public:
    const Page& page() const override { return kPage; }
    void declare(CLI::App& app) override {
        declare_medium(app, medium_);
        app.add_option("FILE", file_, "a path of the medium, or an inode number")->required();
        declare_volume(app, volume_);
    }

    Result<Exit> run(Session& session) override {
        TRY_ASSIGN(const auto catalog, session.open_catalog());
        TRY_ASSIGN(const MediumView medium, MediumView::resolve(*catalog, medium_));
        TRY_ASSIGN(const auto files, medium.files_named(*catalog, file_, volume_));
        for (const FileRow& file : one_row_per_inode(files)) {
            TRY_ASSIGN(const Case c, collect(*catalog, medium, file));
            TRY(session.json() ? session.out().json(as_json(c)) : session.out().text(as_text(medium, c)));
        }
        return Exit::done;
    }

private:
    static Result<Case> collect(Catalog& catalog, const MediumView& medium, const FileRow& file) {
        Case out;
        out.file = file;
        TRY_ASSIGN(out.missing, catalog.missing_ranges(medium.hash(), file.inode.volume, file.inode.ino));
        const EventFilter filter{medium.hash(), file.inode.volume, file.inode.ino};
        const auto visit = [&](const EventRow& event) -> Result<void> {
            out.events.push_back(event);
            return {};
        };
        TRY(catalog.events(filter, visit));
        TRY_ASSIGN(const auto images, catalog.images(medium.hash()));
        for (const ImageRow& image : images)
            if (image.image_id == file.inode.image_id) out.image = image;
        return out;
    }

    static Json as_json(const Case& c) {
        const InodeRow& inode = c.file.inode;
        Json out = json_of(c.file);
        out["type"] = "why";
        out["claimed_by"] = text_or_null(inode.claimed_by);
        out["evidence"] = embedded(inode.evidence);
        out["missing"] = Json::array();
        for (const MissingRow& range : c.missing)
            out["missing"].push_back({{"offset", range.file_offset},
                                      {"length", range.length},
                                      {"cause", to_string(range.cause)},
                                      {"image_offset", range.image_offset ? Json(*range.image_offset) : Json(nullptr)},
                                      {"sector", range.image_offset ? Json(*range.image_offset / kSectorBytes) : Json(nullptr)}});
        out["errors"] = Json::array();
        for (const std::string& error : inode.errors) out["errors"].push_back(to_display_utf8(error));
        out["events"] = Json::array();
        for (const EventRow& event : c.events) out["events"].push_back(json_of(event));
        return out;
    }

    static std::string as_text(const MediumView& medium, const Case& c) {
        const InodeRow& inode = c.file.inode;
        std::string out = to_terminal_text(medium.shown_path(c.file)) + "\n";
        const auto line = [&](std::string_view word, const std::string& value) {
            if (!value.empty()) out += fmt::format("  {:<10}{}\n", word, to_terminal_text(value));
        };
        line("medium", fmt::format("{}  {}", medium.hash(), medium.row().medium_human));
        line("inode", fmt::format("{} of volume {}, {} bytes", inode.ino, inode.volume, with_commas(inode.size)));
        line("status",
             fmt::format("{}{}{}", to_string(inode.counted_as()), inode.claimed_by ? "  " : "", inode.claimed_by.value_or("")));
        if (inode.cause) line("cause", fmt::format("{}: {}", to_string(*inode.cause), explain(*inode.cause)));
        line("content", inode.blobid ? inode.blobid->hex() : "");
        line("salvaged", inode.partial_blobid ? inode.partial_blobid->hex() : "");
        if (c.image)
            line("image", fmt::format("{}, limit {} sectors", c.image->path, with_commas(c.image->size_bytes / kSectorBytes)));
        line("map", c.image && c.image->map_path ? *c.image->map_path : medium.row().map_path.value_or(""));
        if (!c.missing.empty()) out += missing_text(c);
        for (const std::string& error : inode.errors) line("error", error);
        for (const EventRow& event : c.events)
            line("event",
                 fmt::format("{} {} retry={} checks={}", event.timestamp, event.action, event.retry_count, event.checks));
        const std::string image_path = c.image ? c.image->path : medium.row().image_path;
        const auto map_path = c.image && c.image->map_path ? c.image->map_path : medium.row().map_path;
        if (inode.counted_as() != Status::stored && inode.counted_as() != Status::nonfile)
            line("next", next_step(inode, c.missing, {medium.hash(), image_path, map_path}));
        if (inode.evidence) out += "  evidence\n" + to_pretty(embedded(inode.evidence)) + "\n";
        return out;
    }

    static std::string missing_text(const Case& c) {
        std::string out = fmt::format("  {:<10}{} bytes in {} range{}\n", "missing", with_commas(c.file.inode.missing_bytes),
                                      c.missing.size(), c.missing.size() == 1 ? "" : "s");
        Table table({{"FILE OFFSET", Table::Align::right},
                     {"LENGTH", Table::Align::right},
                     {"IMAGE OFFSET", Table::Align::right},
                     {"SECTOR", Table::Align::right},
                     {"CAUSE"}});
        for (const MissingRow& range : c.missing)
            table.add({std::to_string(range.file_offset), std::to_string(range.length),
                       range.image_offset ? std::to_string(*range.image_offset) : "-",
                       range.image_offset ? std::to_string(*range.image_offset / kSectorBytes) : "-",
                       std::string(to_string(range.cause))});
        out += table.text() + map_lines_text(c);
        return out;
    }

    // The lines of the rescue map that the evidence names, each once.
    static std::string map_lines_text(const Case& c) {
        const Json evidence = embedded(c.file.inode.evidence);
        if (!evidence.is_object() || !evidence.contains("missing_ranges") || !evidence["missing_ranges"].is_array()) return {};
        std::string out, last;
        for (const Json& range : evidence["missing_ranges"]) {
            if (!range.is_object() || !range.value("map", Json()).is_string() || !range.value("map_line", Json()).is_number())
                continue;
            std::string line = fmt::format("  map line {}: {}\n", range["map_line"].get<int64_t>(),
                                           to_terminal_text(range["map"].get<std::string>()));
            if (line != last) out += line;
            last = std::move(line);
        }
        return out;
    }

    std::string medium_, file_;
    std::optional<int> volume_;
};

}  // namespace

std::unique_ptr<Command> make_why_command() { return std::make_unique<WhyCommand>(); }

}  // namespace ntt::cli

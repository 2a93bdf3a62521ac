#include <algorithm>

#include "command.h"

namespace ntt::cli {

std::unique_ptr<Command> make_ingest_command();
std::unique_ptr<Command> make_copy_command();
std::unique_ptr<Command> make_enum_command();
std::unique_ptr<Command> make_load_command();
std::unique_ptr<Command> make_work_command();
std::unique_ptr<Command> make_workers_command();
std::unique_ptr<Command> make_media_command();
std::unique_ptr<Command> make_show_command();
std::unique_ptr<Command> make_files_command();
std::unique_ptr<Command> make_why_command();
std::unique_ptr<Command> make_find_command();
std::unique_ptr<Command> make_cat_command();
std::unique_ptr<Command> make_export_command();
std::unique_ptr<Command> make_verify_command();
std::unique_ptr<Command> make_requeue_command();
std::unique_ptr<Command> make_events_command();
std::unique_ptr<Command> make_migrate_command();
std::unique_ptr<Command> make_doctor_command();
std::unique_ptr<Command> make_help_command();

const std::vector<CommandEntry>& commands() {
    static const std::vector<CommandEntry> kCommands = {
        // from media into the store
        {"ingest", make_ingest_command},
        {"copy", make_copy_command},
        {"enum", make_enum_command},
        {"load", make_load_command},
        {"work", make_work_command},
        {"workers", make_workers_command},
        // what is known
        {"media", make_media_command},
        {"show", make_show_command},
        {"files", make_files_command},
        {"why", make_why_command},
        {"find", make_find_command},
        {"events", make_events_command},
        // contents
        {"cat", make_cat_command},
        {"export", make_export_command},
        // upkeep
        {"verify", make_verify_command},
        {"requeue", make_requeue_command},
        {"migrate", make_migrate_command},
        {"doctor", make_doctor_command},
        {"help", make_help_command},
    };
    return kCommands;
}

std::unique_ptr<Command> make_command(std::string_view name) {
    const auto entry = std::find_if(commands().begin(), commands().end(), [&](const CommandEntry& e) { return e.name == name; });
    return entry == commands().end() ? nullptr : entry->make();
}

}  // namespace ntt::cli

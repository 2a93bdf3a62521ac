// What is configured: command line over environment over configuration file over defaults.
#pragma once

#include <functional>
#include <optional>
#include <string>
#include <utility>
#include <vector>

#include "base/result.h"
#include "os/env.h"

namespace ntt::cli {

// Options that every command takes, as they stood on the command line.
struct CommonOptions {
    std::optional<std::string> home, catalog, store, config, log_file, log_level;
    bool json = false;
    bool no_progress = false;
};

// The configuration file's keys have the members' names; store and paths are tables.
struct Settings {
    // Empty where neither they nor HOME are given.
    std::string home;         // paths.home; default $XDG_DATA_HOME/ntt, else ~/.local/share/ntt
    std::string catalog_url;  // paths.catalog; default sqlite:HOME/catalog.db
    std::string store_dir;    // paths.store; default HOME

    std::string fat_codepage = "cp850";
    std::string fat_timezone = "UTC";  // an IANA name
    int checkpoint_retry = 10;         // diagnostic_checkpoint after so many failures of one inode
    int max_retries = 50;              // failures of one inode that end the attempts at it
    int remounts_per_medium = 3;       // in one run
    int retry_wait_ms = 10;            // before the second attempt; doubled each time
    int retry_wait_max_ms = 5000;
    int startup_error_limit = 5;  // recorded failures that end the attempts at an inode
    int store_fanout_levels = 1;  // store.fanout_levels, of a store that is made now: 1 or 2
    int suspect_run_bytes = 4096;  // runs of one pattern in a content from this length on are suspect; 0: none
    int jobs = 0;                 // threads; 0: one for each core

    // Of a catalog that several hosts share.
    std::string engine = "auto";       // auto, image or mount: how this host reaches files where --engine does not say
    int lease_seconds = 60;            // a worker without a sign of life for so long has lost its range
    int heartbeat_seconds = 10;        // between two signs
    int stall_seconds = 300;           // one that reads nothing new for so long, though it lives, as well
    int lease_files = 10'000;          // in a range, at most
    int catalog_wait_seconds = 300;    // a worker waits so long for a catalog that is gone
    std::vector<std::pair<std::string, std::string>> image_paths;  // folder in the catalog -> folder on this host

    // How images are parsed.
    std::string reader_isolation = "process";  // reader.isolation: process, or none
    std::string reader_program;                // $NTT_READER, reader.program; empty: looked for
    int reader_memory_mib = 1024;              // reader.memory_mib, of each process
    int reader_cpu_seconds = 3600;             // reader.cpu_seconds, of each process
    int reader_patience_seconds = 60;          // reader.patience_seconds, without anything new

    std::optional<std::string> log_file;
    std::string log_level = "info";  // trace debug info warn error off
    bool json = false;
    bool progress = true;
};

using Variable = std::function<std::optional<std::string>(const std::string& name)>;

// Errors: malformed for a configuration file that is not TOML, has an unknown key or a value out of its range (with the
// line), not_found when --config names no file, invalid_argument for a log level that is none. The default file,
// $XDG_CONFIG_HOME/ntt/ntt.toml (else ~/.config/ntt/ntt.toml), need not exist.
Result<Settings> load_settings(Env& env, const CommonOptions& options, const Variable& variable);

}  // namespace ntt::cli

// What a command works with: its settings, the world, and the catalog and store they name.
#pragma once

#include <memory>
#include <string>

#include <spdlog/logger.h>

#include "catalog/catalog.h"
#include "cli.h"
#include "image/reader_process.h"
#include "report/output.h"
#include "report/table.h"
#include "settings.h"
#include "store/store.h"

namespace ntt::cli {

enum class IfAbsent { fail, create };

class Session {
public:
    // Errors: what opening the log file says.
    static Result<Session> open(Io& io, Settings settings);

    Io& io() const { return *io_; }
    const Settings& settings() const { return settings_; }
    Output& out() { return out_; }
    spdlog::logger& log() { return *log_; }
    bool json() const { return settings_.json; }
    Colour out_colour() const { return colour(io_->out_is_terminal); }
    // Threads for work that takes all cores: the configured number, else one for each core.
    unsigned jobs() const;
    // stderr where progress may be drawn, else nullptr.
    std::FILE* progress_terminal() const { return io_->err_is_terminal && settings_.progress ? io_->err : nullptr; }

    // not_found, with nothing created, when there is none and `if_absent` is fail.
    Result<std::unique_ptr<Catalog>> open_catalog(IfAbsent if_absent = IfAbsent::fail);
    Result<std::unique_ptr<Store>> open_store(IfAbsent if_absent = IfAbsent::fail);

    // How images are parsed, for ReaderOptions; null: in this process. not_found when there is no ntt-reader.
    Result<std::shared_ptr<const ReaderProgram>> reader_program() const;

    // A line for people on stderr: "ntt: TEXT". Never on stdout, so that --json stays pure.
    void say(std::string_view text);

private:
    Session(Io& io, Settings settings, std::shared_ptr<spdlog::logger> log)
        : io_(&io), settings_(std::move(settings)), out_(io.out), log_(std::move(log)) {}
    Colour colour(bool is_terminal) const;

    Io* io_;
    Settings settings_;
    Output out_;
    std::shared_ptr<spdlog::logger> log_;
};

}  // namespace ntt::cli

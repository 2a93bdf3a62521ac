#include "session.h"

#include "programs.h"

#include <mutex>
#include <thread>

#include <fmt/format.h>
#include <spdlog/sinks/base_sink.h>
#include <spdlog/sinks/basic_file_sink.h>

#include "report/progress.h"

namespace ntt::cli {
namespace {

// Lines on stderr. On a terminal each first takes away the line of progress, which is drawn anew below it.
class StderrSink final : public spdlog::sinks::base_sink<std::mutex> {
public:
    StderrSink(std::FILE* file, bool is_terminal) : file_(file), before_(is_terminal ? kEraseLine : "") {}

private:
    void sink_it_(const spdlog::details::log_msg& message) override {
        spdlog::memory_buf_t text;
        formatter_->format(message, text);
        const std::string line = before_ + std::string(text.data(), text.size());
        std::fwrite(line.data(), 1, line.size(), file_);
    }
    void flush_() override { std::fflush(file_); }

    std::FILE* file_;
    std::string before_;
};

Result<spdlog::sink_ptr> make_sink(const Io& io, const std::optional<std::string>& log_file) {
    if (!log_file) {
        auto sink = std::make_shared<StderrSink>(io.err, io.err_is_terminal);
        sink->set_pattern("%v");  // the reader is there: no time, no level
        return spdlog::sink_ptr(std::move(sink));
    }
    try {
        auto sink = std::make_shared<spdlog::sinks::basic_file_sink_mt>(*log_file);
        sink->set_pattern("%Y-%m-%dT%H:%M:%S.%f%z %l %v");
        return spdlog::sink_ptr(std::move(sink));
    } catch (const spdlog::spdlog_ex& error) {
        return make_error(ErrorCode::io, fmt::format("the log file {} cannot be opened: {}", *log_file, error.what()));
    }
}

// The file of "sqlite:FILE"; nullopt for other kinds of catalog.
std::optional<std::string> file_of(const std::string& url) {
    constexpr std::string_view kPrefix = "sqlite:";
    if (url.compare(0, kPrefix.size(), kPrefix) != 0) return std::nullopt;
    return url.substr(kPrefix.size());
}

// Fails with `message` when there is no such file.
Result<void> must_exist(Env& env, const std::string& path, const std::string& message) {
    const auto info = env.stat_path(path);
    if (info.ok()) return {};
    if (info.error().code != ErrorCode::not_found) return info.error();
    return make_error(ErrorCode::not_found, message, "ntt ingest makes it; --home, --catalog and --store say where to look");
}

Error no_home() {
    return make_error(ErrorCode::invalid_argument, "there is no home folder for ntt", "name one with --home or NTT_HOME");
}

}  // namespace

Result<Session> Session::open(Io& io, Settings settings) {
    TRY_ASSIGN(auto sink, make_sink(io, settings.log_file));
    auto log = std::make_shared<spdlog::logger>("ntt", std::move(sink));
    log->set_level(spdlog::level::from_str(settings.log_level));
    log->flush_on(spdlog::level::info);
    return Session(io, std::move(settings), std::move(log));
}

Colour Session::colour(bool is_terminal) const {
    const auto no_color = io_->variable("NO_COLOR");
    return is_terminal && (!no_color || no_color->empty()) && io_->variable("TERM") != "dumb" ? Colour::on : Colour::off;
}

unsigned Session::jobs() const {
    if (settings_.jobs > 0) return static_cast<unsigned>(settings_.jobs);
    return std::max(1u, std::thread::hardware_concurrency());
}

Result<std::unique_ptr<Catalog>> Session::open_catalog(IfAbsent if_absent) {
    if (settings_.catalog_url.empty()) return no_home();
    if (const auto file = file_of(settings_.catalog_url)) {
        if (if_absent == IfAbsent::fail) {
            TRY(must_exist(io_->env, *file, "there is no catalog " + *file));
        } else if (const size_t slash = file->rfind('/'); slash != std::string::npos && slash != 0) {
            TRY(io_->env.make_dirs(file->substr(0, slash), 0755));
        }
    }
    return ntt::open_catalog(io_->env, io_->clock, settings_.catalog_url);
}

Result<std::unique_ptr<Store>> Session::open_store(IfAbsent if_absent) {
    if (settings_.store_dir.empty()) return no_home();
    if (if_absent == IfAbsent::fail) {
        TRY(must_exist(io_->env, settings_.store_dir + "/ntt-store.toml", "there is no store in " + settings_.store_dir));
    } else {
        TRY(io_->env.make_dirs(settings_.store_dir, 0755));
    }
    StoreOptions options;
    options.fanout_levels = settings_.store_fanout_levels;
    return Store::open(io_->env, settings_.store_dir, options);
}

Result<std::shared_ptr<const ReaderProgram>> Session::reader_program() const {
    if (settings_.reader_isolation == "none") return std::shared_ptr<const ReaderProgram>();
    auto program = std::make_shared<ReaderProgram>();
    if (settings_.reader_program.empty()) {
        TRY_ASSIGN(program->path, find_program(*io_, "ntt-reader"));
    } else {
        program->path = settings_.reader_program;
    }
    program->limits.memory_bytes = static_cast<uint64_t>(settings_.reader_memory_mib) << 20;
    program->limits.cpu_seconds = static_cast<uint64_t>(settings_.reader_cpu_seconds);
    program->patience = std::chrono::seconds(settings_.reader_patience_seconds);
    return std::shared_ptr<const ReaderProgram>(std::move(program));
}

void Session::say(std::string_view text) {
    const std::string line = fmt::format("{}ntt: {}\n", progress_terminal() != nullptr ? kEraseLine : "", text);
    std::fwrite(line.data(), 1, line.size(), io_->err);
}

}  // namespace ntt::cli

// ntt: argv, signals and the real terminal; everything else is in cli.cc.
#include <unistd.h>

#include <csignal>
#include <cstdlib>
#include <exception>
#include <string_view>

#include "cli.h"

namespace {

ntt::CancelToken cancel;

// The first signal asks for an orderly end, the second one does not wait for it.
void on_signal(int number) {
    cancel.cancel();
    std::signal(number, SIG_DFL);
}

void catch_signals() {
    struct sigaction action {};
    action.sa_handler = on_signal;
    sigaction(SIGINT, &action, nullptr);
    sigaction(SIGTERM, &action, nullptr);
    std::signal(SIGPIPE, SIG_IGN);  // a reader that goes away is an error of write(), see Output
}

std::optional<std::string> variable(const std::string& name) {
    const char* value = std::getenv(name.c_str());
    return value == nullptr ? std::nullopt : std::optional<std::string>(value);
}

}  // namespace

int main(int argc, char** argv) {
    catch_signals();
    std::vector<std::string> args(argv + (argc > 0 ? 1 : 0), argv + argc);
    const std::string_view program = argc > 0 ? argv[0] : "ntt";
    if (program.substr(program.rfind('/') + 1) == "ntt-copier") args.insert(args.begin(), "copy");  // its second name
    ntt::cli::Io io{.out = stdout,
                    .err = stderr,
                    .out_is_terminal = isatty(STDOUT_FILENO) == 1,
                    .err_is_terminal = isatty(STDERR_FILENO) == 1,
                    .variable = variable,
                    .cancel = cancel,
                    .env = ntt::Env::host(),
                    .clock = ntt::Clock::system()};
    try {
        return ntt::cli::run(args, io);
    } catch (const std::exception& error) {  // memory, or a library's own
        std::fprintf(stderr, "ntt: internal error: %s\n", error.what());
        return 1;
    }
}

#include "programs.h"

#include <unistd.h>

#include <filesystem>
#include <sstream>
#include <vector>

#include <fmt/format.h>

namespace ntt::cli {

Result<std::string> find_program(const Io& io, const std::string& name) {
    std::vector<std::string> folders;
    std::error_code unknown;
    if (const auto self = std::filesystem::read_symlink("/proc/self/exe", unknown); !unknown) {
        const auto beside = self.parent_path();
        folders.push_back(beside.string());
        folders.push_back((beside.parent_path() / "libexec" / "ntt").string());
    }
    folders.emplace_back(NTT_LIBEXEC);
    std::istringstream path(io.variable("PATH").value_or(""));
    for (std::string folder; std::getline(path, folder, ':');)
        if (!folder.empty() && folder.front() == '/') folders.push_back(folder);
    for (const std::string& folder : folders) {
        const std::string program = folder + "/" + name;
        if (::access(program.c_str(), X_OK) == 0) return program;
    }
    return make_error(ErrorCode::not_found, fmt::format("{} is not installed: it is neither beside ntt, nor in {}, nor in PATH", name, NTT_LIBEXEC),
                      "install ntt as a whole");
}

}  // namespace ntt::cli

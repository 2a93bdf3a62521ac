#include "fs/fat/boot_proof.h"

#include <nlohmann/json.hpp>

namespace ntt {

bool BootProof::bears_out() const {
    const bool in_place = directories_in_place_ > directories_elsewhere_;
    const bool chains_fit = chains_that_fit_ >= chains_that_do_not_;
    return in_place && chains_fit && (directories_in_place_ >= 2 || chains_that_fit_ > 0);
}

std::string BootProof::evidence() const {
    return nlohmann::json{{"directories_in_place", directories_in_place_},
                          {"directories_elsewhere", directories_elsewhere_},
                          {"chains_that_fit", chains_that_fit_},
                          {"chains_that_do_not", chains_that_do_not_}}
        .dump();
}

}  // namespace ntt

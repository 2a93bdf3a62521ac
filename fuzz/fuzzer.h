// The functions that libFuzzer calls or offers, and where the seeds are.
#pragma once

#include <cstddef>
#include <cstdint>
#include <cstdlib>
#include <string>

extern "C" {
int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size);
int LLVMFuzzerInitialize(int* argc, char*** argv);
size_t LLVMFuzzerCustomMutator(uint8_t* data, size_t size, size_t max_size, unsigned int seed);
size_t LLVMFuzzerMutate(uint8_t* data, size_t size, size_t max_size);
const char* __asan_default_options();
}

namespace ntt::fuzz {

// $NTT_FUZZ_SEEDS, else where the build has made them.
inline std::string seed_folder() {
    const char* chosen = std::getenv("NTT_FUZZ_SEEDS");
    return chosen != nullptr ? chosen : NTT_FUZZ_SEEDS;
}

}  // namespace ntt::fuzz

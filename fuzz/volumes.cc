// Partition tables and the detection of volumes, over all the seeds.
#include <cstdlib>
#include <nlohmann/json.hpp>
#include <vector>

#include "fuzzer.h"
#include "patched_image.h"
#include "promises.h"
#include "volume/volume.h"

namespace ntt::fuzz {
namespace {

std::vector<Seed>& seeds() {
    static std::vector<Seed> all = load_seeds(seed_folder(), "");
    return all;
}

void run(ByteView input) {
    Seed& seed = seeds()[read_request(input).seed % seeds().size()];
    const PatchedImage source(seed, input);
    CheckingSink findings(source.size_bytes());
    auto detection = detect_volumes(source, findings);
    if (!detection.ok()) return check_error(detection.error());
    check_detection(*detection);
    const auto searched = find_lost_filesystems(source, *detection, findings);
    if (!searched.ok()) return check_error(searched.error());
    check_detection(*detection);
}

}  // namespace
}  // namespace ntt::fuzz

extern "C" {

int LLVMFuzzerInitialize(int*, char***) {
    ntt::fuzz::seeds();
    return 0;
}

int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
    ntt::fuzz::run({data, size});
    return 0;
}

size_t LLVMFuzzerCustomMutator(uint8_t* data, size_t size, size_t max_size, unsigned int seed) {
    return ntt::fuzz::mutate_patches(data, size, max_size, seed, &LLVMFuzzerMutate);
}

// libtsk loses memory on its ways out of damaged structures, and asks for gigabytes; it can be told that there are none.
// A `new` of ours of such a size ends the program all the same.
const char* __asan_default_options() { return "detect_leaks=0:allocator_may_return_null=1:max_allocation_size_mb=512"; }
}

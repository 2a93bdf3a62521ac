#include "volume/recognise.h"

#include "image/byte_source.h"
#include "volume/volume.h"

namespace ntt {
namespace {

// That the image ends early, which is all that detection could complain about, is known.
struct Nobody final : FindingSink {
    void add(Finding) override {}
};

}  // namespace

Result<std::string> recognised_in(std::string head) {
    const auto image = memory_image(std::move(head));
    Nobody nobody;
    TRY_ASSIGN(const Detection detection, detect_volumes(*image, nobody));
    if (detection.table != "none") return detection.table;
    std::string out;
    for (const Volume& volume : detection.volumes)
        if (!volume.view.empty()) out += (out.empty() ? "" : ", ") + volume.view;
    return out;
}

}  // namespace ntt

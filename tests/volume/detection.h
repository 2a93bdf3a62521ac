// What the tests of this folder share.
#pragma once

#include <string>

#include "support/support.h"
#include "volume/volume.h"

namespace ntt::test {

struct Detected {
    Detection detection;
    FindingList findings;
    const Volume& first() const { return detection.volumes.at(0); }
    // "-" for one without a filesystem.
    std::vector<std::string> views() const {
        std::vector<std::string> out;
        for (const Volume& volume : detection.volumes) out.push_back(volume.view.empty() ? "-" : volume.view);
        return out;
    }
    const Volume& only() const {
        EXPECT_EQ(detection.volumes.size(), 1u);
        return detection.volumes.at(0);
    }
};

inline Detected detect_bytes(std::string bytes) {
    Detected out;
    const auto source = memory_image(std::move(bytes));
    auto detection = detect_volumes(*source, out.findings);
    EXPECT_TRUE(detection.ok()) << why(detection);
    if (!detection.ok()) return out;
    out.detection = *std::move(detection);
    const auto searched = find_lost_filesystems(*source, out.detection, out.findings);
    EXPECT_TRUE(searched.ok()) << why(searched);
    return out;
}

inline Detected detect_file(const std::string& path) { return detect_bytes(read_file(path)); }

// One value that `blkid -p` prints; empty if it prints none.
inline std::string blkid(const std::string& path, const std::string& tag) {
    std::string out = sh("blkid -p -o value -s " + tag + " " + shell_quoted(path)).out;
    while (!out.empty() && out.back() == '\n') out.pop_back();
    return out;
}

}  // namespace ntt::test

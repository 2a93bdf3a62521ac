// Seeds that no tool can make without a kernel that has md and a device mapper: container_seeds FILESYSTEM FOLDER
#include <cstdio>
#include <fstream>
#include <iterator>
#include <string>
#include <vector>

#include "../tests/support/containers.h"

namespace {

constexpr size_t kMiB = size_t{1} << 20;

bool write(const std::string& path, const std::string& bytes) {
    std::ofstream out(path, std::ios::binary);
    out.write(bytes.data(), static_cast<std::streamsize>(bytes.size()));
    return out.good();
}

}  // namespace

int main(int argc, char** argv) {
    if (argc != 3) {
        std::fprintf(stderr, "usage: container_seeds FILESYSTEM FOLDER\n");
        return 2;
    }
    std::ifstream in(argv[1], std::ios::binary);
    const std::string filesystem{std::istreambuf_iterator<char>(in), {}}, folder = std::string(argv[2]) + "/container-";
    if (filesystem.empty() || filesystem.size() > 2 * kMiB) {
        std::fprintf(stderr, "%s: not a small filesystem\n", argv[1]);
        return 1;
    }
    std::string sound(6 * kMiB, '\0');
    sound.replace(kMiB, filesystem.size(), filesystem);
    bool good = true;
    const auto made = [&](const char* name, const auto& contain) {
        std::string image = sound;
        contain(image);
        good = write(folder + name, image) && good;
    };
    using namespace ntt::test;
    made("raid1.img", [](std::string& image) { write_md_superblock(image, {"1.2", 1, 2, 0}); });
    made("raid1-old.img", [&](std::string& image) {
        image = filesystem + std::string(kMiB, '\0');
        write_md_superblock(image, {"0.90", 1, 2, 0});
    });
    made("linear.img", [](std::string& image) { write_md_superblock(image, {"1.2", -1, 2, 0}); });
    made("lvm2.img", [](std::string& image) { write_lvm2(image, "vg", {{"one", {{0, 1, "pv0", 0}}}}); });
    made("lvm2-wrapped.img", [](std::string& image) { write_lvm2(image, "vg", {{"one", {{0, 1, "pv0", 0}}}}, LvmText::wrapped); });
    made("lvm1.img", [](std::string& image) { write_lvm1(image, "vg", {"one"}, {{1, 0}}); });
    return good ? 0 : 1;
}

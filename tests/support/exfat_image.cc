#include "support/exfat_image.h"

#include <algorithm>
#include <vector>

#include "support/support.h"

namespace ntt::test {

namespace {
constexpr size_t kEntry = 32;
}

void ExfatImage::put(size_t at, uint64_t value, int width) {
    for (int i = 0; i < width; ++i) bytes[at + static_cast<size_t>(i)] = static_cast<char>(value >> (8 * i));
}

uint64_t ExfatImage::get(size_t at, int width) const {
    uint64_t out = 0;
    for (int i = width; i-- > 0;) out = out << 8 | static_cast<uint8_t>(bytes[at + static_cast<size_t>(i)]);
    return out;
}

ExfatImage::ExfatImage(uint64_t megabytes) {
    TempDir dir;
    must("truncate -s " + std::to_string(megabytes) + "M i && mkfs.exfat -c 4K i", dir.path().string());
    bytes = read_file(dir / "i");
    const size_t sector = size_t{1} << bytes[108];
    fat_ = get(80, 4) * sector;
    heap_ = get(88, 4) * sector;
    root_ = get(96, 4);
    size_t at = place_of(root_);
    for (; bytes[at] != 0; at += kEntry)
        if (bytes[at] == '\x81') bitmap_ = place_of(get(at + 20, 4));
    folders_[0] = {at, root_};
}

// The root goes on in another cluster by its chain, a folder in the one behind.
size_t ExfatImage::next_entry(uint64_t in) {
    Folder& folder = folders_.at(in);
    if (folder.at == place_of(folder.cluster) + kCluster) {
        uint64_t next = folder.cluster + 1;
        if (in == 0) {
            next = next_cluster_++;
            put(fat_ + 4 * folder.cluster, next, 4);
            put(fat_ + 4 * next, 0xFFFFFFFF, 4);
            bytes[bitmap_ + (next - 2) / 8] = static_cast<char>(bytes[bitmap_ + (next - 2) / 8] | 1 << ((next - 2) % 8));
        }
        folder = {place_of(next), next};
    }
    const size_t at = folder.at;
    folder.at += kEntry;
    return at;
}

ExfatImage::Entry ExfatImage::add(const std::string& name, uint64_t size, uint64_t clusters, bool folder, uint64_t in) {
    const uint64_t first = clusters > 0 ? next_cluster_ : 0;
    for (uint64_t i = 0; i < clusters; ++i, ++next_cluster_) {
        char& byte = bytes[bitmap_ + (next_cluster_ - 2) / 8];
        byte = static_cast<char>(byte | 1 << ((next_cluster_ - 2) % 8));
    }
    const size_t names = (name.size() + 14) / 15;
    std::string set(kEntry * (2 + names), '\0');
    const auto set_at = [&](size_t at, uint64_t value, int width) {
        for (int i = 0; i < width; ++i) set[at + static_cast<size_t>(i)] = static_cast<char>(value >> (8 * i));
    };
    set_at(0, 0x85, 1);
    set_at(1, 1 + names, 1);
    set_at(4, folder ? 0x10 : 0x20, 2);
    for (const size_t time : {8u, 12u, 16u}) set_at(time, 0x58210000, 4);
    set_at(32, 0xC0, 1);
    set_at(33, first != 0 ? 3 : 1, 1);
    set_at(35, name.size(), 1);
    uint16_t hash = 0;  // of the name in upper case, as UTF-16
    for (const char c : name)
        for (const uint8_t byte : {static_cast<uint8_t>(c >= 'a' && c <= 'z' ? c - 32 : c), uint8_t{0}}) hash = static_cast<uint16_t>((hash << 15 | hash >> 1) + byte);
    set_at(36, hash, 2);
    set_at(40, size, 8);
    set_at(52, first, 4);
    set_at(56, size, 8);
    for (size_t i = 0; i < names; ++i) set_at(64 + kEntry * i, 0xC1, 1);
    for (size_t i = 0; i < name.size(); ++i) set[64 + kEntry * (i / 15) + 2 + 2 * (i % 15)] = name[i];
    uint16_t sum = 0;
    for (size_t i = 0; i < set.size(); ++i)
        if (i != 2 && i != 3) sum = static_cast<uint16_t>((sum << 15 | sum >> 1) + static_cast<uint8_t>(set[i]));
    set_at(2, sum, 2);
    Entry out{0, first};
    for (size_t i = 0; i < set.size(); i += kEntry) {
        const size_t at = next_entry(in);
        if (i == 0) out.at = at;
        bytes.replace(at, kEntry, set, i, kEntry);
    }
    return out;
}

ExfatImage::Entry ExfatImage::add_file(const std::string& name, const std::string& content, uint64_t in) {
    const Entry out = add(name, content.size(), (content.size() + kCluster - 1) / kCluster, false, in);
    if (!content.empty()) bytes.replace(place_of(out.cluster), content.size(), content);
    return out;
}

ExfatImage::Entry ExfatImage::add_folder(const std::string& name, uint64_t clusters) {
    const Entry out = add(name, clusters * kCluster, clusters, true, 0);
    folders_[out.cluster] = {place_of(out.cluster), out.cluster};
    return out;
}

// Of a set in one piece of the image.
void ExfatImage::mend_checksum(const Entry& entry) {
    const size_t length = kEntry * (1 + static_cast<uint8_t>(bytes[entry.at + 1]));
    uint16_t sum = 0;
    for (size_t i = 0; i < length; ++i)
        if (i != 2 && i != 3) sum = static_cast<uint16_t>((sum << 15 | sum >> 1) + static_cast<uint8_t>(bytes[entry.at + i]));
    put(entry.at + 2, sum, 2);
}

}  // namespace ntt::test

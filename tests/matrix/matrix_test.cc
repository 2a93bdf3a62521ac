// The damage matrix: each metadata structure of each filesystem, damaged in each way, and what is recovered of it here,
// by tsk_recover and by 7z. structures.cc has the table of structures, document.cc the cases that a peer may win.
//
// Rules: nothing is called stored that was not put in; no fewer files come out whole than from the better peer. The
// document docs/damage-matrix.md is written by
//     NTT_WRITE_DAMAGE_MATRIX=docs/damage-matrix.md test_matrix
// NTT_MATRIX_SEED=N has other garbage.

#include <algorithm>
#include <cstdlib>
#include <filesystem>
#include <set>
#include <sstream>

#include <fmt/format.h>

#include "acceptance/ntt.h"
#include "base/hash.h"
#include "matrix/document.h"
#include "matrix/structures.h"
#include "support/images.h"

namespace ntt::test {
namespace {
namespace fs = std::filesystem;

// --- damage ---

struct Damage {
    const char* name;
    bool has_map;
    // The image with the structure at `ranges` damaged. `other` is the image of another generation.
    std::string (*apply)(std::string image, const std::vector<ImageRange>& ranges, const std::string& other);
};

template <typename Byte>
std::string each_byte(std::string image, const std::vector<ImageRange>& ranges, Byte&& byte) {
    for (const ImageRange& range : ranges)
        for (uint64_t at = range.offset; at < range.offset + range.length && at < image.size(); ++at) image[at] = byte(image[at], at);
    return image;
}

std::string zeros(std::string image, const std::vector<ImageRange>& ranges, const std::string&) {
    return each_byte(std::move(image), ranges, [](char, uint64_t) { return '\0'; });
}
std::string inverted(std::string image, const std::vector<ImageRange>& ranges, const std::string&) {
    return each_byte(std::move(image), ranges, [](char c, uint64_t) { return static_cast<char>(~c); });
}
std::string garbage(std::string image, const std::vector<ImageRange>& ranges, const std::string&) {
    static const char* const seed = std::getenv("NTT_MATRIX_SEED");
    static const std::string bytes = chosen_bytes(seed == nullptr ? 4711 : static_cast<uint32_t>(std::strtoul(seed, nullptr, 10)), 1 << 16);
    return each_byte(std::move(image), ranges, [&](char, uint64_t at) { return bytes[(at * 31 + at / 512) % bytes.size()]; });
}
std::string cut(std::string image, const std::vector<ImageRange>& ranges, const std::string&) {
    uint64_t first = UINT64_MAX, length = 0;
    for (const ImageRange& range : ranges)
        if (range.offset < first) first = range.offset, length = range.length;
    image.resize(std::min<uint64_t>(image.size(), first + (length > 512 ? length / 2 / 512 * 512 : 256)));
    return image;
}
std::string stale(std::string image, const std::vector<ImageRange>& ranges, const std::string& other) {
    return each_byte(std::move(image), ranges, [&](char, uint64_t at) { return at < other.size() ? other[at] : '\0'; });
}

constexpr Damage kDamages[] = {
    {"zeroed", false, zeros},         // all zeros, and no map that says so
    {"inverted", false, inverted},    // every bit flipped
    {"garbage", false, garbage},      // bytes as from a random source
    {"cut off", false, cut},          // the image ends in the middle of the structure
    {"unread, zeros", true, zeros},   // as a map says, with the zeros that ddrescue leaves
    {"unread, stale", true, stale},   // as a map says, with what the same sectors of another medium hold
};

// --- recovery ---

using Hashes = std::set<std::string>;

std::string b3(const std::string& bytes) { return blake3_of(as_bytes(bytes)).hex(); }

Hashes hashes_in(const std::string& folder) {
    Hashes out;
    std::error_code ignored;
    for (auto it = fs::recursive_directory_iterator(folder, fs::directory_options::skip_permission_denied, ignored); it != fs::recursive_directory_iterator(); it.increment(ignored)) {
        if (ignored) break;
        std::error_code unreadable;
        if (it->is_regular_file(unreadable) && !it->is_symlink(unreadable) && it->file_size(unreadable) <= 2 << 20) out.insert(b3(read_file(it->path().string())));
    }
    return out;
}

size_t whole(const Hashes& recovered, const Hashes& put_in) {
    size_t n = 0;
    for (const std::string& hash : recovered) n += put_in.count(hash);
    return n;
}

// Peers may crash or fill the disk with files that claim a terabyte: that is theirs to lose.
size_t peer(const std::string& command, const Hashes& put_in) {
    const TempDir dir;
    sh("trap '' XFSZ; ulimit -f 8192; mkdir out; timeout 5 " + command, dir.path().string());
    return whole(hashes_in(dir / "out"), put_in);
}

struct Recovered {
    size_t ours = 0, tsk = 0, tsk_all = 0, seven = 0;
    int exit = -1;
    std::vector<std::string> foreign;  // stored, and never put in
};

void ingest(const std::string& image, const Hashes& put_in, bool has_empty, Recovered& out) {
    Ntt ntt;
    const Ran ran = ntt.json({"ingest", image, "--name", "case"});
    out.exit = ran.exit;
    Hashes ours;
    if (ran.exit == 0 || ran.exit == 3)
        for (const Json& file : ntt.json({"files", "case", "--status", "stored"}).objects()) {
            if (file["type"] != "file" || file["kind"] != "f") continue;
            const std::string hash = file["blobid"];
            if (put_in.count(hash)) ours.insert(hash);
            else if (!has_empty || hash != b3("")) out.foreign.push_back(fmt::format("{} ({} bytes)", file["path"].get<std::string>(), file["size"].get<uint64_t>()));
        }
    out.ours = ours.size();
}

// --- the runner ---

class DamageMatrix : public testing::TestWithParam<std::string> {};

TEST_P(DamageMatrix, never_stores_what_was_not_put_in_and_recovers_no_less_than_its_peers) {
    const std::string filesystem = GetParam();
    if (const std::string tool = missing_tool(filesystem); !tool.empty()) GTEST_SKIP() << "needs " << tool;
    const TempDir dir;
    const MatrixMedium medium = make_matrix_medium(filesystem, 0, dir.path().string());
    const std::string image = read_file(medium.image), other = read_file(make_matrix_medium(filesystem, 1, dir.path().string()).image);
    Hashes put_in;
    bool has_empty = false;
    for (const auto& [path, bytes] : medium.contents) {
        if (bytes.empty()) has_empty = true;
        else put_in.insert(b3(bytes));
    }
    const char* const document = std::getenv("NTT_WRITE_DAMAGE_MATRIX");
    const auto peers = [&](const std::string& path, Recovered& out) {
        out.tsk = peer(fmt::format("tsk_recover -a {} out", shell_quoted(path)), put_in);
        if (document != nullptr) out.tsk_all = peer(fmt::format("tsk_recover -e {} out", shell_quoted(path)), put_in);
        out.seven = peer(fmt::format("7z x -y -oout {}", shell_quoted(path)), put_in);
    };

    Recovered undamaged;
    ingest(medium.image, put_in, has_empty, undamaged);
    ASSERT_EQ(undamaged.exit, 0);
    ASSERT_EQ(undamaged.ours, put_in.size()) << "the undamaged medium";
    ASSERT_TRUE(undamaged.foreign.empty()) << testing::PrintToString(undamaged.foreign);

    MatrixSection section{filesystem, put_in.size(), {}};
    size_t cases = 0, hurt = 0;
    for (const Structure& structure : matrix_structures()) {
        if (structure.filesystem != filesystem) continue;
        const std::vector<ImageRange> ranges = structure.locate(medium);
        ASSERT_FALSE(ranges.empty()) << structure.name << " was not found";
        Recovered zeroed;
        for (const Damage& damage : kDamages) {
            const std::string path = dir / "case.img", map = path + ".map";
            const std::string damaged = damage.apply(image, ranges, other);
            write_file(path, damaged);
            fs::remove(map);
            if (damage.has_map) write_file(map, rescue_map(damaged.size(), sorted(ranges), '-'));
            Recovered result;
            if (damage.apply == zeros && damage.has_map) result = zeroed;  // the peers see the same image
            else peers(path, result);
            if (damage.apply == zeros && !damage.has_map) zeroed = result;
            ingest(path, put_in, has_empty, result);

            const size_t best = std::max(result.tsk, result.seven);
            ++cases;
            hurt += best < put_in.size() ? 1u : 0u;
            const std::string exception = exception_for(filesystem, structure.name, damage.name);
            section.rows.push_back({structure.name, damage.name, result.ours, result.tsk, result.tsk_all, result.seven, result.exit, exception});
            const std::string what = fmt::format("{}: {}, {}", filesystem, structure.name, damage.name);
            EXPECT_TRUE(result.exit == 0 || result.exit == 1 || result.exit == 3) << what << ": exit " << result.exit;
            EXPECT_TRUE(result.foreign.empty()) << what << ": stored and never put in: " << testing::PrintToString(result.foreign);
            EXPECT_TRUE(result.ours >= best || !exception.empty()) << what << ": " << result.ours << ", tsk_recover -a " << result.tsk << ", -e " << result.tsk_all << ", 7z " << result.seven << ", exit " << result.exit;
        }
    }
    EXPECT_GE(hurt * 3, cases) << "hardly any damage hurts the peers";
    if (document != nullptr) write_matrix_section(document, section);
    else check_matrix_section(section);
}

TEST(DamageMatrixDocument, names_damage_so_heavy_that_the_peers_lose_files_in_at_least_half_of_all_cases) {
    const MatrixTotals totals = totals_of_document();
    EXPECT_GT(totals.cases, 400u);
    EXPECT_GE(totals.peers_lose * 2, totals.cases);
    EXPECT_GT(totals.ours_is_better, 100u);
}

INSTANTIATE_TEST_SUITE_P(Of, DamageMatrix, testing::ValuesIn(matrix_filesystems()), [](const auto& of) { return of.param; });

}  // namespace
}  // namespace ntt::test

// Images that nobody here made: no crash, no hang, and contents equal to those that other programs read.
// They lie in $NTT_TEST_CORPUS or ../shared/corpus; without them these tests are skipped by name.

#include <unistd.h>

#include <filesystem>
#include <set>
#include <sstream>

#include <fmt/format.h>

#include "acceptance/ntt.h"
#include "base/hash.h"

namespace ntt::test {
namespace {
namespace fs = std::filesystem;

// Files by path and content, as another program extracts them.
using Extracted = std::multiset<std::pair<std::string, std::string>>;

Extracted extracted_in(const std::string& folder) {
    Extracted out;
    for (const auto& entry : fs::recursive_directory_iterator(folder))
        if (entry.is_regular_file() && !entry.is_symlink())
            out.emplace(fs::relative(entry.path(), folder).string(), blake3_of(as_bytes(read_file(entry.path()))).hex());
    return out;
}

// The kernel's own mount for ext, mtools for FAT, xorriso for the names that extend ISO 9660, 7z for the rest.
bool extract(const std::string& image, const std::string& view, const std::string& folder) {
    fs::create_directory(folder);
    if (view.substr(0, 3) == "ext")
        return ::geteuid() == 0 && sh(fmt::format("mkdir m && mount -o ro,noload,loop {0} m || mount -o ro,loop {0} m; e=$?; [ $e = 0 ] && cp -a m/. {1}; umount m; exit $e",
                                                  shell_quoted(image), shell_quoted(folder)), fs::path(folder).parent_path()).exit == 0;
    if (view.substr(0, 3) == "fat") return sh(fmt::format("mcopy -s -n -m -i {} '::*' {}", shell_quoted(image), shell_quoted(folder))).exit == 0;
    if (view == "rockridge" || view == "joliet")
        return sh(fmt::format("xorriso -osirrox on -read_fs {} -indev {} -extract / {}", view == "joliet" ? "norock" : "any", shell_quoted(image), shell_quoted(folder))).exit == 0;
    if (view == "iso9660" || view == "ntfs")
        return sh(fmt::format("7z x -y -o{} {}", shell_quoted(folder), shell_quoted(image))).exit == 0;
    return false;
}

// Unpacks the corpus once; names of images, the first segment alone of a split one.
const std::vector<std::string>& images() {
    static TempDir unpacked;
    static const std::vector<std::string> names = [] {
        std::vector<std::string> out;
        const auto corpus = corpus_dir();
        if (!corpus) return out;
        for (const auto& entry : fs::directory_iterator(*corpus)) {
            const std::string name = entry.path().filename();
            if (name.ends_with(".gz")) sh(fmt::format("gzip -dc {} > {}", shell_quoted(entry.path().string()), shell_quoted(unpacked / name.substr(0, name.size() - 3))));
            if (name.ends_with(".E01")) fs::copy_file(entry.path(), unpacked / name);
        }
        for (const auto& entry : fs::directory_iterator(unpacked.path()))
            if (!entry.path().string().ends_with(".001")) out.push_back(entry.path());
        std::sort(out.begin(), out.end());
        return out;
    }();
    return names;
}

TEST(Corpus, every_image_ends_with_a_code_of_the_contract_and_totals_that_add_up) {
    if (!corpus_dir()) GTEST_SKIP() << "no corpus: set NTT_TEST_CORPUS";
    ASSERT_GT(images().size(), 40u);
    Ntt ntt;
    for (const std::string& image : images()) {
        const Ran ran = ntt.json({"ingest", image});
        EXPECT_TRUE(ran.exit == 0 || ran.exit == 1 || ran.exit == 3) << image << " ended with " << ran.exit << "\n" << ran.err;
        if (ran.exit == 1) {
            EXPECT_EQ(ran.object("error")["code"], "unsupported") << image << ran.err;
            continue;
        }
        const Json totals = ran.object("summary")["totals"];
        const auto count = [&](const char* status) { return totals[status].get<uint64_t>(); };
        EXPECT_EQ(count("stored") + count("damaged") + count("unreadable") + count("excluded") + count("nonfile") + count("pending"), count("inodes")) << image;
    }
    EXPECT_EQ(ntt.run({"verify", "--strict"}).exit, 0);
}

TEST(Corpus, contents_are_those_that_the_kernel_mtools_xorriso_and_7z_read) {
    if (!corpus_dir()) GTEST_SKIP() << "no corpus: set NTT_TEST_CORPUS";
    NTT_NEED_TOOL("mcopy");
    NTT_NEED_TOOL("7z");
    NTT_NEED_TOOL("xorriso");
    int compared = 0;
    for (const std::string& image : images()) {
        Ntt ntt;
        const Ran ran = ntt.json({"ingest", image});
        if (ran.exit != 0) continue;
        const std::string medium = ran.object("summary")["medium_hash"];
        if (ntt.sql("SELECT max(offset_bytes) FROM volume") != "0\n" || ntt.sql("SELECT format FROM image") != "raw\n") continue;
        std::vector<std::string> views;
        std::istringstream rows(ntt.sql("SELECT view FROM volume ORDER BY volume"));
        for (std::string view; std::getline(rows, view);) views.push_back(view);
        const auto files = ntt.files_by_volume(medium);
        for (size_t i = 0; i < views.size(); ++i) {
            if (views[i] == "iso9660" && views.size() > 1) continue;  // 7z shows the richer names alone
            const TempDir dir;
            if (!extract(image, views[i], dir / "out")) continue;
            ++compared;

            Extracted ours;
            for (const auto& [place, file] : files)
                if (place.first == static_cast<int>(i) + 1) ours.emplace(place.second, file["blobid"].is_null() ? "" : file["blobid"].get<std::string>());
            Extracted theirs = extracted_in(dir / "out");
            std::erase_if(theirs, [](const auto& file) { return file.first.find("[BOOT]") == 0; });  // 7z shows an El Torito image as a file
            EXPECT_EQ(ours, theirs) << image << " (" << views[i] << ")";
        }
    }
    EXPECT_GE(compared, ::geteuid() == 0 ? 12 : 8) << "the oracles could read hardly anything";
}

}  // namespace
}  // namespace ntt::test

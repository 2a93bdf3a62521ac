// Makes a tree of files as one finds them on old disks, for the benchmarks: the same tree for the same arguments.
//
//   make_tree OUT_DIR FILES TOTAL_BYTES [SEED]        OUT_DIR must not exist; TOTAL_BYTES 0: small files only
//
// Sizes: the shares of the classes below 100 KB are those of the field (of every 90.7 such files 27.8 under 1 KB, 47.2
// of 1 to 10 KB, 15.7 of 10 to 100 KB; median near 3 KB). Larger files are as many as TOTAL_BYTES has room for: with the
// field's own share of them (9.3 %) 70,000 files would be some 7 GB, not the 1.6 GB of the yardstick. One file in five
// has the content of an earlier one. Contents are a third each text, records with long runs, and incompressible bytes.
#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>

#include <algorithm>
#include <array>
#include <cmath>
#include <cstdint>
#include <cstdio>
#include <cstdlib>
#include <random>
#include <string>
#include <vector>

namespace {

constexpr uint64_t kFilesPerFolder = 14;
constexpr uint64_t kMaxFileBytes = 16u << 20;

struct Content {
    uint64_t size = 0;
    uint64_t seed = 0;
};

[[noreturn]] void die(const std::string& what) {
    std::perror(what.c_str());
    std::exit(1);
}

// Between low and high, every order of magnitude alike.
uint64_t log_uniform(std::mt19937_64& random, double low, double high) {
    const double at = std::uniform_real_distribution<double>(std::log(low), std::log(high))(random);
    return static_cast<uint64_t>(std::exp(at));
}

uint64_t small_size(std::mt19937_64& random) {
    const double draw = std::uniform_real_distribution<double>(0, 90.7)(random);
    if (draw < 0.4) return 0;
    if (draw < 27.8) return log_uniform(random, 16, 1024);
    if (draw < 27.8 + 47.2) return log_uniform(random, 1024, 10240);
    return log_uniform(random, 10240, 102400);
}

uint64_t large_size(std::mt19937_64& random) {
    const double draw = std::uniform_real_distribution<double>(0, 1)(random);
    return draw < 0.95 ? log_uniform(random, 102400, 1u << 20) : log_uniform(random, 1u << 20, kMaxFileBytes);
}

// `files` contents whose sizes add up to about `total_bytes`; a fifth of them repeat an earlier one.
std::vector<Content> plan(std::mt19937_64& random, uint64_t files, uint64_t total_bytes) {
    std::vector<Content> contents;
    contents.reserve(files);
    uint64_t planned = 0;
    for (uint64_t i = 0; i < files; ++i) {
        if (i > 0 && random() % 5 == 0) {
            contents.push_back(contents[random() % contents.size()]);
        } else {
            // Large ones make up what the small ones still to come will not: then both sums end together.
            constexpr double kMeanSmallBytes = 9000, kMeanLargeBytes = 530e3;
            const double left = static_cast<double>(total_bytes) - static_cast<double>(planned);
            const double room = left - kMeanSmallBytes * static_cast<double>(files - i);
            const double share = std::max(0.0, room / kMeanLargeBytes / static_cast<double>(files - i));
            const bool large = std::uniform_real_distribution<double>(0, 1)(random) < share;
            uint64_t size = large ? large_size(random) : small_size(random);
            if (total_bytes == 0) size = log_uniform(random, 1, 1024);
            contents.push_back({size, random()});
        }
        planned += contents.back().size;
    }
    return contents;
}

// A megabyte of each kind; a file takes slices of one from a place of its own, behind its own first bytes.
std::array<std::string, 3> make_stock() {
    static constexpr std::array kWords = {"the",    "archive", "of",          "minutes", "and",   "letters", "from",    "1994",
                                          "budget", "report",  "draft",       "to",      "annex", "version", "names",   "in",
                                          "lista",  "de",      "testimonios", "sum",     "table", "\r\n",    "chapter", "page"};
    std::mt19937_64 random(7);
    std::array<std::string, 3> stock;
    while (stock[0].size() < (1u << 20)) stock[0].append(kWords[random() % kWords.size()]).append(" ");
    while (stock[1].size() < (1u << 20)) {
        stock[1].append(std::to_string(random() % 100000)).append(random() % 48, '\0').append(random() % 16, '\xff');
    }
    while (stock[2].size() < (1u << 20)) {
        const uint64_t bits = random();
        stock[2].append(reinterpret_cast<const char*>(&bits), sizeof bits);
    }
    return stock;
}

void write_content(const std::string& path, const Content& content, const std::array<std::string, 3>& stock) {
    const int fd = open(path.c_str(), O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC, 0644);
    if (fd < 0) die(path);
    const std::string& source = stock[content.seed % stock.size()];
    std::mt19937_64 random(content.seed);
    std::string piece(reinterpret_cast<const char*>(&content.seed), sizeof content.seed);
    for (uint64_t left = content.size; left > 0;) {
        const size_t start = random() % (source.size() - 4096);
        piece.append(source, start, 256 * 1024);
        const size_t length = std::min<uint64_t>(left, piece.size());
        if (write(fd, piece.data(), length) != static_cast<ssize_t>(length)) die(path);
        left -= length;
        piece.clear();
    }
    if (close(fd) != 0) die(path);
}

// Folder number n lies in folder (n-1)/4: four to a parent, and the depth grows with the count.
std::string folder_path(const std::string& out, uint64_t n) {
    std::string path;
    for (; n > 0; n = (n - 1) / 4) path.insert(0, "/folder-" + std::to_string(n));
    return out + path;
}

}  // namespace

int main(int argc, char** argv) {
    if (argc < 4) return std::fprintf(stderr, "usage: make_tree OUT_DIR FILES TOTAL_BYTES [SEED]\n"), 2;
    const std::string out = argv[1];
    const uint64_t files = std::strtoull(argv[2], nullptr, 10);
    const uint64_t total_bytes = std::strtoull(argv[3], nullptr, 10);
    std::mt19937_64 random(argc > 4 ? std::strtoull(argv[4], nullptr, 10) : 1);
    static constexpr std::array kSuffixes = {".txt", ".doc", ".xls", ".wp", ".jpg", ".html", ".c", ""};

    const std::vector<Content> contents = plan(random, files, total_bytes);
    const std::array<std::string, 3> stock = make_stock();
    uint64_t written = 0;
    std::string folder;
    for (uint64_t i = 0; i < files; ++i) {
        if (i % kFilesPerFolder == 0) {
            folder = folder_path(out, i / kFilesPerFolder);
            if (mkdir(folder.c_str(), 0755) != 0) die(folder);
        }
        const char* suffix = kSuffixes[contents[i].seed / 3 % kSuffixes.size()];
        write_content(folder + "/file-" + std::to_string(i) + suffix, contents[i], stock);
        written += contents[i].size;
    }
    std::printf("files=%llu bytes=%llu\n", static_cast<unsigned long long>(files), static_cast<unsigned long long>(written));
}

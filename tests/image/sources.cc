#include "image/sources.h"

// libewf leaks each chunk it cannot find in a truncated file (see kMaxEwfLostBytes), and a table for each file it cannot open.
extern "C" const char* __lsan_default_suppressions();
extern "C" const char* __lsan_default_suppressions() { return "leak:libewf_chunk_data_initialize\nleak:libewf_segment_table_initialize\n"; }

namespace ntt::test {

std::string tool_for(const std::string& kind) {
    if (kind.starts_with("ewf")) return "ewfacquire";
    if (kind.starts_with("vmdk") || kind.starts_with("vhd")) return "qemu-img";
    return {};
}

std::string make_image(const TempDir& dir, const std::string& kind, const std::string& content) {
    const std::string raw = dir / "content.raw";
    write_file(raw, content);
    const auto convert = [&](const std::string& options, const std::string& name) {
        must("qemu-img convert -f raw " + options + " content.raw " + name, dir.path().string());
        return dir / name;
    };
    const auto acquire = [&](const std::string& options) {
        must("ewfacquire -u -q -f encase6 " + options + " -t evidence content.raw", dir.path().string());
        return dir / "evidence.E01";
    };
    if (kind == "raw") return raw;
    if (kind == "split_raw") {
        const size_t third = content.size() / 3 + 1;  // segments of odd length
        for (size_t i = 0; i < 3; ++i) write_file(dir / ("split.00" + std::to_string(i)), content.substr(i * third, third));
        return dir / "split.001";
    }
    if (kind == "ewf") return acquire("-c best -S 1073741824");
    if (kind == "ewf_segments") return acquire("-c none -S 1048576");
    if (kind == "vmdk") return convert("-O vmdk", "disk.vmdk");
    if (kind == "vmdk_flat") return convert("-O vmdk -o subformat=monolithicFlat", "flat.vmdk");
    if (kind == "vmdk_stream") return convert("-O vmdk -o subformat=streamOptimized", "stream.vmdk");
    if (kind == "vhd") return convert("-O vpc -o force_size=on", "disk.vhd");
    if (kind == "vhd_fixed") return convert("-O vpc -o subformat=fixed,force_size=on", "fixed.vhd");
    ADD_FAILURE() << "no such kind of image: " << kind;
    return {};
}

std::string read_piece(const ByteSource& source, uint64_t offset, size_t length) {
    std::string bytes(length, 'x');
    const auto done = source.read(offset, {reinterpret_cast<uint8_t*>(bytes.data()), length});
    EXPECT_TRUE(done.ok()) << why(done);
    return bytes;
}

std::string read_all(const ByteSource& source) { return read_piece(source, 0, source.size_bytes()); }

}  // namespace ntt::test

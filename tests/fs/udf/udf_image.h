// Writes small UDF images with what Debian's tools cannot put on a disc: files in virtual, sparable and metadata partitions, content
// inside descriptors, tables of extents, links, streams. Checked against 7z where 7z reads the form.
#pragma once

#include <cstdint>
#include <string>
#include <vector>

namespace ntt::test {

inline constexpr size_t kUdfBlock = 2048;

enum class UdfParts { plain, virtual_blocks, sparable, metadata };
enum class UdfForm { short_form = 0, long_form = 1, embedded = 3 };

struct UdfChild {
    std::string name;
    uint32_t icb = 0;
    bool folder = false;
};

class UdfImage {
public:
    // `extended`: extended file entries, UDF 2.00 and later.
    UdfImage(UdfParts parts, bool extended);

    // Each returns the number of the new file's ICB.
    uint32_t add_file(const std::string& content, UdfForm form, uint8_t type = 5, uint32_t stream_folder = 0);
    // In extents of `piece` bytes (whole blocks) that lie apart, with tables of `per_table` extents behind one another.
    uint32_t add_scattered(const std::string& content, size_t piece, size_t per_table);
    uint32_t add_folder(const std::vector<UdfChild>& children, uint32_t parent, UdfForm form, uint8_t type = 4);
    // The ICB of a folder that will be written later, so that children can name it; give it to add_folder_at.
    uint32_t reserve_icb();
    void add_folder_at(uint32_t icb, const std::vector<UdfChild>& children, uint32_t parent, UdfForm form, uint8_t type = 4);
    void link_icb(uint32_t icb, uint32_t newer);  // makes it a chain of versions (strategy 4096) whose newest is at `newer`

    // The image with this root folder.
    std::string finish(uint32_t root);

    size_t place_of_icb(uint32_t icb) const;     // in the image
    size_t file_set_place() const;
    const std::vector<size_t>& content_blocks() const { return content_blocks_; }  // places of plain content, not of metadata

    // The tag of a descriptor made right again.
    static void seal(std::string& image, size_t at, uint16_t id, uint32_t location, size_t length);

private:
    uint32_t take_blocks(size_t count);  // of the medium's own partition
    size_t place(uint32_t block) const;  // of a block of that partition, moved packets included
    void write_icb(uint32_t icb, uint8_t type, uint64_t size, UdfForm form, const std::string& descriptors, uint32_t streams = 0);
    std::string extents_of(const std::string& content, UdfForm form, bool is_content);
    void write_blocks(uint32_t block, const std::string& bytes, bool is_content);
    uint16_t top() const { return parts_ == UdfParts::virtual_blocks || parts_ == UdfParts::metadata ? 1 : 0; }

    UdfParts parts_;
    bool extended_;
    std::string image_;
    uint32_t next_ = 0;
    uint32_t next_metadata_ = 0;
    uint32_t file_set_ = 0;
    std::vector<uint32_t> virtual_;
    std::vector<size_t> content_blocks_;
};

}  // namespace ntt::test

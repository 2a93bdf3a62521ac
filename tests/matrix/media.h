// The media of the damage matrix: one for each filesystem, made by that system's own tools, with contents that are known.
#pragma once

#include <cstdint>
#include <string>
#include <vector>

#include "support/images.h"

namespace ntt::test {

struct MatrixMedium {
    std::string filesystem;  // fat12 fat16 fat32 ext2 ext4 ntfs iso9660 joliet rockridge hfsplus
    std::string image;       // file with the undamaged image
    Contents contents;       // what was put in; every content that is not empty stands once
};

// All filesystems of the matrix.
const std::vector<std::string>& matrix_filesystems();

// The tool without which no medium of this filesystem can be made here, or empty.
std::string missing_tool(const std::string& filesystem);

// Makes `dir`/<generation>.img: some 230 files of 0 to 1 MiB in nested folders, long names among them; on a filesystem that
// is written file by file some are in pieces. Media of two generations have the same folders and the same layout, and not
// one content in common: each serves as what stood on the other's sectors before.
MatrixMedium make_matrix_medium(const std::string& filesystem, uint32_t generation, const std::string& dir);

}  // namespace ntt::test

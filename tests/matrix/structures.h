// The metadata structures of each filesystem of the damage matrix, and where other programs say that they stand.
#pragma once

#include <functional>
#include <string>
#include <vector>

#include "matrix/media.h"

namespace ntt::test {

// Byte ranges of the image; empty fails the test.
using Locator = std::function<std::vector<ImageRange>(const MatrixMedium&)>;

struct Structure {
    std::string filesystem;
    std::string name;
    Locator locate;
};

// The table: one line for each structure.
const std::vector<Structure>& matrix_structures();

}  // namespace ntt::test

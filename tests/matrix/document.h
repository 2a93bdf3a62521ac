// docs/damage-matrix.md: one table for each filesystem.
#pragma once

#include <cstddef>
#include <string>
#include <vector>

#include "support/images.h"

namespace ntt::test {

struct MatrixRow {
    std::string structure, damage;
    size_t ours = 0, tsk = 0, tsk_all = 0, seven = 0;
    int exit = 0;
    std::string exception;  // why a peer may win; empty if none may
};

struct MatrixSection {
    std::string filesystem;
    size_t files = 0;
    std::vector<MatrixRow> rows;
};

// The reason why a peer may recover more in this case; empty if it may not.
std::string exception_for(const std::string& filesystem, const std::string& structure, const std::string& damage);

// Replaces the section of this filesystem in the document.
void write_matrix_section(const std::string& document, const MatrixSection& section);

// The document must name every case, and what is recovered must not be less than it says.
void check_matrix_section(const MatrixSection& section);

// Cases of the document; in which the better peer does not recover every file; in which more comes out here.
struct MatrixTotals {
    size_t cases = 0, peers_lose = 0, ours_is_better = 0;
};
MatrixTotals totals_of_document();

std::vector<ImageRange> sorted(std::vector<ImageRange> ranges);

}  // namespace ntt::test

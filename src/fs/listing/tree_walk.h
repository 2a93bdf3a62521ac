// The order in which folders are listed.
#pragma once

#include <algorithm>
#include <utility>
#include <vector>

#include "base/cancel.h"
#include "base/result.h"

namespace ntt {

// Lists the folders in `pending` and all below them, the last first, parents before children, in the order in which they are
// found. `list_folder(folder)` adds the folders that it finds to `pending`, each one once in a listing: so it ends.
template <typename Folder, typename ListFolder>
Result<void> walk_tree(std::vector<Folder>& pending, const CancelToken& cancel, const ListFolder& list_folder) {
    while (!pending.empty()) {
        TRY(cancel.check());
        const Folder folder = std::move(pending.back());
        pending.pop_back();
        const size_t before = pending.size();
        TRY(list_folder(folder));
        // The last is taken next: turned round, the walk goes in the order of their names.
        std::reverse(pending.begin() + static_cast<std::ptrdiff_t>(before), pending.end());
    }
    return {};
}

}  // namespace ntt

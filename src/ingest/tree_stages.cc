#include "ingest/tree_stages.h"

#include <chrono>
#include <memory>
#include <thread>

#include "copy/tree_copier.h"
#include "os/kernel_log.h"

namespace ntt {

MountState mount_state_of(Trees& trees, const CancelToken& cancel) {
    if (!trees.all_mounted()) return MountState::missing;
    return trees.all_accessible(cancel) ? MountState::ok : MountState::inaccessible;
}

Result<CopyReport> copy_tree(const IngestContext& context, const IngestOptions& options, MediumKey medium, const std::string& medium_hash, Trees& trees,
                             MountControl& mounts, const ByteSource* image) {
    Result<std::unique_ptr<KernelLog>> opened = open_kernel_log();
    if (!opened.ok()) context.log.debug("the kernel's log cannot be read: {}", opened.error().text());
    KernelLog* const kernel_log = opened.ok() ? opened->get() : nullptr;
    DiagnosticService diagnostics(options.tree.level, options.tree.thresholds, kernel_log, mounts, context.log);
    const TreeCopyJob job{{context.env, *context.store, context.catalog, medium, medium_hash, context.clock, context.cancel, context.progress, context.log},
                          trees, diagnostics, mounts, image, kernel_log, options.tree.level,
                          [](int64_t us) { std::this_thread::sleep_for(std::chrono::microseconds(us)); }};
    return copy_pending_of_tree(job, options.copy, options.tree.waits);
}

}  // namespace ntt

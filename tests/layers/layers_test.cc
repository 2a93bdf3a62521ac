#include "layers/layers.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "support/support.h"

namespace ntt::layers {
namespace {

using ::testing::ElementsAre;
using ::testing::Field;
using ::testing::HasSubstr;
using ::testing::IsEmpty;
using ::testing::UnorderedElementsAre;

const std::filesystem::path kProject = NTT_PROJECT_DIR;

std::string text(const std::vector<Violation>& violations) {
    std::string lines;
    for (const Violation& violation : violations) lines += "\n  " + violation.file + ": " + violation.reason;
    return lines;
}

auto broken(const std::string& file, const std::string& reason) {
    return AllOf(Field(&Violation::file, file), Field(&Violation::reason, HasSubstr(reason)));
}

// A small tree in which every rule holds, for the tests below to break.
class MadeTree : public ::testing::Test {
protected:
    MadeTree() {
        put("src/base/bytes.h", "#pragma once\n#include <cstdint>\n");
        put("src/os/env.h", "#pragma once\n#include <unistd.h>\n#include \"base/bytes.h\"\n");
        put("src/os/env.cc", "#include \"os/env.h\"\n#include <fcntl.h>\n");
        put("src/os/CMakeLists.txt", "ntt_library(os\n    env.cc)\n");
        put("src/fs/fat/chain.h", "#pragma once\n");
        put("src/fs/fat/chain.cc", "#include \"fs/fat/chain.h\"\n#include \"os/env.h\"\n");
        put("src/fs/CMakeLists.txt", "ntt_library(fs fat/chain.cc)\n");
        put("apps/ntt/main.cc", "#include <unistd.h>\n");
        put("apps/ntt/CMakeLists.txt", "add_executable(ntt main.cc)\n");
        put("build/x/util.cc", "");
    }
    void put(const std::string& path, const std::string& content) {
        std::filesystem::create_directories((root() / path).parent_path());
        test::write_file((root() / path).string(), content);
    }
    std::filesystem::path root() const { return dir_.path(); }

private:
    test::TempDir dir_;
};

// --- the project ---

TEST(Layers, ProjectIncludesPointDownOnly) {
    const auto violations = check_include_directions(kProject);
    EXPECT_TRUE(violations.empty()) << text(violations);
}

TEST(Layers, ProjectMakesSystemCallsOnlyInOs) {
    const auto violations = check_system_headers(kProject);
    EXPECT_TRUE(violations.empty()) << text(violations);
}

TEST(Layers, ProjectBuildsEverySource) {
    const auto violations = check_every_source_is_built(kProject);
    EXPECT_TRUE(violations.empty()) << text(violations);
}

TEST(Layers, ProjectHasNoForbiddenNames) {
    const auto violations = check_names(kProject);
    EXPECT_TRUE(violations.empty()) << text(violations);
}

// --- the checks themselves ---

TEST_F(MadeTree, FollowsEveryRule) {
    EXPECT_THAT(check_include_directions(root()), IsEmpty());
    EXPECT_THAT(check_system_headers(root()), IsEmpty());
    EXPECT_THAT(check_every_source_is_built(root()), IsEmpty());
    EXPECT_THAT(check_names(root()), IsEmpty());
}

TEST_F(MadeTree, AnUpwardIncludeIsFound) {
    put("src/base/bytes.h", "  #  include \"os/env.h\"\n");
    EXPECT_THAT(check_include_directions(root()), ElementsAre(broken("src/base/bytes.h", "base may not include os")));
}

TEST_F(MadeTree, AnIncludeBetweenStoreAndCatalogIsFound) {
    put("src/catalog/catalog.h", "#include \"base/bytes.h\"\n");
    put("src/store/store.h", "#include \"catalog/catalog.h\"\n");
    EXPECT_THAT(check_include_directions(root()), ElementsAre(broken("src/store/store.h", "store may not include catalog")));
}

TEST_F(MadeTree, AnIncludeFromASubfolderCountsAsItsLayer) {
    put("src/store/store.h", "");
    put("src/fs/fat/chain.cc", "#include \"store/store.h\"\n");
    EXPECT_THAT(check_include_directions(root()), ElementsAre(broken("src/fs/fat/chain.cc", "fs may not include store")));
}

TEST_F(MadeTree, AnIncludeThatIsNotAPathBelowSrcIsFound) {
    put("src/fs/fat/chain.cc", "#include \"chain.h\"\n#include \"../fat/chain.h\"\n");
    EXPECT_THAT(check_include_directions(root()),
                ElementsAre(broken("src/fs/fat/chain.cc", "chain.h"), broken("src/fs/fat/chain.cc", "../fat/chain.h")));
}

TEST_F(MadeTree, AFolderWithoutAPlaceInTheTableIsFound) {
    put("src/extra/x.cc", "");
    put("src/loose.cc", "");
    EXPECT_THAT(check_include_directions(root()),
                UnorderedElementsAre(broken("src/extra/x.cc", "no folder"), broken("src/loose.cc", "no folder")));
}

TEST_F(MadeTree, ASystemHeaderOutsideOsIsFound) {
    put("src/fs/fat/chain.h", "#include <sys/mman.h>\n");
    EXPECT_THAT(check_system_headers(root()), ElementsAre(broken("src/fs/fat/chain.h", "sys/mman.h")));
}

TEST_F(MadeTree, AnExceptionThatIsNoLongerNeededIsFound) {
    put("src/store/layout.h", "#include <sys/types.h>\n");
    EXPECT_THAT(check_system_headers(root()), IsEmpty());
    put("src/store/layout.h", "#include <cstdint>\n");
    EXPECT_THAT(check_system_headers(root()), ElementsAre(broken("src/store/layout.h", "no longer needs")));
}

TEST_F(MadeTree, ASourceThatIsNotBuiltIsFound) {
    put("src/os/forgotten.cc", "");
    put("apps/ntt/commands/media.cc", "");
    put("tests/os/env_test.cc", "");
    EXPECT_THAT(check_every_source_is_built(root()), ElementsAre(broken("src/os/forgotten.cc", "src/os/CMakeLists.txt"),
                                                                 broken("apps/ntt/commands/media.cc", "apps/ntt/CMakeLists.txt"),
                                                                 broken("tests/os/env_test.cc", "no CMakeLists.txt")));
}

TEST_F(MadeTree, ASourceThatOnlyACommentOrALongerNameHoldsIsNotBuilt) {
    put("src/os/CMakeLists.txt", "ntt_library(os env.cc not_lock.cc)  # lock.cc\n");
    put("src/os/lock.cc", "");
    EXPECT_THAT(check_every_source_is_built(root()), ElementsAre(broken("src/os/lock.cc", "is not named")));
}

TEST_F(MadeTree, ASourceThatALoopNamesIsBuilt) {
    put("bench/CMakeLists.txt", "foreach(tool measure)\n    add_executable(${tool} ${tool}.cc)\nendforeach()\n");
    put("bench/measure.cc", "");
    put("bench/other.cc", "");
    EXPECT_THAT(check_every_source_is_built(root()), ElementsAre(broken("bench/other.cc", "is not named")));
}

TEST_F(MadeTree, AForbiddenNameIsFound) {
    put("src/base/util.h", "");
    put("src/base/string_Helpers.h", "");
    put("docs/common/x.md", "");
    put("src/base/utility_poles.h", "");
    EXPECT_THAT(check_names(root()), UnorderedElementsAre(broken("src/base/util.h", "util"), broken("docs/common", "common"),
                                                          broken("src/base/string_Helpers.h", "helpers")));
}

}  // namespace
}  // namespace ntt::layers

#include "os/kernel_log.h"

#include <fcntl.h>
#include <unistd.h>

#include "support/support.h"

namespace ntt::test {
namespace {

TEST(KernelRecord, is_read_from_a_line_of_kmsg) {
    const auto record = parse_kernel_record("6,339,5140900,-;NET: Registered protocol family 10\n SUBSYSTEM=acpi\n DEVICE=+acpi:PNP0A03:00\n");
    ASSERT_TRUE(record);
    EXPECT_EQ(record->sequence, 339u);
    EXPECT_EQ(record->at_us, 5140900);
    EXPECT_EQ(record->level, 6);
    EXPECT_EQ(record->text, "NET: Registered protocol family 10");
}

TEST(KernelRecord, has_its_escapes_resolved_and_a_facility_is_no_level) {
    const auto record = parse_kernel_record("30,1,2,-,caller=T12;cat: attempt to access beyond end of device\\x0aloop38: rw=0\\x5c\n");
    ASSERT_TRUE(record);
    EXPECT_EQ(record->level, 6);
    EXPECT_EQ(record->text, "cat: attempt to access beyond end of device\nloop38: rw=0\\");
    EXPECT_EQ(parse_kernel_record("4,1,2,-;a\\x0").value().text, "a\\x0") << "an escape that is cut off";
}

TEST(KernelRecord, is_nothing_else) {
    for (const char* text : {"", ";", "6;text", "6,7;text", "a,7,8,-;text", "6,7,8,- no text", "-1,7,8,-;text"}) EXPECT_FALSE(parse_kernel_record(text)) << text;
}

// What this test writes into the log itself comes back, once, and only what was logged from the chosen moment on.
TEST(DevKmsg, gives_what_was_logged_since) {
    const Fd out(::open("/dev/kmsg", O_WRONLY | O_CLOEXEC));
    auto log = open_kernel_log();
    if (!out.valid() || !log.ok()) GTEST_SKIP() << "/dev/kmsg cannot be read and written here";
    const std::string word = "ntt-test-" + std::to_string(::getpid());
    const auto say = [&](const std::string& text) { ASSERT_EQ(::write(out.raw(), text.data(), text.size()), static_cast<ssize_t>(text.size())); };
    say(word + " before\n");
    const auto from = (*log)->next_sequence();
    ASSERT_TRUE(from.ok());
    say(word + " one\n");
    say(word + " two\n");
    const auto records = (*log)->since(*from);
    ASSERT_TRUE(records.ok());
    std::vector<std::string> mine;
    for (const KernelRecord& record : *records)
        if (record.text.find(word) != std::string::npos) mine.push_back(record.text.substr(record.text.find(word) + word.size()));
    EXPECT_EQ(mine, (std::vector<std::string>{" one", " two"}));
}

}  // namespace
}  // namespace ntt::test

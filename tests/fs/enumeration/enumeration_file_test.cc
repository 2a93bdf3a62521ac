// A listing comes out of its file as it went in, and a file that is not whole is refused with the place of its damage.
#include "fs/enumeration/enumeration_file.h"

#include <fmt/format.h>
#include <gmock/gmock.h>

#include <functional>

#include "base/wire.h"
#include "fs/enumeration/records.h"
#include "recorded.h"
#include "support/fault_env.h"

namespace ntt::test {
namespace {

using testing::ContainsRegex;
using testing::ElementsAre;
using testing::HasSubstr;

constexpr const char* kMedium = "f95834a4b718f54edc7b549ca854aef8";

EnumerationHeader a_header() {
    EnumerationHeader header;
    header.medium_hash = kMedium;
    header.medium_human = "blue floppy, NIÑO";
    header.kind = EnumeratedKind::image;
    header.image_digest = blake3_of(as_bytes("the image"));
    header.image_size = 1474560;
    header.tool_version = "0.1.0";
    header.worker = "alicia on shelf-2";
    header.started_us = 1'760'000'000'000'000;
    header.detail = R"({"map":null})";
    return header;
}

Volume a_volume(int number) {
    Volume volume;
    volume.number = number;
    volume.offset_bytes = 512u * static_cast<uint64_t>(number);
    volume.size_bytes = 1 << 20;
    volume.view = "fat12";
    volume.fs_type = "fat";
    volume.role = Role::filesystem;
    volume.label = "DISK";
    volume.readable = true;
    volume.outcome = Outcome::read;
    volume.detail = R"({"table":"none"})";
    return volume;
}

InodeEntry an_inode(int64_t ino, char type = 'f') {
    InodeEntry inode;
    inode.ino = ino;
    inode.fs_ino = std::to_string(ino);
    inode.fs_type = type;
    if (type == 'f') {
        inode.size = 5000;
        inode.access = ContentAccess::extents;
        inode.extents = {{0, 1 << 16, 4096, ExtentKind::data}};
        inode.faults = {{Cause::FAT_CHAIN_SHORT, 4096, 904, R"({"cluster":12})"}};
    }
    inode.mtime = -1;
    inode.mtime_ns = 999'999'999;
    return inode;
}

// Names that broke loaders.
std::vector<std::string> hostile_names() {
    std::vector<std::string> out = {"Icon\r", "a\nb", "a\x1C" "b", "\\n.plist", "-rf", "\xC3\x28", "\xED\xA0\x80", " ", "folder/" + std::string(255, 'n'),
                                    std::string(kMaxPathOnWire, 'x')};
    for (int byte = 1; byte < 256; ++byte)
        if (byte != '/' && byte != '.') out.emplace_back(1, static_cast<char>(byte));
    return out;
}

std::vector<AnyEntry> small_listing() {
    InodeEntry link = an_inode(4, 'l');
    link.target = "../elsewhere";
    return {DirectoryPlace{"", std::nullopt, {{512, 1024}}},
            an_inode(2),
            NameEntry{"A", "A", 2},
            an_inode(3, 'd'),
            NameEntry{"sub", "SUB", 3},
            Finding{"duplicate_entry", "twice", R"({"path":"/A"})", 1, 2},
            NameEntry{"A", "A", 2},
            link,
            NameEntry{"sub/l\x1C\n\xFF", "", 4}};
}

// Two volumes and a finding on the medium before, between and behind them.
Result<void> write_small(Env& env, const Fd& file) {
    TRY_ASSIGN(auto writer, EnumerationWriter::create(env, file, a_header()));
    writer->add({"erased", "looks empty", "{}", 0, std::nullopt});
    TRY(writer->begin_volume(a_volume(1)));
    TRY(play(small_listing(), *writer));
    TRY(writer->end_volume(Outcome::partial, R"({"cluster_size":512})"));
    writer->add({"container_damaged", "between", R"({"at":7})", 2, std::nullopt});
    TRY(writer->begin_volume(a_volume(7)));
    TRY(writer->end_volume(Outcome::read, "{}"));
    writer->add({"map_is_odd", "behind", "{}", 0, std::nullopt});
    return writer->finish();
}

class EnumerationFile : public testing::Test {
protected:
    const TempDir folder;
    const std::string path = folder / "e.ntt";
    Env& env = Env::host();
    const CancelToken cancel{};

    std::string small_file() {
        const Result<void> written = write_small(env, new_file(env, folder, "e.ntt"));
        EXPECT_TRUE(written.ok()) << why(written);
        return read_file(path);
    }

    Result<std::unique_ptr<Enumeration>> open() { return open_enumeration(env, opened(path), "e.ntt", cancel); }

    Error error_of(std::string_view bytes) {
        std::filesystem::remove(path);  // some disks sync a file that is overwritten, and there are thousands
        write_file(path, bytes);
        const auto file = open();
        EXPECT_FALSE(file.ok());
        return file.ok() ? Error{} : file.error();
    }

    std::vector<Record> records_of(std::string_view bytes) {
        write_file(path, bytes);
        const Fd file = opened(path);
        RecordReader reader(env, file, "e.ntt", bytes.size(), {}, RecordReader::Digest::none);
        std::vector<Record> out;
        for (;;) {
            auto record = reader.next();
            EXPECT_TRUE(record.ok()) << why(record);
            if (!record.ok() || !*record) return out;
            out.push_back(*std::move(*record));
        }
    }

    // A file of these records whose checks and whose digest are right: what is wrong with it is what it says.
    std::string forged(const std::vector<Record>& records, uint8_t version = kEnumerationVersion) {
        const Fd file = new_file(env, folder, "forged");
        RecordWriter out(env, file, version);
        for (const Record& record : records) {
            std::string content = record.content;
            if (record.type == RecordType::trailer && content.size() >= 32)
                content.replace(content.size() - 32, 32, as_text(out.digest().bytes));
            EXPECT_TRUE(out.put(record.type, content).ok());
        }
        EXPECT_TRUE(out.flush().ok());
        return read_file(folder / "forged");
    }
};

std::string listed(FsReader& reader) {
    Recorded sink;
    const Result<void> done = reader.list(sink, CancelToken());
    EXPECT_TRUE(done.ok()) << why(done);
    return sink.bytes();
}

std::string bytes_of(const std::vector<AnyEntry>& entries) {
    Recorded sink;
    sink.entries = entries;
    return sink.bytes();
}

TEST_F(EnumerationFile, gives_back_header_volumes_entries_and_findings) {
    small_file();
    ASSERT_OK_ASSIGN(const auto file, open());
    const EnumerationHeader is = file->header(), was = a_header();
    EXPECT_EQ(std::tie(is.medium_hash, is.medium_human, is.kind, is.image_digest, is.image_size, is.tool_version, is.worker, is.started_us, is.detail),
              std::tie(was.medium_hash, was.medium_human, was.kind, was.image_digest, was.image_size, was.tool_version, was.worker, was.started_us, was.detail));
    ASSERT_EQ(file->volumes().size(), 2u);
    const ListedVolume& first = file->volumes()[0];
    EXPECT_EQ(encode_volume(first.volume), encode_volume(a_volume(1)));
    EXPECT_EQ(first.outcome, Outcome::partial);
    EXPECT_EQ(first.detail, R"({"cluster_size":512})");
    EXPECT_EQ(first.counts, (EntryCounts{3, 4, 1, 1}));
    EXPECT_EQ(file->volumes()[1].volume.number, 7);
    EXPECT_EQ(file->volumes()[1].counts, EntryCounts());
    EXPECT_EQ(file->counts(), (EntryCounts{3, 4, 1, 4}));

    const auto reader = file->open_volume(0);
    EXPECT_EQ(listed(*reader), bytes_of(small_listing()));
    EXPECT_EQ(listed(*reader), bytes_of(small_listing())) << "and once more";
    EXPECT_EQ(reader->detail(), R"({"cluster_size":512})");
    EXPECT_EQ(listed(*file->open_volume(1)), "");
    FindingList findings;
    ASSERT_OK(file->medium_findings(findings, cancel));
    ASSERT_EQ(findings.findings.size(), 3u);
    EXPECT_EQ(findings.findings[0].code, "erased");
    EXPECT_EQ(findings.findings[1].evidence, R"({"at":7})");
    EXPECT_EQ(findings.findings[1].volume, 2);
    EXPECT_EQ(findings.findings[2].code, "map_is_odd");
}

TEST_F(EnumerationFile, keeps_every_byte_of_hostile_names_over_many_records) {
    std::vector<AnyEntry> entries;
    int64_t ino = 0;
    for (int round = 0; round < 20; ++round)
        for (const std::string& name : hostile_names()) {
            entries.emplace_back(an_inode(++ino));
            entries.emplace_back(NameEntry{name, "", ino});
        }
    const Fd out = new_file(env, folder, "e.ntt");
    ASSERT_OK_ASSIGN(auto writer, EnumerationWriter::create(env, out, a_header()));
    ASSERT_OK(writer->begin_volume(a_volume(1)));
    ASSERT_OK(play(entries, *writer));
    ASSERT_OK(writer->end_volume(Outcome::read, "{}"));
    ASSERT_OK(writer->finish());
    ASSERT_OK_ASSIGN(const auto file, open());
    EXPECT_TRUE(listed(*file->open_volume(0)) == bytes_of(entries));
    EXPECT_GT(records_of(read_file(path)).size(), 10u);
}

TEST_F(EnumerationFile, has_no_contents) {
    small_file();
    ASSERT_OK_ASSIGN(const auto file, open());
    uint8_t byte = 0;
    const auto read = file->open_volume(0)->read_content("2", "", 0, {&byte, 1});
    ASSERT_FALSE(read.ok());
    EXPECT_EQ(read.error().code, ErrorCode::unsupported);
}

TEST_F(EnumerationFile, cut_anywhere_is_refused) {
    const std::string whole = small_file();
    for (size_t length = 0; length < whole.size(); ++length) {
        const Error error = error_of(std::string_view(whole).substr(0, length));
        ASSERT_EQ(error.code, ErrorCode::malformed) << length;
        if (length > 0) {
            ASSERT_THAT(error.message, HasSubstr(fmt::format("the file ends at byte {}", length)));
        }
    }
    const std::vector<Record> records = records_of(whole);
    EXPECT_THAT(error_of(std::string_view(whole).substr(0, records.back().offset)).message, HasSubstr("2 volumes, 3 inodes, 4 names, 1 directories, 4 findings"));
}

TEST_F(EnumerationFile, with_any_byte_changed_is_refused_and_the_record_is_named) {
    const std::string whole = small_file();
    const std::vector<Record> records = records_of(whole);
    ASSERT_EQ(records.size(), 10u);
    for (size_t at = 0; at < whole.size(); ++at)
        for (const int flip : {0x01, 0x80, 0xFF}) {
            std::string bytes = whole;
            bytes[at] = static_cast<char>(bytes[at] ^ flip);
            const Error error = error_of(bytes);
            if (at < 7) {
                ASSERT_THAT(error.message, HasSubstr("at byte 0"));
            } else if (at == 7) {
                ASSERT_THAT(error.message, HasSubstr("byte 7"));
            } else {
                const Record* hit = nullptr;
                for (const Record& record : records)
                    if (record.offset <= at) hit = &record;
                ASSERT_THAT(error.message, HasSubstr(fmt::format("record {} at byte {}", hit->number, hit->offset))) << "byte " << at;
            }
        }
}

TEST_F(EnumerationFile, with_bytes_behind_its_end_is_refused) {
    EXPECT_THAT(error_of(small_file() + "x").message, HasSubstr("1 bytes behind the trailer"));
    EXPECT_THAT(error_of(small_file() + small_file()).message, HasSubstr("behind the trailer"));
}

TEST_F(EnumerationFile, that_lies_about_the_length_of_a_record_is_refused) {
    const std::string whole = small_file();
    for (const Record& record : records_of(whole))
        for (const uint32_t length : {0u, static_cast<uint32_t>(record.content.size() + 1), 1u << 20, 64u << 20, 0xFFFFFFFFu}) {
            if (length == record.content.size()) continue;
            std::string bytes = whole;
            for (size_t i = 0; i < 4; ++i) bytes[record.offset + i] = static_cast<char>(length >> (8 * i));
            EXPECT_THAT(error_of(bytes).message, HasSubstr(fmt::format("record {} at byte {}", record.number, record.offset)));
        }
}

TEST_F(EnumerationFile, whose_records_are_sound_and_out_of_order_is_refused) {
    const std::vector<Record> good = records_of(small_file());
    ASSERT_EQ(forged(good), small_file()) << "forging changes nothing by itself";
    const auto refused = [&](const char* words, size_t record, const std::function<void(std::vector<Record>&)>& change) {
        std::vector<Record> records = good;
        change(records);
        EXPECT_THAT(error_of(forged(records)).message, testing::AllOf(HasSubstr(words), HasSubstr(fmt::format("record {} ", record))));
    };
    const auto drop = [](std::ptrdiff_t at) { return [at](std::vector<Record>& records) { records.erase(records.begin() + at); }; };
    refused("not the header", 1, drop(0));
    refused("an entry outside of a volume", 3, drop(2));
    refused("inside another one", 6, drop(4));
    refused("did not begin", 7, drop(6));
    refused("cut short", 10, drop(9));
    refused("the trailer has", 9, drop(1));
    refused("another header", 2, [](std::vector<Record>& records) { records.insert(records.begin() + 1, records[0]); });
    refused("volume 1 once more", 7, [](std::vector<Record>& records) { records[6] = records[2]; });
    refused("the trailer inside a volume", 5, [](std::vector<Record>& records) { records[4] = records[9]; });
    refused("type 6", 2, [](std::vector<Record>& records) { records[1].type = static_cast<RecordType>(6); });
    refused("header cannot be read", 1, [](std::vector<Record>& records) { records[0].content += '\0'; });
    refused("description of a volume", 3, [](std::vector<Record>& records) { records[2].content = encode_volume(a_volume(0)); });
    refused("end of a volume cannot", 5, [](std::vector<Record>& records) { records[4].content[0] = 10; });
    refused("trailer cannot", 10, [](std::vector<Record>& records) { records[9].content = "x"; });
}

TEST_F(EnumerationFile, that_lies_about_its_counts_is_refused) {
    const std::vector<Record> good = records_of(small_file());
    for (const size_t which : {size_t{4}, size_t{9}}) {
        std::vector<Record> records = good;
        std::string& content = records[which].content;
        // The four counts stand before the trailer's digest (33 bytes with its length) and at the end of a volume's end.
        const size_t counts = which == 9 ? content.size() - 33 - 4 : content.size() - 4;
        for (size_t i = 0; i < 4; ++i) {
            const std::string was = content;
            ++content[counts + i];
            EXPECT_THAT(error_of(forged(records)).message, ContainsRegex(fmt::format("record {} at byte.*3 inodes, 4 names, 1 directories", which + 1)));
            content = was;
        }
    }
    std::vector<Record> records = good;
    ++records[9].content[0];
    EXPECT_THAT(error_of(forged(records)).message, HasSubstr("the trailer has 3 volumes"));
}

TEST_F(EnumerationFile, with_the_trailer_of_another_one_is_refused) {
    std::vector<Record> records = records_of(small_file());
    std::string file = forged(records);
    const std::string trailer = file.substr(records[9].offset);
    EnumerationHeader header = a_header();
    header.worker.back() = '3';
    std::string other = a_header().worker;
    records[0].content.replace(records[0].content.find(other), other.size(), header.worker);
    file = forged(records).substr(0, records[9].offset) + trailer;
    EXPECT_THAT(error_of(file).message, testing::AllOf(HasSubstr("record 10"), HasSubstr("not the one that the trailer was written for")));
}

TEST_F(EnumerationFile, with_entries_that_cannot_be_is_refused_by_record_and_entry) {
    const std::vector<Record> good = records_of(small_file());
    const auto refused = [&](const char* words, const std::vector<AnyEntry>& entries) {
        std::vector<Record> records = good;
        records[3].content = bytes_of(entries);
        EXPECT_THAT(error_of(forged(records)).message, testing::AllOf(HasSubstr("record 4 at byte"), HasSubstr(words)));
    };
    refused("entry 1 is a name of an inode", {NameEntry{"A", "", 2}});
    refused("entry 2 is an inode that was there", {an_inode(2), an_inode(2)});
    for (const char* name : {"", "/A", "../A", "A//B", "A/.."}) refused("entry 2 is a path that is none", {an_inode(2), NameEntry{name, "", 2}});
    InodeEntry uncovered = an_inode(2);
    uncovered.faults.clear();
    refused("under neither", {uncovered});
    refused("evidence that is no JSON", {Finding{"code", "", "{", 0, std::nullopt}});
    std::vector<Record> records = good;
    records[3].content += "\5";
    EXPECT_THAT(error_of(forged(records)).message, HasSubstr("what follows entry 9 is none"));
}

TEST_F(EnumerationFile, of_a_newer_version_is_unsupported_and_of_no_version_is_none) {
    const Error newer = error_of(forged(records_of(small_file()), 2));
    EXPECT_EQ(newer.code, ErrorCode::unsupported);
    EXPECT_THAT(newer.message, HasSubstr("version 2"));
    for (const std::string text : {"", "hello", "NTTENUX", "\x1F\x8B\x08"}) EXPECT_THAT(error_of(text).message, HasSubstr("no enumeration")) << text;
    const auto folder_itself = open_enumeration(env, opened(folder.path().string()), "folder", cancel);
    ASSERT_FALSE(folder_itself.ok());
    EXPECT_EQ(folder_itself.error().code, ErrorCode::unsupported);
}

TEST_F(EnumerationFile, is_for_one_medium) {
    EXPECT_TRUE(check_medium(a_header(), kMedium, "e.ntt").ok());
    const auto refused = check_medium(a_header(), std::string(32, 'a'), "e.ntt");
    ASSERT_FALSE(refused.ok());
    EXPECT_THAT(refused.error().message, testing::AllOf(HasSubstr(kMedium), HasSubstr(std::string(32, 'a')), HasSubstr("blue floppy")));
}

TEST_F(EnumerationFile, is_known_by_its_first_bytes) {
    const auto format_of = [&](std::string_view bytes) {
        write_file(path, bytes);
        return enumeration_format(env, opened(path), "e.ntt");
    };
    EXPECT_EQ(*format_of(small_file()), EnumerationFormat::ntt);
    EXPECT_EQ(*format_of("NTT"), EnumerationFormat::ntt) << "cut short, and refused for that";
    EXPECT_EQ(*format_of("f\x1C" "1\x1C"), EnumerationFormat::ntt_raw);
    EXPECT_EQ(*format_of("-rw-r--r--\x1C" "1\x1C"), EnumerationFormat::ntt_raw) << "the older format, and refused for that";
    for (const std::string text : {"", "hello", "d /mnt 12"}) EXPECT_FALSE(format_of(text).ok()) << text;
}

TEST_F(EnumerationFile, that_changes_under_a_reader_is_an_error) {
    const std::string whole = small_file();
    ASSERT_OK_ASSIGN(const auto file, open());
    std::string bytes = whole;
    bytes[records_of(whole)[3].offset + 20] ^= 1;
    patch_file(path, 0, bytes);
    Recorded sink;
    const auto listing = file->open_volume(0)->list(sink, cancel);
    ASSERT_FALSE(listing.ok());
    EXPECT_THAT(listing.error().message, HasSubstr("record 4"));
    std::filesystem::resize_file(path, 100);
    EXPECT_FALSE(file->open_volume(1)->list(sink, cancel).ok());
}

TEST_F(EnumerationFile, can_be_interrupted) {
    small_file();
    CancelToken stop;
    ASSERT_OK_ASSIGN(const auto file, open());
    stop.cancel();
    Recorded sink;
    EXPECT_EQ(file->open_volume(0)->list(sink, stop).error().code, ErrorCode::cancelled);
    EXPECT_EQ(open_enumeration(env, opened(path), "e.ntt", stop).error().code, ErrorCode::cancelled);
}

TEST_F(EnumerationFile, hands_on_the_error_of_a_sink) {
    struct Full final : EntrySink {
        void add(Finding) override {}
        Result<void> add_inode(InodeEntry) override { return make_error(ErrorCode::no_space, "full"); }
        Result<void> add_name(NameEntry) override { return {}; }
    } full;
    small_file();
    ASSERT_OK_ASSIGN(const auto file, open());
    EXPECT_EQ(file->open_volume(0)->list(full, cancel).error().code, ErrorCode::no_space);
}

TEST_F(EnumerationFile, is_written_whole_or_with_an_error) {
    const TempDir grave;
    size_t nth = 1;
    for (;; ++nth) {
        FaultEnv faulty(grave.path().string());
        const Fd file = new_file(env, folder, "e.ntt");
        faulty.set_fault({nth, ENOSPC, Op::write});
        const Result<void> written = write_small(faulty, file);
        if (!faulty.fault_fired()) break;
        ASSERT_FALSE(written.ok());
        EXPECT_EQ(written.error().code, ErrorCode::no_space);
        EXPECT_FALSE(open().ok());
    }
    EXPECT_GT(nth, 1u);
    EXPECT_TRUE(open().ok());
}

TEST_F(EnumerationFile, that_the_host_cannot_read_is_not_called_damaged) {
    small_file();
    const TempDir grave;
    size_t nth = 1;
    for (;; ++nth) {
        FaultEnv faulty(grave.path().string());
        faulty.set_fault({nth, EIO, Op::read});
        const auto file = open_enumeration(faulty, opened(path), "e.ntt", cancel);
        if (!faulty.fault_fired()) break;
        ASSERT_FALSE(file.ok());
        EXPECT_EQ(file.error().code, ErrorCode::io);
    }
    EXPECT_GT(nth, 1u);
}

TEST_F(EnumerationFile, is_not_begun_with_a_header_or_a_volume_that_could_not_be_read) {
    const Fd out = new_file(env, folder, "e.ntt");
    for (const auto& change : std::vector<std::function<void(EnumerationHeader&)>>{
             [](EnumerationHeader& header) { header.medium_hash = "12"; }, [](EnumerationHeader& header) { header.medium_human = "\xFF"; },
             [](EnumerationHeader& header) { header.worker.assign(70'000, 'x'); }, [](EnumerationHeader& header) { header.image_size = -1; },
             [](EnumerationHeader& header) { header.detail = "{"; }}) {
        EnumerationHeader header = a_header();
        change(header);
        const auto writer = EnumerationWriter::create(env, out, header);
        ASSERT_FALSE(writer.ok());
        EXPECT_EQ(writer.error().code, ErrorCode::invalid_argument);
    }
    ASSERT_OK_ASSIGN(auto writer, EnumerationWriter::create(env, out, a_header()));
    EXPECT_FALSE(writer->begin_volume(a_volume(0)).ok());
    EXPECT_FALSE(writer->begin_volume(a_volume(4097)).ok());
    ASSERT_OK(writer->begin_volume(a_volume(2)));
    EXPECT_FALSE(writer->end_volume(Outcome::read, "{").ok());
    ASSERT_OK(writer->end_volume(Outcome::read, "{}"));
    EXPECT_FALSE(writer->begin_volume(a_volume(2)).ok());
}

TEST_F(EnumerationFile, does_not_take_what_no_reader_would_take) {
    const Fd out = new_file(env, folder, "e.ntt");
    ASSERT_OK_ASSIGN(auto writer, EnumerationWriter::create(env, out, a_header()));
    ASSERT_OK(writer->begin_volume(a_volume(1)));
    writer->add_directory({"../up", 5, {}});
    EXPECT_EQ(writer->add_inode(an_inode(2)).error().code, ErrorCode::malformed) << "what a directory could not return comes now";
    EXPECT_FALSE(writer->end_volume(Outcome::read, "{}").ok());
}

TEST_F(EnumerationFile, counts_the_findings_that_it_does_not_hold) {
    const Fd out = new_file(env, folder, "e.ntt");
    ASSERT_OK_ASSIGN(auto writer, EnumerationWriter::create(env, out, a_header()));
    ASSERT_OK(writer->begin_volume(a_volume(1)));
    for (uint64_t i = 0; i < kMaxFindings + 5; ++i) writer->add({"name_invalid", "a \xFF name", "{}", 0, std::nullopt});
    ASSERT_OK(writer->end_volume(Outcome::read, "{}"));
    ASSERT_OK(writer->finish());
    ASSERT_OK_ASSIGN(const auto file, open());
    Recorded sink;
    ASSERT_OK(file->open_volume(0)->list(sink, cancel));
    const std::vector<Finding> findings = sink.all<Finding>();
    ASSERT_EQ(findings.size(), kMaxFindings);
    EXPECT_EQ(findings.back().code, "findings_left_out");
    EXPECT_EQ(findings.back().evidence, R"({"count":6})");
}

// The encoding of volumes and entries is that of messages between two programs of one version; in files it must not move.
TEST_F(EnumerationFile, of_this_version_has_these_bytes) {
    EXPECT_EQ(blake3_of(as_bytes(small_file())).hex().substr(0, 32), "a384d9ad12d5b6fc809315d7ebd78f90") << "who changes the format raises kEnumerationVersion";
}

}  // namespace
}  // namespace ntt::test

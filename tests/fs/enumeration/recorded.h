// A listing as a list of entries, and files to keep it in.
#pragma once

#include <string>
#include <utility>
#include <variant>
#include <vector>

#include "fs/fs_reader.h"
#include "fs/isolated/entry_checker.h"
#include "fs/isolated/messages.h"
#include "os/env.h"
#include "support/support.h"

namespace ntt::test {

// Keeps what it is given in its order; every entry must be one that a load believes.
struct Recorded final : EntrySink {
    std::vector<AnyEntry> entries;
    EntryChecker checker;

    Result<void> add_inode(InodeEntry inode) override { return keep(std::move(inode)); }
    Result<void> add_name(NameEntry name) override { return keep(std::move(name)); }
    void add_directory(DirectoryPlace place) override { keep(std::move(place)).ignore("it is always good"); }
    void add(Finding finding) override { keep(std::move(finding)).ignore("it is always good"); }

    template <typename Entry>
    Result<void> keep(Entry entry) {
        const auto complaint = checker.check(entry);
        EXPECT_FALSE(complaint) << *complaint;
        entries.emplace_back(std::move(entry));
        return {};
    }

    template <typename Entry>
    std::vector<Entry> all() const {
        std::vector<Entry> out;
        for (const AnyEntry& any : entries)
            if (const auto* entry = std::get_if<Entry>(&any)) out.push_back(*entry);
        return out;
    }
    std::vector<std::string> paths() const {
        std::vector<std::string> out;
        for (const NameEntry& name : all<NameEntry>()) out.push_back(name.path);
        return out;
    }
    size_t count(std::string_view code) const {
        size_t out = 0;
        for (const Finding& finding : all<Finding>()) out += finding.code == code ? size_t{1} : 0;
        return out;
    }

    // Everything in one text, for comparing.
    std::string bytes() const {
        EntryWriter out;
        for (const AnyEntry& any : entries) std::visit([&](const auto& entry) { out.add(entry); }, any);
        return out.take();
    }
};

// Hands a list of entries to a sink.
inline Result<void> play(const std::vector<AnyEntry>& entries, EntrySink& sink) {
    for (const AnyEntry& any : entries) {
        if (const auto* inode = std::get_if<InodeEntry>(&any)) TRY(sink.add_inode(*inode));
        else if (const auto* name = std::get_if<NameEntry>(&any)) TRY(sink.add_name(*name));
        else if (const auto* place = std::get_if<DirectoryPlace>(&any)) sink.add_directory(*place);
        else sink.add(std::get<Finding>(any));
    }
    return {};
}

// A new, empty file that can be written.
inline Fd new_file(Env& env, const TempDir& folder, const std::string& name) {
    std::filesystem::remove(folder.path() / name);
    const auto dir = env.open_dir(folder.path().string());
    EXPECT_TRUE(dir.ok());
    auto file = env.open_create_at(*dir, name, 0644, Existing::fail);
    EXPECT_TRUE(file.ok()) << why(file);
    return std::move(file).value();
}

inline Fd opened(const std::string& path) {
    auto file = Env::host().open_read(path);
    EXPECT_TRUE(file.ok()) << why(file);
    return std::move(file).value();
}

}  // namespace ntt::test

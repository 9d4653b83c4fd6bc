// The house's rule: a piece sees only the pieces that its CMakeLists.txt names, and those are the table below.
#include <gtest/gtest.h>

#include <filesystem>
#include <fstream>
#include <map>
#include <regex>
#include <set>
#include <sstream>

namespace {

namespace fs = std::filesystem;

// lib folder -> folders it may include. CONTRIBUTING.md shows the same table.
const std::map<std::string, std::set<std::string>> kMayInclude = {
    {"base", {}},
    {"process", {"base"}},
    {"namespaces", {"base", "process"}},
    {"rootfs", {"base"}},
    {"cgroups", {"base"}},
    {"unionfs", {"base", "rootfs"}},
    {"image", {"base", "rootfs", "unionfs"}},
    {"security", {"base"}},
    {"runtime", {"base", "process", "namespaces", "rootfs", "cgroups", "security"}},
    {"engine", {"base", "process", "rootfs", "cgroups", "security", "image", "unionfs", "runtime"}},
    {"build", {"base", "process", "rootfs", "security", "image", "unionfs", "engine", "runtime"}},
};

std::string read(const fs::path& path) {
  std::ifstream file(path);
  std::stringstream text;
  text << file.rdbuf();
  return text.str();
}

std::set<std::string> included_folders(const fs::path& file) {
  static const std::regex include("#include \"([a-z]+)/[^\"]+\"");
  const std::string text = read(file);
  std::set<std::string> folders;
  for (std::sregex_iterator at(text.begin(), text.end(), include), end; at != end; ++at) {
    folders.insert((*at)[1]);
  }
  return folders;
}

TEST(House, PiecesIncludeOnlyWhatTheyMay) {
  const fs::path lib = fs::path(JIGSAW_SOURCE_DIR) / "lib";
  size_t files = 0;
  for (const auto& [piece, allowed] : kMayInclude) {
    for (const auto& entry : fs::directory_iterator(lib / piece)) {
      for (const std::string& folder : included_folders(entry.path())) {
        EXPECT_TRUE(folder == piece || allowed.contains(folder)) << entry.path() << " includes " << folder;
      }
      ++files;
    }
  }
  EXPECT_GT(files, 20U);
}

TEST(House, EveryFolderIsInTheTable) {
  for (const auto& entry : fs::directory_iterator(fs::path(JIGSAW_SOURCE_DIR) / "lib")) {
    if (entry.is_directory()) {
      EXPECT_TRUE(kMayInclude.contains(entry.path().filename())) << entry.path();
    }
  }
}

TEST(House, ContributorsReadTheSameTable) {
  static const std::regex row("\\| `([a-z]+)` \\| 0[1-6] \\| [^|]* \\| ([a-z, ]*|–) \\|");
  std::istringstream page(read(fs::path(JIGSAW_SOURCE_DIR) / "CONTRIBUTING.md"));
  std::map<std::string, std::set<std::string>> shown;
  for (std::string line; std::getline(page, line);) {
    std::smatch match;
    if (!std::regex_match(line, match, row)) {
      continue;
    }
    std::set<std::string>& pieces = shown[match[1]];
    std::string names = std::regex_replace(match[2].str(), std::regex("[^a-z]+"), " ");
    std::istringstream words(names);
    for (std::string word; words >> word;) {
      pieces.insert(word);
    }
  }
  EXPECT_EQ(shown, kMayInclude);
}

TEST(House, LinkListsAreTheTable) {
  static const std::regex depends("DEPENDS([a-z \n]*)");
  for (const auto& [piece, allowed] : kMayInclude) {
    const std::string text = read(fs::path(JIGSAW_SOURCE_DIR) / "lib" / piece / "CMakeLists.txt");
    std::smatch match;
    std::set<std::string> named;
    if (std::regex_search(text, match, depends)) {
      std::istringstream words(match[1]);
      for (std::string word; words >> word;) {
        named.insert(word);
      }
    }
    for (const std::string& folder : named) {
      EXPECT_TRUE(allowed.contains(folder)) << piece << " links " << folder;
    }
  }
}

// Each step sees the pieces that entered with it or before.
TEST(House, StepsIncludeNoLaterPieceAndNoSystemHeader) {
  const std::vector<std::pair<std::string, std::set<std::string>>> entered = {
      {"01-process", {"base", "process"}},
      {"02-namespaces", {"namespaces", "rootfs"}},
      {"03-cgroups", {"cgroups"}},
      {"04-unionfs", {"unionfs"}},
      {"05-image", {"image"}},
      {"06-multistage", {"security", "runtime", "engine", "build", "commands", "transfer", "oci", "sdbus"}},
  };
  static const std::regex system("#include <(sys/|linux/|sched\\.h|unistd\\.h|fcntl\\.h|signal\\.h)");
  std::set<std::string> seen;
  for (const auto& [step, pieces] : entered) {
    seen.insert(pieces.begin(), pieces.end());
    for (const auto& entry : fs::recursive_directory_iterator(fs::path(JIGSAW_SOURCE_DIR) / "steps" / step)) {
      if (entry.path().extension() != ".cpp" && entry.path().extension() != ".h") {
        continue;
      }
      const std::string text = read(entry.path());
      EXPECT_FALSE(std::regex_search(text, system)) << entry.path() << " includes a system header";
      for (const std::string& folder : included_folders(entry.path())) {
        EXPECT_TRUE(seen.contains(folder)) << entry.path() << " includes " << folder;
      }
      if (entry.path().filename() == "main.cpp" && entry.path().parent_path().filename() == step) {
        EXPECT_LE(std::count(text.begin(), text.end(), '\n'), 150) << entry.path();
      }
    }
  }
}

}  // namespace

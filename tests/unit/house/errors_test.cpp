// tutorials/errors.md explains messages that the programs really have.
#include <gtest/gtest.h>

#include <filesystem>

#include "base/files.h"
#include "base/text.h"

namespace jigsaw {
namespace {

std::string all_sources() {
  std::string result;
  for (const char* folder : {"lib", "steps"}) {
    for (const auto& entry : std::filesystem::recursive_directory_iterator(std::string(JIGSAW_SOURCE_DIR) + "/" + folder)) {
      if (entry.path().extension() == ".cpp") {
        result += files::read(entry.path().string());
      }
    }
  }
  return result;
}

TEST(House, ErrorsInTheTutorialsAreThoseOfThePrograms) {
  const std::string sources = all_sources();
  const std::string page = files::read(std::string(JIGSAW_SOURCE_DIR) + "/tutorials/errors.md");
  size_t messages = 0;
  for (const std::string_view line : text::lines(page)) {
    if (!line.starts_with("| `")) {
      continue;
    }
    std::string message(line.substr(3, line.find("` ", 3) - 3));
    for (size_t at = 0; (at = message.find("…")) != std::string::npos;) {
      message.replace(at, std::string("…").size(), "\n");
    }
    for (const std::string_view part : text::split(message, '\n')) {
      EXPECT_NE(sources.find(text::trim(part)), std::string::npos) << "no program says " << part;
    }
    ++messages;
  }
  EXPECT_GT(messages, 15U);
}

}  // namespace
}  // namespace jigsaw

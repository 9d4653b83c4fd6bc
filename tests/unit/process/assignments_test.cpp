#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <unistd.h>

#include <cstdlib>

#include "base/error.h"
#include "base/files.h"
#include "process/exec.h"

namespace jigsaw::process {
namespace {

using ::testing::ElementsAre;
using ::testing::HasSubstr;

class Assignments : public ::testing::Test {
 protected:
  std::vector<std::string> read(const std::string& content) {
    files::replace(file_, content, {.mode = 0600, .sync = false});
    return read_assignments(file_);
  }
  std::string error_of(const std::string& content) {
    try {
      read(content);
    } catch (const Error& error) {
      return error.message();
    }
    return "none";
  }
  void TearDown() override { files::remove_tree(file_); }

  const std::string file_ = ::testing::TempDir() + "assignments-" + std::to_string(::getpid());
};

TEST_F(Assignments, AreALineEachAndTheValueIsAllThatFollows) {
  EXPECT_THAT(read("A=1\nB=two words \n\n  # no\n#C=3\n \tD=\"q\"=x\nE\nF="),
              ElementsAre("A=1", "B=two words ", "D=\"q\"=x", "E", "F="));
  EXPECT_THAT(read("\xef\xbb\xbf" "A=1\r\nB=2\r\n"), ElementsAre("A=1", "B=2"));
  EXPECT_THAT(read(""), ElementsAre());
}

TEST_F(Assignments, ANameWithBlanksOrNoneIsRefusedWithItsLine) {
  EXPECT_THAT(error_of("A=1\nB C=2\n"), HasSubstr("line 2: \"B C\" is no name of a variable"));
  EXPECT_THAT(error_of("=1\n"), HasSubstr("line 1"));
  EXPECT_THAT(error_of(std::string("A=1\0\n", 5)), HasSubstr("holds a NUL byte"));
}

TEST_F(Assignments, OfTheCommandLineCountMoreThanThoseOfFiles) {
  read("A=file\nB=file\n");
  std::vector<std::string> environment;
  for (const std::string& assignment : with_assignments_of({file_}, {"A=word"})) {
    set_variable(environment, assignment);
  }
  EXPECT_THAT(environment, ElementsAre("B=file", "A=word"));
}

}  // namespace
}  // namespace jigsaw::process

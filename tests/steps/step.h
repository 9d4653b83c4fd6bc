// What the black box tests of all steps need: a run with a record directory of its own, one form of error, and
// nothing left behind.
#pragma once

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <chrono>
#include <string>
#include <thread>
#include <vector>

#include "base/files.h"
#include "support/run.h"
#include "support/snapshot.h"

namespace jigsaw::test {

// A wrong command line and what has to come of it.
struct BadInput {
  std::string name;  // of the test
  std::vector<std::string> arguments;
  int code;
  std::string message;  // a part of the first line
  std::string hint;     // a part of the second, or "" if there need be none
};

// In tests/vm, which has no time for what is the same on every kernel.
bool in_virtual_machine();

// Each test has room of its own, and asserts at its end that the host is as it was.
class StepTest : public ::testing::Test {
 protected:
  void SetUp() override { before_ = host_snapshot(); }
  // What was killed takes a moment to go.
  void TearDown() override {
    std::string left = left_behind(before_, host_snapshot());
    for (int wait = 0; wait < 100 && !left.empty(); ++wait) {
      std::this_thread::sleep_for(std::chrono::milliseconds(20));
      left = left_behind(before_, host_snapshot());
    }
    EXPECT_EQ(left, "");
  }

  // bin(program) --run-root ROOM/run <arguments>
  std::vector<std::string> command(const std::string& program, const std::vector<std::string>& arguments) const;
  Result run_step(const std::string& program, const std::vector<std::string>& arguments,
                  const RunOptions& options = {}) const;
  // Starts it in the background and returns its pid once `arguments`' program has printed a line.
  int start_step(const std::string& program, const std::vector<std::string>& arguments);
  static bool is_alive(int pid);  // and no zombie
  static void wait_until_gone(int pid);
  void check_bad_input(const std::string& program, const BadInput& input) const;
  std::string room(const std::string& name = "") const { return room_.path() + (name.empty() ? "" : "/" + name); }

 private:
  files::TemporaryDirectory room_{"/tmp", "jigsaw-steps-"};
  HostSnapshot before_;
};

}  // namespace jigsaw::test

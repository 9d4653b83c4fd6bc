// Running programs from tests: with a deadline, with both outputs kept apart.
#pragma once

#include <chrono>
#include <functional>
#include <string>
#include <utility>
#include <vector>

namespace jigsaw::test {

struct RunOptions {
  std::string input;                                      // what the program reads from stdin
  std::vector<std::pair<std::string, std::string>> environment;  // set on top of ours
  std::string directory;
  std::chrono::seconds timeout{60};
  std::function<void(int pid)> while_running;             // called once it is started
  uid_t uid = 0;                                          // run as this user and group if not 0
};

struct Result {
  int code = 0;     // exit code, 128 + signal if killed, -1 if the deadline passed (it is killed with its group)
  std::string out;
  std::string err;
};

// Runs argv[0] (looked up in PATH).
Result run(const std::vector<std::string>& argv, const RunOptions& options = {});
// Runs `script` with sh -c.
Result sh(const std::string& script, const RunOptions& options = {});
// The path of one of our programs: bin("jigsaw").
std::string bin(const std::string& name);
bool have_program(const std::string& name);
bool is_root();

}  // namespace jigsaw::test

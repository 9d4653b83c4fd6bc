#include "step.h"

#include <signal.h>
#include <unistd.h>

#include <cstdlib>

#include "base/journal.h"
#include "base/text.h"

namespace jigsaw::test {

bool in_virtual_machine() { return std::getenv("JIGSAW_VM") != nullptr; }

std::vector<std::string> StepTest::command(const std::string& program, const std::vector<std::string>& arguments) const {
  std::vector<std::string> result = {bin(program), "--run-root", room("run")};
  result.insert(result.end(), arguments.begin(), arguments.end());
  return result;
}

Result StepTest::run_step(const std::string& program, const std::vector<std::string>& arguments,
                          const RunOptions& options) const {
  return run(command(program, arguments), options);
}

int StepTest::start_step(const std::string& program, const std::vector<std::string>& arguments) {
  const std::string out = room("out");
  const Result started =
      sh("rm -f " + out + "; " + text::shell_words(command(program, arguments)) + " >" + out + " 2>&1 & echo $!; exec >&-; "
         "for i in $(seq 100); do [ -s " + out + " ] && exit; sleep 0.05; done; exit 1");
  EXPECT_EQ(started.code, 0) << files::read(out);
  return std::stoi(started.out);
}

bool StepTest::is_alive(int pid) { return !journal::process_name(pid).empty(); }

void StepTest::wait_until_gone(int pid) {
  for (int waited = 0; is_alive(pid); waited += 10) {
    ASSERT_LT(waited, 10000) << "process " << pid << " does not end";
    ::usleep(10000);
  }
}

void StepTest::check_bad_input(const std::string& program, const BadInput& input) const {
  const Result result = run_step(program, input.arguments);
  EXPECT_EQ(result.code, input.code) << result.err;
  EXPECT_EQ(result.out, "");
  const auto lines = text::lines(result.err);
  ASSERT_GE(lines.size(), 1U);
  EXPECT_LE(lines.size(), 2U) << result.err;
  EXPECT_TRUE(lines[0].starts_with(program + ": error: ")) << result.err;
  EXPECT_THAT(std::string(lines[0]), ::testing::HasSubstr(input.message));
  if (!input.hint.empty()) {
    ASSERT_EQ(lines.size(), 2U) << result.err;
    EXPECT_THAT(std::string(lines[1]), ::testing::HasSubstr(input.hint));
  }
}

}  // namespace jigsaw::test

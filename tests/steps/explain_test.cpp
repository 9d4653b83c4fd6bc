// --explain tells the truth: each call it reports was made, with these strings and this answer; and none of the calls
// that make a container was kept from the reader. strace is the witness.
#include <nlohmann/json.hpp>
#include <regex>
#include <set>

#include "base/error.h"
#include "base/text.h"
#include "step.h"

namespace jigsaw::test {
namespace {

// The calls that only sys.h makes: both sides must name them equally often.
const std::set<std::string> kWitnessed = {"chroot", "clone3", "execve", "fsconfig", "fsmount", "fsopen", "mknodat", "mount",
                                          "mount_setattr", "move_mount", "open_tree", "openat2", "pivot_root", "setns",
                                          "sethostname", "umount2", "unshare"};

struct Seen {
  std::string call;
  std::string strings;  // the quoted arguments, one after the other
  std::string answer;   // "ok" or the name of the error
  auto operator<=>(const Seen&) const = default;
};
void PrintTo(const Seen& seen, std::ostream* out) { *out << seen.call << "(" << seen.strings << ") = " << seen.answer; }

std::string quoted_parts(const std::string& text) {
  static const std::regex quoted(R"re("((?:[^"\\]|\\.)*)")re");
  std::string result;
  for (std::sregex_iterator at(text.begin(), text.end(), quoted), end; at != end; ++at) {
    result += at->str(0);
  }
  return result;
}

std::multiset<Seen> explained(const std::string& lines) {
  std::multiset<Seen> result;
  for (const std::string_view line : text::lines(lines)) {
    const auto object = nlohmann::json::parse(line, nullptr, false);
    if (!object.is_object() || !object.contains("call") || !kWitnessed.contains(object["call"].get<std::string>())) {
      continue;
    }
    const bool failed = object["error"].is_string();
    result.insert({object["call"], quoted_parts(object["arguments"]), failed ? object["error"].get<std::string>() : "ok"});
  }
  return result;
}

// strace -ff writes a file for each process, so that no line is torn.
std::multiset<Seen> witnessed(const std::string& directory, const std::string& program) {
  static const std::regex call(R"(^([a-z0-9_]+)\((.*)\) += (-?[0-9]+)(?: ([A-Z0-9]+))?.*)");
  std::multiset<Seen> result;
  for (const std::string& name : files::list(directory)) {
    const std::string trace = files::read(directory + "/" + name);
    for (const std::string_view line : text::lines(trace)) {
      std::smatch match;
      const std::string whole(line);
      if (!std::regex_match(whole, match, call) || !kWitnessed.contains(match[1])) {
        continue;
      }
      if (match[1] == "execve" && whole.find(program) != std::string::npos) {
        continue;  // strace's own start of the step
      }
      result.insert({match[1], quoted_parts(match[2]), match[4].matched ? match[4].str() : "ok"});
    }
  }
  return result;
}

class Explain : public StepTest {
 protected:
  void SetUp() override {
    if (!is_root()) {
      GTEST_SKIP() << "needs root";
    }
    if (!have_program("strace")) {
      GTEST_SKIP() << "needs strace";
    }
    StepTest::SetUp();
    ASSERT_EQ(run_step("02-namespaces", {"rootfs", room("rootfs")}).code, 0);
    ASSERT_EQ(run_step("04-unionfs", {"layers", room("layers")}).code, 0);
  }

  void compare(const std::string& program, const std::vector<std::string>& arguments) {
    files::make_directories(room("trace"));
    std::vector<std::string> argv = {"strace", "-ff", "-s", "4096", "-o", room("trace/t")};
    const auto rest = command(program, arguments);
    argv.insert(argv.end(), rest.begin(), rest.end());
    argv.insert(argv.begin() + 7, "--explain=json");
    const Result result = run(argv, {.environment = {{"ASAN_OPTIONS", "detect_leaks=0"}}});
    ASSERT_EQ(result.code, 0) << result.err;
    const auto told = explained(result.err);
    const auto seen = witnessed(room("trace"), "/" + program + "\"");
    EXPECT_FALSE(told.empty());
    std::vector<Seen> invented;
    std::vector<Seen> hidden;
    std::set_difference(told.begin(), told.end(), seen.begin(), seen.end(), std::back_inserter(invented));
    std::set_difference(seen.begin(), seen.end(), told.begin(), told.end(), std::back_inserter(hidden));
    EXPECT_THAT(invented, ::testing::IsEmpty()) << "explained, but strace has not seen it";
    EXPECT_THAT(hidden, ::testing::IsEmpty()) << "made, but not explained";
  }
};

TEST_F(Explain, Process) { compare("01-process", {"run", "true"}); }
TEST_F(Explain, Namespaces) { compare("02-namespaces", {"run", room("rootfs"), "true"}); }
TEST_F(Explain, NamespacesWithAUserNamespace) {
  compare("02-namespaces", {"run", "--namespaces=all", room("rootfs"), "true"});
}
TEST_F(Explain, Cgroups) { compare("03-cgroups", {"run", "--pids-limit", "20", room("rootfs"), "true"}); }
TEST_F(Explain, Unionfs) { compare("04-unionfs", {"run", room("layers"), "true"}); }

}  // namespace
}  // namespace jigsaw::test

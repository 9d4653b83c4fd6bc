// --explain tells the truth: each call it reports was made, with these strings and this answer; and none of the calls
// that make a container was kept from the reader. strace is the witness.
#include <algorithm>
#include <map>
#include <nlohmann/json.hpp>
#include <regex>
#include <set>

#include "base/error.h"
#include "base/text.h"
#include "step.h"

namespace jigsaw::test {
namespace {

// The calls that change what a process is or sees: both sides must name the same ones, in the same order.
const std::set<std::string> kWitnessed = {
    "capset", "chdir", "chroot", "clone3", "execve", "fchdir", "fsconfig", "fsmount", "fsopen", "kill", "mknodat", "mount", "mount_setattr",
    "move_mount", "open_tree", "openat2", "pidfd_send_signal", "pivot_root", "prctl", "seccomp", "setgroups", "sethostname", "setns",
    "setresgid", "setresuid", "setsid", "umount2", "unlinkat", "unshare", "write"};

struct Seen {
  std::string call;
  std::string strings;  // the quoted arguments, one after the other
  std::string answer;   // "ok" or the name of the error
  auto operator<=>(const Seen&) const = default;
};
void PrintTo(const Seen& seen, std::ostream* out) { *out << seen.call << "(" << seen.strings << ") = " << seen.answer; }
using Process = std::vector<Seen>;  // what one process did, in order

std::string quoted_parts(const std::string& text) {
  static const std::regex quoted(R"re("((?:[^"\\]|\\.)*)")re");
  std::string result;
  for (std::sregex_iterator at(text.begin(), text.end(), quoted), end; at != end; ++at) {
    result += at->str(0);
  }
  return result;
}

// Of some calls only those on the kernel's own files count; a process's housekeeping with its own files does not.
bool counts(const std::string& call, const std::string& line) {
  if (call == "prctl") {
    return line.find("PR_SET_") != std::string::npos || line.find("PR_CAPBSET_DROP") != std::string::npos ||
           (line.find("PR_CAP_AMBIENT") != std::string::npos && line.find("IS_SET") == std::string::npos);
  }
  if (call == "seccomp") {
    return line.find("{len=") != std::string::npos;  // libseccomp asks the kernel what it knows by calls that must fail
  }
  if (call == "write") {
    return line.find("</sys/fs/cgroup/") != std::string::npos || line.find("</proc/") != std::string::npos;
  }
  return call != "unlinkat" || line.find("/sys/fs/cgroup/") != std::string::npos;
}

std::multiset<Process> explained(const std::string& lines) {
  std::map<int, Process> by_pid;
  for (const std::string_view line : text::lines(lines)) {
    const auto object = nlohmann::json::parse(line, nullptr, false);
    if (!object.is_object() || !object.contains("call") || !kWitnessed.contains(object["call"].get<std::string>())) {
      continue;
    }
    const bool failed = object["error"].is_string();
    const Seen seen{object["call"], quoted_parts(object["arguments"]), failed ? object["error"].get<std::string>() : "ok"};
    Process& process = by_pid[object["pid"]];
    if (failed && seen.call == "execve") {
      EXPECT_EQ(process.back().call, "execve");  // it was announced, and now it is told that it was refused
      process.pop_back();
    }
    process.push_back(seen);
  }
  std::multiset<Process> result;
  for (const auto& [pid, process] : by_pid) {
    result.insert(process);
  }
  return result;
}

// One process's calls until it becomes another program. `program` is the step that strace itself executes.
Process witnessed(const std::string& trace, const std::string& program) {
  static const std::regex call(R"(^([a-z0-9_]+)\((.*)\) += (-?[0-9]+)(?:<[^>]*>)?(?: ([A-Z0-9]+))?.*)");
  Process result;
  for (const std::string_view line : text::lines(trace)) {
    std::smatch match;
    const std::string whole(line);
    if (whole.starts_with("execveat(") || whole.find("PR_SET_DUMPABLE") != std::string::npos) {
      result.clear();  // jigsaw leaves its own file before it reads its command line, --explain too
      continue;
    }
    if (!std::regex_match(whole, match, call) || !kWitnessed.contains(match[1]) || !counts(match[1], whole)) {
      continue;
    }
    const bool executed = match[1] == "execve" && !match[4].matched;
    if (executed && whole.find(program) != std::string::npos) {
      continue;
    }
    result.push_back({match[1], quoted_parts(match[2]), match[4].matched ? match[4].str() : "ok"});
    if (executed) {
      break;
    }
  }
  return result;
}

// strace -ff writes a file for each process, so that no line is torn.
std::multiset<Process> all_witnessed(const std::string& directory, const std::string& program) {
  std::multiset<Process> result;
  for (const std::string& name : files::list(directory)) {
    if (const Process process = witnessed(files::read(directory + "/" + name), program); !process.empty()) {
      result.insert(process);
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

  void compare(const std::string& program, const std::vector<std::string>& arguments, int code = 0) {
    files::make_directories(room("trace"));
    std::vector<std::string> argv = {"strace", "-ff", "-y", "-s", "4096", "-o", room("trace/t"), bin(program), "--explain=json"};
    const auto rest = command(program, arguments);
    argv.insert(argv.end(), rest.begin() + 1, rest.end());
    const Result result = run(argv, {.environment = {{"ASAN_OPTIONS", "detect_leaks=0"}}});
    ASSERT_EQ(result.code, code) << result.err;
    const auto told = explained(result.err);
    const auto seen = all_witnessed(room("trace"), "/" + program + "\"");
    EXPECT_FALSE(told.empty());
    EXPECT_EQ(told.size(), seen.size()) << "processes";
    for (auto tells = told.begin(), sees = seen.begin(); tells != told.end() && sees != seen.end(); ++tells, ++sees) {
      const auto [wrong, right] = std::mismatch(tells->begin(), tells->end(), sees->begin(), sees->end());
      EXPECT_TRUE(wrong == tells->end() && right == sees->end())
          << "explained: " << (wrong == tells->end() ? "nothing more" : ::testing::PrintToString(*wrong))
          << "\nstrace saw: " << (right == sees->end() ? "nothing more" : ::testing::PrintToString(*right));
    }
  }
};

TEST_F(Explain, Process) { compare("01-process", {"run", "true"}); }
TEST_F(Explain, Namespaces) { compare("02-namespaces", {"run", room("rootfs"), "true"}); }
TEST_F(Explain, NamespacesWithAUserNamespace) {
  compare("02-namespaces", {"run", "--namespaces=all", room("rootfs"), "true"});
}
TEST_F(Explain, Cgroups) { compare("03-cgroups", {"run", "--pids-limit", "20", room("rootfs"), "true"}); }
TEST_F(Explain, Unionfs) { compare("04-unionfs", {"run", room("layers"), "true"}); }

// What a learner would type instead is there to be typed: with the whole path, not with one that a descriptor stands before.
TEST_F(Explain, TheShellCommandsOfACgroupNameItsWholePath) {
  const Result result = run_step("03-cgroups", {"--explain=json", "run", "--pids-limit", "20", room("rootfs"), "true"});
  ASSERT_EQ(result.code, 0) << result.err;
  int made = 0;
  for (const std::string_view line : text::lines(result.err)) {
    const auto object = nlohmann::json::parse(line, nullptr, false);
    if (object.is_object() && object.value("why", "") == "a cgroup is a directory") {
      EXPECT_TRUE(object.at("shell").get<std::string>().starts_with("mkdir -m 755 /sys/fs/cgroup/")) << line;
      ++made;
    }
  }
  EXPECT_GT(made, 0);
}
TEST_F(Explain, AFileThatIsMountedOnIsNoDevice) {
  const Result result = run_step("jigsaw", {"--explain", "--root", room("images"), "run", "--rm", "jigsaw/base", "true"});
  EXPECT_THAT(result.err, ::testing::HasSubstr("sh:  install -m 444 /dev/null file"));
  EXPECT_THAT(result.err, ::testing::Not(::testing::HasSubstr("mknod -m 444")));
}

TEST_F(Explain, NamespacesWithPid1) { compare("02-namespaces", {"run", "--init", room("rootfs"), "sh", "-c", "exit 3"}, 3); }
TEST_F(Explain, Image) { compare("05-image", {"--root", room("images"), "run", "-m", "64m", "jigsaw/base", "true"}); }
TEST_F(Explain, Jigsaw) {
  compare("jigsaw", {"--root", room("images"), "run", "--rm", "-m", "64m", "-u", "1000", "--read-only", "--tmpfs", "/x", "-v",
                     room() + ":/room:ro", "jigsaw/base", "true"});
}
TEST_F(Explain, CallsThatFail) { compare("02-namespaces", {"run", "--cwd", "/none", room("rootfs"), "true"}, 125); }
TEST_F(Explain, AProgramThatCannotBeExecuted) { compare("02-namespaces", {"run", room("rootfs"), "/etc/motd"}, 126); }
TEST_F(Explain, ALimitThatIsRefused) { compare("03-cgroups", {"run", "--cpuset-cpus", "4000", room("rootfs"), "true"}, 125); }

}  // namespace
}  // namespace jigsaw::test

// The runtime leaves its own file before anything of it could be caught (CVE-2019-5736), and before the C library begins:
// what would be done twice is done once.
#include <algorithm>

#include "base/text.h"
#include "bundle.h"

namespace jigsaw::runtime {
namespace {

class OwnBinary : public Bundle {
 protected:
  // The system calls of the process that was started first, in order.
  std::vector<std::string> calls_of(const std::string& command) {
    const std::string trace = bundle() + "/trace";
    const auto result = test::sh("strace -o " + trace + " " + test::bin("jigsaw-oci") + " --root " + bundle() + "/states " + command +
                                 " </dev/null", {.timeout = std::chrono::seconds(60)});
    EXPECT_EQ(result.code, 0) << result.err;
    const std::string lines = files::read(trace);
    std::vector<std::string> calls;
    for (const std::string_view line : text::lines(lines)) {
      calls.emplace_back(line.substr(0, line.find('(')));
    }
    return calls;
  }
};

TEST_F(OwnBinary, IsLeftBeforeTheCLibraryBegins) {
  if (!test::have_program("strace")) {
    GTEST_SKIP() << "needs strace";
  }
#if !defined(__x86_64__) || defined(JIGSAW_SANITIZED)
  GTEST_SKIP() << "only the static program of an x86-64 processor begins there; others do it in main()";
#endif
  config["process"]["args"] = {"true"};
  write();
  const auto calls = calls_of("run --bundle " + bundle() + " " + kId);
  const auto again = std::find(calls.begin(), calls.end(), "execveat");
  ASSERT_NE(again, calls.end());
  const std::vector<std::string> before(calls.begin(), again);
  EXPECT_EQ(before, (std::vector<std::string>{"execve", "geteuid", "readlink", "open_tree", "mount_setattr"}));
  EXPECT_EQ(std::count(calls.begin(), calls.end(), "execveat"), 1);
}

TEST_F(OwnBinary, IsKeptByCommandsThatEnterNoContainer) {
  if (!test::have_program("strace")) {
    GTEST_SKIP() << "needs strace";
  }
  const auto calls = calls_of("list");
  EXPECT_EQ(std::count(calls.begin(), calls.end(), "execveat"), 0);
}

TEST_F(OwnBinary, TakesLessThanTwoMebibytes) {
#if defined(JIGSAW_SANITIZED)
  GTEST_SKIP() << "shadow memory counts as well";
#endif
  config["process"]["args"] = {"sleep", "60"};
  write();
  const auto result = test::sh(test::bin("jigsaw-oci") + " --root " + bundle() + "/states run --bundle " + bundle() + " --pid-file " + bundle() +
                               "/pid " + kId + " </dev/null & runtime=$!; i=0; "
                               "until [ -s " + bundle() + "/pid ] || [ $i -gt 100 ]; do sleep 0.1; i=$((i + 1)); done; sleep 0.2; "
                               "grep VmHWM /proc/$runtime/status; kill -9 $(cat " + bundle() + "/pid); wait $runtime",
                               {.timeout = std::chrono::seconds(60)});
  const auto words = text::words(result.out);
  ASSERT_GE(words.size(), 2U) << result.out << result.err;
  EXPECT_LT(text::to_u64(words[1]).value_or(0), 2'048U) << "KiB; see cmake/seldom_run.ld";
  EXPECT_GT(text::to_u64(words[1]).value_or(0), 0U);
}

TEST_F(OwnBinary, ManyVariablesAndALongPathAreLeftToMain) {
  config["process"]["args"] = {"true"};
  write();
  const auto result = test::sh("for i in $(seq 1100); do export V$i=$i; done; exec " + test::bin("jigsaw-oci") + " --root " + bundle() +
                               "/states run --bundle " + bundle() + " " + kId + " </dev/null", {.timeout = std::chrono::seconds(60)});
  EXPECT_EQ(result.code, 0) << result.err;
}

}  // namespace
}  // namespace jigsaw::runtime

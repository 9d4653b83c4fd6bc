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

TEST_F(OwnBinary, ManyVariablesAndALongPathAreLeftToMain) {
  config["process"]["args"] = {"true"};
  write();
  const auto result = test::sh("for i in $(seq 1100); do export V$i=$i; done; exec " + test::bin("jigsaw-oci") + " --root " + bundle() +
                               "/states run --bundle " + bundle() + " " + kId + " </dev/null", {.timeout = std::chrono::seconds(60)});
  EXPECT_EQ(result.code, 0) << result.err;
}

}  // namespace
}  // namespace jigsaw::runtime

// Cgroups that a container makes below its own, where it may: deeper than a path can be, threaded, with its first process in one.
#include <fcntl.h>
#include <signal.h>

#include "bundle.h"

namespace jigsaw::runtime {
namespace {

class Below : public Bundle {
 protected:
  void SetUp() override {
    Bundle::SetUp();
    if (!IsSkipped()) {
      ASSERT_NO_FATAL_FAILURE(start_idle());
      pid_ = nlohmann::json::parse(oci({"state", kId}).out)["pid"];
    }
  }
  // Where the container is in the tree of v2, or in one of v1.
  static std::string v2(const std::string& name = "") {
    return (files::exists("/sys/fs/cgroup/cgroup.controllers") ? "/sys/fs/cgroup/jigsaw-" : "/sys/fs/cgroup/unified/jigsaw-") + kId + name;
  }
  static std::string v1() { return "/sys/fs/cgroup/pids/jigsaw-" + kId; }
  static bool put(const std::string& file, const std::string& text) {
    const Fd fd(::open(file.c_str(), O_WRONLY | O_CLOEXEC));
    return fd && ::write(fd.get(), text.data(), text.size()) == static_cast<ssize_t>(text.size());
  }
  std::string pid() const { return std::to_string(pid_); }

 private:
  int pid_ = 0;
};

TEST_F(Below, DeeperThanAPathCanBeTheyAreRemovedAsWell) {
  const std::string name(200, 'n');
  for (const std::string& top : {v1(), v2()}) {
    Fd here(::open(top.c_str(), O_RDONLY | O_DIRECTORY | O_CLOEXEC));
    for (int depth = 0; here && depth < 30; ++depth) {
      ASSERT_EQ(::mkdirat(here.get(), name.c_str(), 0755), 0) << top << depth;
      here = files::open_at(here.get(), name, O_RDONLY | O_DIRECTORY);
    }
  }
  EXPECT_EQ(oci({"ps", "--format", "json", kId}).out, "[" + pid() + "]\n");
  const auto result = oci({"delete", "--force", kId});
  EXPECT_EQ(result.code, 0) << result.err;
}

TEST_F(Below, ThreadedOnesAreReadAndEndedToo) {
  if (!files::is_directory(v2()) || ::mkdir(v2("/threads").c_str(), 0755) != 0 || !put(v2("/threads/cgroup.type"), "threaded")) {
    GTEST_SKIP() << "no threaded cgroups here";
  }
  ASSERT_TRUE(put(v2("/threads/cgroup.threads"), pid()));
  EXPECT_EQ(oci({"ps", "--format", "json", kId}).out, "[" + pid() + "]\n");
  EXPECT_EQ(oci({"kill", "--all", kId, "CONT"}).code, 0);
  put(v2("/cgroup.type"), "threaded");  // now its own can't be read either
  EXPECT_EQ(oci({"ps", "--format", "json", kId}).out, "[" + pid() + "]\n");
  EXPECT_EQ(oci({"kill", "--all", kId, "KILL"}).code, 0);
  const auto result = oci({"delete", "--force", kId});
  EXPECT_EQ(result.code, 0) << result.err;
}

TEST_F(Below, AProgramIsAddedBesideAFirstProcessThatHasLeftItsCgroup) {  // as systemd does in a container
  if (!files::is_directory(v2()) || ::mkdir(v2("/init.scope").c_str(), 0755) != 0 || !put(v2("/init.scope/cgroup.procs"), pid())) {
    GTEST_SKIP() << "no cgroup v2 here";
  }
  const std::string controllers = files::read(v2("/cgroup.controllers"));
  if (controllers.size() < 2 || !put(v2("/cgroup.subtree_control"), "+" + controllers.substr(0, controllers.find_first_of(" \n")))) {
    GTEST_SKIP() << "no controller of v2 to hand on";
  }
  const auto result = oci({"exec", kId, "cat", "/proc/self/cgroup"});
  EXPECT_NE(result.out.find("0::/init.scope\n"), std::string::npos) << result.out << result.err;
  ASSERT_TRUE(put(v2("/init.scope/cgroup.freeze"), "1"));
  EXPECT_NE(oci({"exec", kId, "true"}).err.find("is paused"), std::string::npos);
  EXPECT_EQ(oci({"delete", "--force", kId}).code, 0);
}

using Trees = Bundle;

// Programs that can't stand a hybrid machine are started where the v2 tree is hidden; what they start lands there as well.
TEST_F(Trees, OneThatIsHiddenIsDoneWithout) {
  const std::string tree = "/sys/fs/cgroup/unified";
  if (!files::exists(tree + "/cgroup.controllers")) {
    GTEST_SKIP() << "needs cgroup v1 and v2 at once";
  }
  config["process"]["args"] = {"cat", "/proc/self/cgroup"};
  write();
  const auto result = test::sh("exec unshare --mount sh -c 'mount -t tmpfs none " + tree + " && " + test::bin("jigsaw-oci") + " --root " +
                                   bundle() + "/states run --bundle " + bundle() + " " + kId + "'",
                               {.timeout = std::chrono::seconds(30)});
  EXPECT_EQ(result.code, 0) << result.err;
  EXPECT_NE(result.out.find(":memory:/\n"), std::string::npos) << result.out;
  EXPECT_FALSE(files::exists(tree + "/jigsaw-" + kId));
}

}  // namespace
}  // namespace jigsaw::runtime

#include "root_archive.h"

namespace jigsaw::test {
namespace {

class Podman : public testing::Test {
 protected:
  void SetUp() override {
    if (!is_root() || !have_program("podman") || !have_program("busybox")) {
      GTEST_SKIP() << "needs root, podman and busybox";
    }
    make_root_archive(directory_.path());
    files::replace(directory_.path() + "/containers.conf",
                   "[containers]\ndefault_ulimits = [\"nofile=1024:20000\", \"nproc=4096:4096\"]\n[engine]\ncgroup_manager = \"cgroupfs\"\n");
    ASSERT_EQ(podman("import " + directory_.path() + "/root.tar busy").code, 0);
  }
  void TearDown() override {
    podman("rm --all --force --time 0");
    sh("umount -l " + directory_.path() + "/root/overlay 2>/dev/null; umount -l " + directory_.path() + "/run 2>/dev/null");
  }
  // podman looks for catatonit, another of its kind will do.
  static std::string init() {
    for (const char* path : {"/usr/libexec/podman/catatonit", "/usr/bin/catatonit", "/usr/bin/tini-static", "/usr/bin/docker-init"}) {
      if (std::filesystem::exists(path)) {
        return std::string("--init --init-path ") + path;
      }
    }
    return "";
  }
  std::string directory() const { return directory_.path(); }
  std::string command(const std::string& words) const {
    const std::string d = directory();
    return "podman --root " + d + "/root --runroot " + d + "/run --tmpdir " + d + "/tmp --cgroup-manager cgroupfs " +
           "--storage-driver overlay --runtime " + bin("jigsaw-oci") + " --volumepath " + d + "/volumes " + words;
  }
  RunOptions environment() const {
    return {.environment = {{"CONTAINERS_CONF", directory() + "/containers.conf"}}, .timeout = std::chrono::seconds(60)};
  }
  Result podman(const std::string& words) const { return sh("exec " + command(words) + " 2>" + directory() + "/err", environment()); }

 private:
  files::TemporaryDirectory directory_;
};

TEST_F(Podman, RunsToTheEnd) {
  EXPECT_EQ(podman("run --rm --network none busy sh -c 'echo $$'").out, "1\n");
  EXPECT_EQ(podman("run --rm --network none busy sh -c 'exit 7'").code, 7);
  EXPECT_EQ(podman("run --rm --network none busy nosuch").code, 127);
  EXPECT_EQ(podman("run --rm --network none busy /etc").code, 126);
}

TEST_F(Podman, ManagesADetachedContainer) {
  ASSERT_EQ(podman("run -d --name d --network none busy sh -c 'echo hello; exec sleep 300'").code, 0);
  EXPECT_EQ(podman("exec d sh -c 'echo in; exit 5'").code, 5);
  EXPECT_EQ(podman("logs d").out, "hello\n");
  EXPECT_NE(podman("top d").out.find("sleep"), std::string::npos);
  EXPECT_EQ(podman("pause d").code, 0);
  EXPECT_EQ(podman("unpause d").code, 0);
  EXPECT_EQ(podman("update --memory 64m d").code, 0);
  EXPECT_EQ(podman("exec d sh -c 'cat /sys/fs/cgroup/memory.max /sys/fs/cgroup/memory/memory.limit_in_bytes 2>/dev/null'").out, "67108864\n");
  EXPECT_EQ(podman("run --rm --network none --pid container:d --cap-add SYS_PTRACE busy cat /proc/1/comm").out, "sleep\n");
  EXPECT_EQ(podman("kill d").code, 0);
  EXPECT_EQ(podman("wait d").out, "137\n");
  EXPECT_EQ(podman("rm d").code, 0);
}

TEST_F(Podman, StopsRunsAnInitShowsVolumesAndExecsOnATerminal) {
  ASSERT_EQ(podman("run -d --name s " + init() + " --network none busy sh -c 'trap \"exit 3\" TERM; sleep 300 & wait'").code, 0);
  EXPECT_EQ(sh("script -qec '" + command("exec -it s sh -c \"tty; sleep 0.3\"") + "' /dev/null </dev/null | grep -ao /dev/pts/0", environment()).out, "/dev/pts/0\n");
  EXPECT_EQ(podman("stop s").code, 0);
  EXPECT_EQ(podman("wait s").out, "3\n");
  EXPECT_EQ(podman("rm s").code, 0);
  files::make_directories(directory() + "/volume");
  files::replace(directory() + "/volume/file", "volume\n", {.mode = 0644});
  EXPECT_EQ(podman("run --rm --network none -v " + directory() + "/volume:/mnt:ro -v named:/named busy "
                   "sh -c 'cat /mnt/file; touch /mnt/x 2>/dev/null || echo read-only; touch /named/x && echo written'").out,
            "volume\nread-only\nwritten\n");
}

// A program that ends at once may be gone before podman reads from its terminal, with any runtime: so these linger.
TEST_F(Podman, GivesTerminalsUsersLimitsAndReadOnlyRoots) {
  EXPECT_NE(podman("run --rm -t --network none busy sh -c \"tty; sleep 0.3\"").out.find("/dev/pts/0"), std::string::npos);
  EXPECT_EQ(sh("script -qec '" + command("run --rm -it --network none busy sh -c \"tty; sleep 0.3\"") + "' /dev/null </dev/null | grep -ao /dev/pts/0", environment()).out, "/dev/pts/0\n");
  EXPECT_EQ(podman("run --rm --network host --read-only --user 5:6 --tmpfs /run --memory 32m --cpus 0.5 --pids-limit 50 busy "
                   "sh -c 'id -u; touch /x 2>/dev/null || echo read-only; echo opened > /dev/stdout; grep -c \" /run tmpfs \" /proc/mounts; "
                   "cat /sys/fs/cgroup/memory.max /sys/fs/cgroup/memory/memory.limit_in_bytes 2>/dev/null; "
                   "cat /sys/fs/cgroup/pids.max /sys/fs/cgroup/pids/pids.max 2>/dev/null; "
                   "cat /sys/fs/cgroup/cpu.max /sys/fs/cgroup/cpu/cpu.cfs_quota_us 2>/dev/null'").out.substr(0, 38),
            "5\nread-only\nopened\n1\n33554432\n50\n50000");
}

}  // namespace
}  // namespace jigsaw::test

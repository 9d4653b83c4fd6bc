#include "root_archive.h"

namespace jigsaw::test {
namespace {

// dockerd in network and mount namespaces of its own; `script` runs beside it with DOCKER_HOST set.
Result with_dockerd(const std::string& directory, const std::string& script) {
  files::replace(directory + "/daemon.json", R"({"runtimes": {"jigsaw": {"path": ")" + bin("jigsaw-oci") + R"("}}})");
  files::replace(directory + "/run.sh",
                 "mount --make-rprivate /; ip link set lo up\n"
                 "D=" + directory + "\n"
                 "dockerd --config-file $D/daemon.json --data-root $D/data --exec-root $D/exec --pidfile $D/pid -H unix://$D/s "
                 "--iptables=false --bridge=none >$D/log 2>&1 &\n"
                 "daemon=$!\nexport DOCKER_HOST=unix://$D/s\n"
                 "for i in $(seq 100); do docker version >/dev/null 2>&1 && break; sleep 0.3; done\n"
                 "docker import $D/root.tar busy >/dev/null\n" + script + "\nkill $daemon; wait $daemon\n");
  return run({"unshare", "-m", "-n", "bash", directory + "/run.sh"}, {.timeout = std::chrono::seconds(200)});
}

TEST(Docker, RunsExecsPausesUpdatesAndRemoves) {
  if (!is_root() || !have_program("dockerd") || !have_program("docker") || !have_program("busybox") || !have_program("script")) {
    GTEST_SKIP() << "needs root, dockerd, docker, busybox and script";
  }
  const files::TemporaryDirectory directory;
  make_root_archive(directory.path());
  const Result result = with_dockerd(directory.path(), R"(
r="docker run --runtime jigsaw --network none"
$r --rm busy sh -c 'echo pid $$'
$r --rm busy nosuch 2>/dev/null; echo missing $?
$r -d --name dd --memory 64m busy sh -c 'echo hello; exec sleep 300' >/dev/null
docker exec dd sh -c 'exit 4'; echo exec $?
script -qec 'docker exec -it dd sh -c "tty; sleep 0.3"' /dev/null </dev/null | grep -ao /dev/pts/0
docker pause dd; docker unpause dd
docker update --memory 128m --memory-swap 256m dd
docker exec dd sh -c 'cat /sys/fs/cgroup/memory.max /sys/fs/cgroup/memory/memory.limit_in_bytes 2>/dev/null'
$r --rm --pid container:dd --cap-add SYS_PTRACE busy cat /proc/1/comm
docker top dd | grep -c sleep
docker logs dd
docker kill dd
docker rm dd
$r -d --name ee busy sh -c 'trap "exit 3" TERM; sleep 300 & wait' >/dev/null
docker stop ee; docker wait ee; docker rm ee
mkdir $D/volume; echo volume > $D/volume/file
$r --rm -v $D/volume:/mnt:ro -v named:/named busy sh -c 'cat /mnt/file; touch /mnt/x 2>/dev/null || echo read-only; touch /named/x && echo written'
$r --rm -t busy sh -c "tty; sleep 0.3"
script -qec "$r --rm -it busy sh -c 'tty; sleep 0.3'" /dev/null </dev/null | grep -ao /dev/pts/0
$r --rm --init --read-only --user 5:6 --tmpfs /run --memory 32m --cpus 0.5 --pids-limit 50 busy sh -c 'id -u; touch /x 2>/dev/null || echo read-only
  echo opened > /dev/stdout; grep -c " /run tmpfs " /proc/mounts; cat /proc/1/comm
  cd /sys/fs/cgroup; cat memory.max memory/memory.limit_in_bytes 2>/dev/null; cat pids.max pids/pids.max 2>/dev/null; cat cpu.max cpu/cpu.cfs_quota_us 2>/dev/null | cut -d" " -f1'
(while sleep 0.2; do echo typed; done) | script -qec "$r --rm -it busy sh -c 'read x; echo got \$x'" /dev/null | grep -a -o -m1 'got typed'
)");
  EXPECT_EQ(result.out, "pid 1\nmissing 127\nexec 4\n/dev/pts/0\ndd\ndd\ndd\n134217728\nsleep\n1\nhello\ndd\ndd\nee\n3\nee\nvolume\nread-only\nwritten\n"
                        "/dev/pts/0\r\n/dev/pts/0\n5\nread-only\nopened\n1\ndocker-init\n33554432\n50\n50000\ngot typed\n") << result.err;
}

}  // namespace
}  // namespace jigsaw::test

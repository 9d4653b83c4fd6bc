#include "root_archive.h"

namespace jigsaw::test {
namespace {

// containerd with root, state and socket of its own; its shims keep theirs below /run/containerd, which is a tmpfs here.
// `script` runs beside it with $ctr and $run set.
Result with_containerd(const std::string& directory, const std::string& script) {
  files::replace(directory + "/config.toml",
                 "version = 2\nroot = \"" + directory + "/root\"\nstate = \"" + directory + "/state\"\n"
                 "disabled_plugins = [\"io.containerd.grpc.v1.cri\", \"io.containerd.snapshotter.v1.devmapper\", "
                 "\"io.containerd.internal.v1.opt\"]\n[grpc]\n  address = \"" + directory + "/s\"\n");
  files::replace(directory + "/run.sh",
                 "mount --make-rprivate /; ip link set lo up; mkdir -p /run/containerd; mount -t tmpfs none /run/containerd\n"
                 "D=" + directory + "\n"
                 "containerd --config $D/config.toml >$D/log 2>&1 &\ndaemon=$!\nctr=\"ctr -a $D/s\"\n"
                 "run=\"$ctr run --runtime io.containerd.runc.v2 --runc-binary " + bin("jigsaw-oci") + " --rootfs\"\n"
                 "for i in $(seq 100); do $ctr version >/dev/null 2>&1 && break; sleep 0.1; done\n" + script +
                 "\nkill $daemon; wait $daemon\n");
  return run({"unshare", "-m", "-n", "bash", directory + "/run.sh"}, {.timeout = std::chrono::seconds(100)});
}

TEST(Containerd, RunsExecsPausesKillsAndRemoves) {
  if (!is_root() || !have_program("containerd") || !have_program("ctr") || !have_program("busybox") || !have_program("script")) {
    GTEST_SKIP() << "needs root, containerd, ctr, busybox and script";
  }
  const files::TemporaryDirectory directory;
  make_root_archive(directory.path());
  files::make_directories(directory.path() + "/volume");
  files::replace(directory.path() + "/volume/file", "volume\n", {.mode = 0644});
  const Result result = with_containerd(directory.path(), R"(
$run --rm $D/rootfs a sh -c 'echo pid $$'
$run --rm $D/rootfs b sh -c 'exit 4' 2>/dev/null; echo run $?
$run --rm $D/rootfs c nosuch 2>&1 | grep -o 'executable file not found'
$run -d --memory-limit 67108864 --log-uri file://$D/logs $D/rootfs d sh -c 'echo hello; exec sleep 300'
cat /sys/fs/cgroup/default/d/memory.max /sys/fs/cgroup/memory/default/d/memory.limit_in_bytes 2>/dev/null
for i in $(seq 50); do [ -s $D/logs ] && break; sleep 0.1; done; cat $D/logs
pid=$($ctr task ls | awk '$1 == "d" {print $2}')
$run --rm --with-ns pid:/proc/$pid/ns/pid $D/rootfs j cat /proc/1/comm
(while sleep 0.2; do echo typed; done) | script -qec "$run --rm -t $D/rootfs i sh -c 'read x; echo got \$x'" /dev/null | grep -a -o -m1 'got typed'
$ctr task exec --exec-id e1 d sh -c 'echo in; exit 5' 2>/dev/null; echo exec $?
script -qec "$ctr task exec -t --exec-id e2 d sh -c 'tty; sleep 0.3'" /dev/null </dev/null | grep -ao /dev/pts/0
$ctr task exec --user 5:6 --exec-id e3 d sh -c 'id -u; id -g; echo opened > /dev/stdout'
$ctr task pause d; $ctr task ls | awk '$1 == "d" {print $3}'
$ctr task resume d; $ctr task ls | awk '$1 == "d" {print $3}'
$ctr task ps d | wc -l
$ctr task metrics d | grep -c -E '^(pids.current|memory.usage_in_bytes|memory.usage) '
$ctr task kill -s TERM d; $ctr task kill -s KILL d
for i in $(seq 50); do $ctr task ls | grep -q STOPPED && break; sleep 0.1; done
$ctr task rm d 2>/dev/null; $ctr container rm d; $ctr container ls -q
script -qec "$run -t --rm $D/rootfs e sh -c 'tty; sleep 0.3'" /dev/null </dev/null | grep -ao /dev/pts/0
$run --rm --read-only --mount type=tmpfs,src=tmpfs,dst=/tmp,options=rw --mount type=bind,src=$D/volume,dst=/etc,options=rbind:ro $D/rootfs f \
  sh -c 'touch /x 2>/dev/null || echo read-only; touch /etc/x 2>/dev/null || echo read-only; touch /tmp/x && cat /etc/file'
$run --rm --cpus 0.5 $D/rootfs g sh -c 'echo opened > /dev/stdout'
)");
  EXPECT_EQ(result.out, "pid 1\nrun 4\nexecutable file not found\n67108864\nhello\nsleep\ngot typed\nin\nexec 5\n/dev/pts/0\n5\n6\nopened\nPAUSED\nRUNNING\n2\n2\n/dev/pts/0\n"
                        "read-only\nread-only\nvolume\nopened\n") << result.err;
}

}  // namespace
}  // namespace jigsaw::test

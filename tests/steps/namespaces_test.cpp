// 02-namespaces from outside, as root and as a user without privilege.
#include <signal.h>

#include <cstdlib>
#include <filesystem>

#include "base/text.h"
#include "step.h"

namespace jigsaw::test {
namespace {

using ::testing::HasSubstr;
using ::testing::MatchesRegex;
using ::testing::Not;

constexpr uid_t kStranger = 47110;  // nobody has this id: no subordinate ids, no groups

class NamespacesStep : public StepTest {
 protected:
  void SetUp() override {
    if (!is_root()) {
      GTEST_SKIP() << "namespaces without a user namespace need root";
    }
    // With records of its own: those of the runs belong to whoever runs first.
    ASSERT_EQ(run({bin("02-namespaces"), "--run-root", room("roots"), "rootfs", room("rootfs")}).code, 0);
    std::filesystem::permissions(room(), std::filesystem::perms::all);
    StepTest::SetUp();
  }
  Result in_container(const std::string& script, const std::vector<std::string>& options = {}, uid_t uid = 0) const {
    std::vector<std::string> arguments = {"run"};
    arguments.insert(arguments.end(), options.begin(), options.end());
    for (const std::string& word : {room("rootfs"), std::string("sh"), std::string("-c"), script}) {
      arguments.push_back(word);
    }
    return run_step("02-namespaces", arguments, {.uid = uid});
  }
};

TEST_F(NamespacesStep, TheProgramIsAloneInASystemOfItsOwn) {
  const Result result = in_container("echo $$; hostname; ls /");
  EXPECT_EQ(result.code, 0) << result.err;
  EXPECT_EQ(result.out, "1\njigsaw\nbin\ndev\netc\nhome\nproc\nroot\nrun\nsbin\nsys\ntmp\nusr\nvar\n");
}

TEST_F(NamespacesStep, WorksWithoutRoot) {
  const Result result = in_container("echo $$; hostname; id -u; ls /dev/null; ping -c1 -W1 127.0.0.1 >/dev/null && echo lo", {}, kStranger);
  EXPECT_EQ(result.code, 0) << result.err;
  EXPECT_EQ(result.out, "1\njigsaw\n0\n/dev/null\nlo\n");
}

TEST_F(NamespacesStep, WithoutRootTheIdsOfSubuidAreThereIfNewuidmapIs) {
  if (!have_program("newuidmap") || !have_program("setpriv") || !files::exists("/etc/subuid") || !files::exists("/etc/subgid")) {
    GTEST_SKIP() << "needs newuidmap, setpriv, /etc/subuid and /etc/subgid";
  }
  files::replace(room("ids"), "nobody:200000:1000\n", {.mode = 0644});
  const auto uid_map = [&](const std::string& path) {
    const std::vector<std::string> words = command("02-namespaces", {"run", room("rootfs"), "cat", "/proc/self/uid_map"});
    return run({"unshare", "--mount", "sh", "-c",
                "mount --bind $0 /etc/subuid && mount --bind $0 /etc/subgid && exec setpriv --reuid 65534 --regid 65534 --clear-groups env PATH=" +
                    path + " " + text::shell_words(words), room("ids")});
  };
  const Result with = uid_map("/usr/bin:/bin");
  EXPECT_THAT(with.out, MatchesRegex(" +0 +65534 +1\n +1 +200000 +1000\n")) << with.err;
  const Result without = uid_map("/nonexistent");
  EXPECT_THAT(without.out, MatchesRegex(" +0 +65534 +1\n")) << without.err;
  EXPECT_EQ(without.code, 0);
}

TEST_F(NamespacesStep, EachNamespaceMayBeLeftOutOrBeTheOnlyOne) {
  const std::vector<std::string> kinds = {"mnt", "pid", "uts", "ipc", "net", "cgroup", "time", "user"};
  for (const uid_t uid : {uid_t{0}, kStranger}) {
    const std::string records = room(std::to_string(uid));
    for (const std::string& kind : kinds) {
      for (const std::string option : {"--without", "--namespaces"}) {
        const Result result = run({bin("02-namespaces"), "run", "--run-root", records, option, kind, room("rootfs"), "echo", "here"}, {.uid = uid});
        EXPECT_EQ(result.out, "here\n") << uid << " " << option << " " << kind << ": " << result.err;
        EXPECT_EQ(result.err, "");
      }
    }
  }
}

TEST_F(NamespacesStep, EachNamespaceIsAnotherOneThanTheHosts) {
  for (const std::string kind : {"mnt", "pid", "uts", "ipc", "net", "cgroup", "time"}) {
    const std::string host = std::filesystem::read_symlink("/proc/self/ns/" + kind).string();
    EXPECT_NE(in_container("readlink /proc/self/ns/" + kind).out, host + "\n");
    if (kind != "mnt") {
      EXPECT_EQ(in_container("readlink /proc/self/ns/" + kind, {"--without", kind}).out, host + "\n") << kind;
    }
  }
}

TEST_F(NamespacesStep, TheClocksOfATimeNamespaceCanBeShifted) {
  for (const uid_t uid : {uid_t{0}, kStranger}) {
    const auto with = [&](std::vector<std::string> words, const std::string& script) {
      words.insert(words.begin(), {bin("02-namespaces"), "--run-root", room(std::to_string(uid)), "run"});
      words.insert(words.end(), {room("rootfs"), "sh", "-c", script});
      return run(words, {.uid = uid});
    };
    const double here = std::atof(files::read("/proc/uptime").c_str());
    const Result later = with({"--time-offset", "boottime=86400"}, "cat /proc/uptime");
    EXPECT_NEAR(std::atof(later.out.c_str()), here + 86400, 20) << uid << later.err;
    const Result both = with({"--time-offset=monotonic=7", "--time-offset", "boottime=-1", "--init"}, "cat /proc/self/timens_offsets; echo $$");
    EXPECT_THAT(both.out, MatchesRegex("monotonic +7 +0\nboottime +-1 +0\n2\n")) << uid << both.err;
  }
}

TEST_F(NamespacesStep, AFullDiskLeavesNoHalfOfARootFileSystem) {
  if (in_virtual_machine()) {
    GTEST_SKIP() << "it is the same on every kernel";
  }
  const std::string disk = room("disk");
  files::make_directories(disk + "/there");
  const std::string rootfs = text::shell_words(command("02-namespaces", {"rootfs"})) + " ";
  const std::string layers = text::shell_words(command("04-unionfs", {"layers"})) + " ";
  // 1 MiB is less than busybox needs. Then the disk grows, and the same command does its work.
  const Result result = run({"unshare", "--mount", "sh", "-c",
                             "mount -t tmpfs -o size=1m none $0 && mkdir $0/there && cd $0 || exit\n"
                             "for command in '" + rootfs + "new' '" + rootfs + "there' '" + layers + "deep/new' '" + rootfs + ".'; do\n"
                             "  rm -rf deep; [ \"${command##* }\" != . ] || rmdir there\n"
                             "  $command; echo $? $(find . -type f | wc -l) $(ls -A)\ndone\n"
                             "mount -o remount,size=50m $0; " + rootfs + ". && ls -A && bin/sh -c 'echo works'", disk});
  EXPECT_EQ(result.out,
            "125 0 there\n125 0 there\n125 0 deep there\n125 0\n"
            "bin\ndev\netc\nhome\nproc\nroot\nrun\nsbin\nsys\ntmp\nusr\nvar\nworks\n") << result.err;
  EXPECT_THAT(result.err, HasSubstr("bin/busybox: No space left on device\n  hint: 'df' and 'df -i'"));
}

TEST_F(NamespacesStep, WhatAKilledRunOfRootfsLeftIsSwept) {
  if (in_virtual_machine() || !have_program("strace")) {
    GTEST_SKIP() << "it is the same on every kernel, and needs strace";
  }
  const std::string place = room("killed");
  // All is written, and it is killed before the directory gets its name.
  const std::string traced = "strace -qq -o /dev/null -e trace=renameat2 -e inject=renameat2:signal=KILL ";
  const std::string words = text::shell_words(command("02-namespaces", {"rootfs", place}));
  EXPECT_EQ(sh(traced + words).code, 137);
  EXPECT_FALSE(files::exists(place));
  EXPECT_EQ(sh(words).code, 0);
  EXPECT_EQ(sh("ls -A " + room() + " | grep -c tmp-").out, "0\n");
}

TEST_F(NamespacesStep, NothingOfTheHostIsSeen) {
  const Result result = in_container("ls /proc | grep -c '^[0-9]'; cat /proc/net/dev | grep -c :; cat /proc/mounts");
  EXPECT_THAT(result.out, MatchesRegex("[23]\n1\n(.|\n)*"));
  EXPECT_THAT(result.out, Not(HasSubstr("/sys/fs/cgroup")));
}

TEST_F(NamespacesStep, WithoutAPidNamespaceTheHostsProcessesAreSeen) {
  EXPECT_THAT(in_container("ls -d /proc/[0-9]* | wc -l", {"--without=pid"}).out, Not(MatchesRegex("[0-9]\n")));
}

TEST_F(NamespacesStep, MountsInsideDoNotShowOutside) {
  EXPECT_EQ(in_container("mount -t tmpfs none /tmp && touch /tmp/x && ls /tmp").out, "x\n");
  EXPECT_TRUE(files::list(room("rootfs/tmp")).empty());
}

TEST_F(NamespacesStep, Pid1OfOursKeepsNoDescriptorOfTheHost) {
  const Result result = in_container("ls -l /proc/1/fd", {"--init"});
  EXPECT_THAT(result.out, Not(HasSubstr("-> /"))) << result.err;
}

TEST_F(NamespacesStep, InitReapsAndHandsOnSignals) {
  const std::string orphan = "(sleep 0.1 & echo $! >/tmp/pid); sleep 0.5; ls -d /proc/$(cat /tmp/pid) 2>/dev/null || echo gone";
  EXPECT_EQ(in_container(orphan, {"--init"}).out, "gone\n");
  const int pid = start_step("02-namespaces", {"run", "--init", room("rootfs"), "sh", "-c", "echo ready; exec sleep 1000"});
  ::kill(pid, SIGTERM);  // PID 1 itself would not hear it
  wait_until_gone(pid);
}

TEST_F(NamespacesStep, ListsTheNamespacesOfProcesses) {
  const std::string own = std::filesystem::read_symlink("/proc/self/ns/net").string();
  EXPECT_THAT(run_step("02-namespaces", {"ls"}).out, HasSubstr(own.substr(5, own.size() - 6)));
}

TEST_F(NamespacesStep, AKilledRunIsSweptAndItsProcessesWithIt) {
  for (const std::string init : {"--namespaces=all", "--init"}) {
    const int pid = start_step("02-namespaces", {"run", init, room("rootfs"), "sh", "-c", "sleep 1000 & echo ready; wait"});
    ::kill(pid, SIGKILL);
    wait_until_gone(pid);
    EXPECT_THAT(run_step("02-namespaces", {"undo"}).out, MatchesRegex("process [0-9]+:[0-9]+: undone\n"));
  }
}

TEST_F(NamespacesStep, RefusesBadInputWithOneClearLine) {
  const std::string root = room("rootfs");
  files::replace(room("rootfs/plain"), "text", {.mode = 0644});
  for (const BadInput& input : {
           BadInput{"", {"run"}, 125, "ROOTFS is missing", "--help"},
           BadInput{"", {"run", room("none"), "sh"}, 125, "not a directory with a root file system", "02-namespaces rootfs"},
           BadInput{"", {"run", "/etc/passwd", "sh"}, 125, "not a directory with a root file system", ""},
           BadInput{"", {"run", root, "none"}, 127, "program \"none\" not found", "PATH="},
           BadInput{"", {"run", root, "/plain"}, 126, "execute /plain: Permission denied", ""},
           BadInput{"", {"run", "--withuot", "pid", root, "sh"}, 125, "did you mean '--without'?", "--help"},
           BadInput{"", {"run", "--without", "pdi", root, "sh"}, 125, "unknown namespace \"pdi\"", ""},
           BadInput{"", {"run", "--hostname", std::string(65, 'x'), root, "sh"}, 125, "is longer than 64 bytes", "1 to 64 bytes"},
           BadInput{"", {"run", "--hostname", "", root, "sh"}, 125, "host name \"\" is empty", "1 to 64 bytes"},
           BadInput{"", {"run", "--hostname", "two\nlines", root, "sh"}, 125, "host name \"two\\nlines\" has control bytes", "1 to 64"},
           BadInput{"", {"run", "--time-offset", "1h", root, "sh"}, 125, "\"1h\" is no offset of a clock", "boottime=SECONDS"},
           BadInput{"", {"run", "--time-offset", "boottime=1h", root, "sh"}, 125, "\"1h\" is no number of seconds", "such as"},
           BadInput{"", {"run", "--time-offset", "boottime=-99999999999", root, "sh"}, 125, "Numerical result out of range", "below zero"},
           BadInput{"", {"run", "--time-offset", "boottime=1", "--without", "time", root, "sh"}, 125, "in a time namespace", "leave time"},
           BadInput{"", {"run", "--namespaces", "", root, "sh"}, 125, "--namespaces: its value is empty", "--help"},
           BadInput{"", {"run", root, "--init", "sh"}, 125, "\"--init\" is no program: options stand before ROOTFS", "--help"},
           BadInput{"", {"rootfs", "/etc/passwd/x"}, 125, "make directory /etc/passwd: Not a directory", ""},
           BadInput{"", {"rootfs", "/proc/x"}, 125, "make directory /proc/x: No such file or directory", ""},
           BadInput{"", {"rootfs", "/etc/passwd"}, 125, "/etc/passwd is not a directory", ""},
           BadInput{"", {"run", "--cwd", "/none", root, "sh"}, 125, "change directory to /none", ""},
           BadInput{"", {"rootfs", root}, 125, "is not empty", "new directory"}}) {
    check_bad_input("02-namespaces", input);
  }
}

}  // namespace
}  // namespace jigsaw::test

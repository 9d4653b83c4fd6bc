// jigsaw from outside: run, exec, ps, kill, rm, build.
#include <fcntl.h>
#include <signal.h>
#include <sys/stat.h>
#include <sys/statvfs.h>
#include <sys/sysmacros.h>
#include <unistd.h>

#include "base/error.h"
#include "base/text.h"
#include "step.h"

namespace jigsaw::test {
namespace {

using ::testing::HasSubstr;
using ::testing::MatchesRegex;

class Jigsaw : public StepTest {
 protected:
  void SetUp() override {
    if (!is_root()) {
      GTEST_SKIP() << "containers with cgroups of their own need root";
    }
    ASSERT_EQ(jigsaw({"run", "--rm", "jigsaw/base", "true"}).code, 0);  // the base image is in the store from here on
    StepTest::SetUp();
  }
  std::vector<std::string> words(const std::vector<std::string>& arguments) const {
    std::vector<std::string> result = {bin("jigsaw"), "--root", room("root"), "--run-root", room("run")};
    result.insert(result.end(), arguments.begin(), arguments.end());
    return result;
  }
  Result jigsaw(const std::vector<std::string>& arguments, const RunOptions& options = {}) const {
    return run(words(arguments), options);
  }
  Result in_base(const std::string& script, std::vector<std::string> options = {}) const {
    options.insert(options.begin(), {"run", "--rm"});
    options.insert(options.end(), {"jigsaw/base", "sh", "-c", script});
    return jigsaw(options);
  }
  // Runs `prepare` and `script` as container `name`, and calls `body` once `prepare` is done.
  Result while_running(const std::string& name, const std::string& prepare, const std::string& script,
                       const std::function<void(int pid)>& body) const {
    std::vector<std::string> arguments = words({"run", "--name", name, "-v", room() + ":/room", "jigsaw/base", "sh", "-c",
                                                prepare + "; touch /room/" + name + "; " + script});
    return run(arguments, {.while_running = [&](int pid) {
      for (int tries = 0; tries < 500 && !files::exists(room(name)); ++tries) {
        std::this_thread::sleep_for(std::chrono::milliseconds(20));
      }
      ASSERT_TRUE(files::exists(room(name))) << "the container did not start";
      body(pid);
    }});
  }
};

TEST_F(Jigsaw, AContainerIsIsolated) {
  const Result result = in_base("echo $$; hostname; ls /", {"--hostname", "box"});
  EXPECT_EQ(result.code, 0) << result.err;
  EXPECT_EQ(result.out, "1\nbox\nbin\ndev\netc\nhome\nproc\nroot\nrun\nsbin\nsys\ntmp\nusr\nvar\n");
}

TEST_F(Jigsaw, ItHoldsDockersCapabilitiesAndAFilter) {
  EXPECT_THAT(in_base("grep -E 'CapEff|CapInh|Seccomp:' /proc/self/status").out,
              MatchesRegex("CapInh:\t0000000000000000\nCapEff:\t00000000a80425fb\nSeccomp:\t2\n"));
  EXPECT_NE(in_base("mount -t tmpfs none /mnt").code, 0);
  EXPECT_EQ(in_base("cat /proc/kcore | wc -c; echo x > /proc/sysrq-trigger").code, 1);
}

TEST_F(Jigsaw, ADeviceOfTheHostIsThereAndMayBeUsedAsFarAsItWasSaid) {
  const auto use = [&](const std::string& device) {
    return in_base("(: < /dev/log) && echo read; (: > /dev/log) && echo written; mknod /other c 1 11; (: > /other) && echo around",
                   {"--device", device, "--cap-add", "SYSLOG"}).out;
  };
  EXPECT_EQ(in_base("ls /dev/kmsg").code, 1);
  EXPECT_EQ(use("/dev/kmsg:/dev/log"), "read\nwritten\naround\n");
  EXPECT_EQ(use("/dev/kmsg:/dev/log:r"), "read\n");
  EXPECT_EQ(use("/dev/kmsg:/dev/log:w"), "written\naround\n");
  files::make_directories(room("nodes/deep"));
  ASSERT_EQ(::mknod(room("nodes/deep/one").c_str(), S_IFCHR | 0640, makedev(1, 11)), 0);
  EXPECT_EQ(in_base("stat -c '%t:%T %a' /dev/all/deep/one", {"--device", room("nodes") + ":/dev/all"}).out, "1:b 640\n");
}

TEST_F(Jigsaw, NamesGroupsVariablesAndSharedMemoryAreGivenToIt) {
  files::replace(room("variables"), "# ours\nA=1\n\n  B=two words \nC=file\n", {.mode = 0600, .sync = false});
  const Result result = in_base("grep db /etc/hosts; id -G; echo $A/$B/$C; df -k /dev/shm | tail -1 | awk '{print $2}'",
                                {"--add-host", "db:10.0.0.7", "--add-host", "db6:[fd00::7]", "--group-add", "777", "-e", "C=word", "--env-file",
                                 room("variables"), "--shm-size", "1m"});
  EXPECT_EQ(result.out, "10.0.0.7\tdb\nfd00::7\tdb6\n0 777\n1/two words /word\n1024\n") << result.err;
}

TEST_F(Jigsaw, ExitCodesPassThrough) {
  EXPECT_EQ(in_base("exit 7").code, 7);
  EXPECT_EQ(in_base("kill -9 $$; sleep 1").code, 0) << "PID 1 is deaf to its own SIGKILL";
  EXPECT_EQ(jigsaw({"run", "--rm", "jigsaw/base", "no-such-program"}).code, 127);
  EXPECT_EQ(jigsaw({"run", "--rm", "jigsaw/base", "/etc/passwd"}).code, 126);
  const Result misplaced = jigsaw({"run", "jigsaw/base", "--rm", "true"});
  EXPECT_EQ(misplaced.code, 127);
  EXPECT_THAT(misplaced.err, HasSubstr("hint: options stand before IMAGE\n"));
}

TEST_F(Jigsaw, BadInputIsOneClearLine) {
  const struct {
    std::vector<std::string> arguments;
    const char* message;
  } cases[] = {
      {{"rum"}, "unknown command \"rum\", did you mean 'run'?"},
      {{"run", "--memroy", "1m", "jigsaw/base"}, "unknown flag \"--memroy\", did you mean '--memory'?"},
      {{"run"}, "IMAGE is missing"},
      {{"run", "Not//A//Reference", "true"}, "Not//A//Reference"},
      {{"run", "--pull", "never", "nowhere/to/be/found", "true"}, "no such image"},
      {{"run", "localhost:1/nothing", "true"}, "localhost:1"},
      {{"exec", "nobody"}, "the program to run is missing"},
      {{"system"}, "a command is missing"},
      {{"system", "prun"}, "unknown command \"prun\", did you mean 'prune'?"},
      {{"run", "--memory", "lots", "jigsaw/base", "true"}, "--memory must be a size"},
      {{"run", "--memory", "", "jigsaw/base", "true"}, "--memory: its value is empty"},
      {{"run", "--cpus", "-1", "jigsaw/base", "true"}, "--cpus"},
      {{"run", "--memory", "jigsaw/base", "true"}, "--memory must be a size, not \"jigsaw/base\""},
      {{"run", "--tmpfs", "here", "jigsaw/base", "true"}, "--tmpfs needs an absolute path, not \"here\""},
      {{"run", "--sysctl", "x", "localhost:1/x", "true"}, "--sysctl must be KEY=value"},
      {{"run", "--sysctl", "kernel.panic=1", "jigsaw/base", "true"}, "sysctl \"kernel.panic\" belongs to the whole machine"},
      {{"run", "--sysctl", "net.ipv4.nothing=1", "jigsaw/base", "true"}, "there is no sysctl \"net.ipv4.nothing\" in this kernel\n  hint: "},
      {{"run", "--pids-limit", "many", "jigsaw/base", "true"}, "--pids-limit"},
      {{"run", "--network", "mars", "jigsaw/base", "true"}, "unknown network \"mars\""},
      {{"run", "--cap-add", "FLY", "jigsaw/base", "true"}, "FLY"},
      {{"run", "-v", "/no/such/source:/x", "jigsaw/base", "true"}, "does not exist"},
      {{"run", "--device", "/dev/nothing", "jigsaw/base", "true"}, "the device \"/dev/nothing\" does not exist"},
      {{"run", "--device", "/etc/passwd", "jigsaw/base", "true"}, "is no device, and no directory with one"},
      {{"run", "--device", "/dev/null:/dev/x:rx", "jigsaw/base", "true"}, "is no device of the host"},
      {{"run", "--add-host", "db", "jigsaw/base", "true"}, "--add-host must be NAME:ADDRESS"},
      {{"run", "--add-host", "d b:1.2.3.4", "jigsaw/base", "true"}, "is no name of a host"},
      {{"run", "--env-file", "/no/file", "jigsaw/base", "true"}, "/no/file"},
      {{"run", "--group-add", "crowd", "jigsaw/base", "true"}, "crowd"},
      {{"run", "--shm-size", "0", "jigsaw/base", "true"}, "--shm-size must be more than nothing"},
      {{"run", "-u", "nobody-knows-him", "jigsaw/base", "true"}, "nobody-knows-him"},
      {{"run", "--name", "../x", "jigsaw/base", "true"}, "can't be the name of a container"},
      {{"exec", "nobody", "true"}, "no such container"},
      {{"rm", "nobody"}, "no such container"},
      {{"inspect", "nobody"}, "no such image or container: \"nobody\""},
  };
  for (const auto& each : cases) {
    const Result result = jigsaw(each.arguments);
    EXPECT_EQ(result.code, 125) << each.message << result.err;
    EXPECT_THAT(result.err, testing::StartsWith("jigsaw: error: "));
    EXPECT_THAT(result.err, HasSubstr(each.message));
    EXPECT_EQ(result.out, "");
    EXPECT_LE(text::lines(result.err).size(), 2U) << result.err;
  }
  EXPECT_EQ(jigsaw({"ps", "--all", "--quiet"}).out, "") << "a container of a refused run stayed";
  const Result forced = jigsaw({"rm", "--force", "nobody"});
  EXPECT_EQ(forced.code, 0);
  EXPECT_EQ(forced.err, "jigsaw: warning: no such container: \"nobody\"\n");
  const Result place = run({bin("jigsaw"), "--root", room("root"), "--run-root", "/etc/passwd", "run", "jigsaw/base", "true"});
  EXPECT_EQ(place.err, "jigsaw: error: make directory /etc/passwd: Not a directory\n"
                       "  hint: choose another place for the states of running containers, with --run-root DIR\n");
}

TEST_F(Jigsaw, AMisspeltImageIsMetWithTheNearestThatIsHere) {
  ASSERT_EQ(jigsaw({"tag", "jigsaw/base", "localhost:1/me/thing"}).code, 0);
  const Result last = jigsaw({"run", "localhost:1/me/thnig", "true"});
  EXPECT_EQ(last.code, 125);
  EXPECT_THAT(last.err, testing::EndsWith("\n  hint: localhost:1/me/thing is here: was that meant?\n"));
  const Result step = run_step("05-image", {"--root", room("root"), "run", "localhost:1/me/thnig", "true"});
  EXPECT_EQ(step.code, 125);
  EXPECT_THAT(step.err, testing::EndsWith("; localhost:1/me/thing is here: was that meant?\n"));
  EXPECT_THAT(jigsaw({"run", "localhost:1/other", "true"}).err, testing::Not(HasSubstr("was that meant")));
  EXPECT_THAT(jigsaw({"run", "--pull", "always", "localhost:1/me/thing", "true"}).err, testing::Not(HasSubstr("was that meant")));
}

TEST_F(Jigsaw, AnEmptyEntrypointTakesTheImagesAway) {
  files::make_directories(room("context"));
  files::replace(room("context/Dockerfile"), "FROM jigsaw/base\nENTRYPOINT [\"echo\", \"theirs\"]\n");
  ASSERT_EQ(jigsaw({"build", "-q", "-t", "entry", room("context")}).code, 0);
  EXPECT_EQ(jigsaw({"run", "--rm", "entry", "x"}).out, "theirs x\n");
  EXPECT_EQ(jigsaw({"run", "--rm", "--entrypoint", "", "entry", "echo", "ours"}).out, "ours\n");
  EXPECT_EQ(jigsaw({"run", "--rm", "--entrypoint=echo", "entry", "ours"}).out, "ours\n");
  EXPECT_THAT(jigsaw({"run", "--rm", "--entrypoint=", "entry"}).err, HasSubstr("names no program to run"));
}

TEST_F(Jigsaw, OptionsReachTheProgram) {
  EXPECT_EQ(in_base("echo $A $PWD $(id -u):$(id -g)", {"-e", "A=b", "-w", "/tmp", "-u", "1000:1001"}).out, "b /tmp 1000:1001\n");
  EXPECT_THAT(in_base("touch /x", {"--read-only"}).err, HasSubstr("Read-only file system"));
  EXPECT_EQ(in_base("grep /scratch /proc/mounts | cut -d' ' -f3", {"--tmpfs", "/scratch:size=1m"}).out, "tmpfs\n");
  EXPECT_EQ(in_base("ulimit -n", {"--ulimit", "nofile=77:77"}).out, "77\n");
  EXPECT_THAT(jigsaw({"--explain", "run", "--rm", "--cpu-quota", "12345", "jigsaw/base", "true"}).err, HasSubstr("12345"));
  files::replace(room("given"), "from the host\n");
  EXPECT_EQ(in_base("cat /given; echo x > /given", {"-v", room("given") + ":/given:ro"}).code, 1);
  EXPECT_EQ(files::read(room("given")), "from the host\n");
}

TEST_F(Jigsaw, StandardInputIsTheCallersOnlyIfAsked) {
  EXPECT_EQ(jigsaw({"run", "--rm", "-i", "jigsaw/base", "cat"}, {.input = "hello"}).out, "hello");
  EXPECT_EQ(jigsaw({"run", "--rm", "jigsaw/base", "cat"}, {.input = "hello"}).out, "");
}

TEST_F(Jigsaw, MemoryThatIsTooMuchIsSaidSo) {
  const Result result = in_base("tail /dev/zero", {"--memory", "16m"});
  EXPECT_EQ(result.code, 137);
  EXPECT_THAT(result.err, HasSubstr("out of memory (limit 16MiB)"));
}

TEST_F(Jigsaw, AContainerThatEndedIsListedUntilItIsRemoved) {
  EXPECT_EQ(jigsaw({"run", "--name", "one", "jigsaw/base", "sh", "-c", "exit 3"}).code, 3);
  EXPECT_THAT(jigsaw({"ps", "--all"}).out, HasSubstr("exited (3)"));
  EXPECT_THAT(jigsaw({"run", "--name", "one", "jigsaw/base", "true"}).err, HasSubstr("is taken by another container"));
  EXPECT_EQ(jigsaw({"rm", "one"}).out, "one\n");
  EXPECT_EQ(files::list(room("root/containers")).size(), 0U);
  EXPECT_EQ(files::list(room("root/changes")).size(), 0U);
  EXPECT_EQ(std::filesystem::status(room("root/changes")).permissions(), std::filesystem::perms::owner_all) << "others could run what is set-user-id there";
  EXPECT_EQ(files::list(room("run/locks")).size(), 0U);
}

TEST_F(Jigsaw, ExecEntersARunningContainer) {
  const Result result = while_running("svc", "trap 'exit 5' TERM", "while :; do sleep 0.05; done", [&](int) {
    EXPECT_THAT(jigsaw({"ps"}).out, HasSubstr("running"));
    const Result inside = jigsaw({"exec", "-e", "B=c", "svc", "sh", "-c", "echo $B; hostname; grep CapEff /proc/self/status; exit 9"});
    EXPECT_EQ(inside.code, 9) << inside.err;
    EXPECT_THAT(inside.out, MatchesRegex("c\n[0-9a-f]{12}\nCapEff:\t00000000a80425fb\n"));
    EXPECT_EQ(jigsaw({"exec", "-t", "svc", "sh", "-c", "echo $TERM"}).out, "xterm\r\n");
    EXPECT_EQ(jigsaw({"exec", "svc", "no-such-program"}).code, 127);
    EXPECT_THAT(jigsaw({"rm", "svc"}).err, HasSubstr("is running"));
    EXPECT_EQ(jigsaw({"kill", "--signal", "TERM", "svc"}).code, 0);
  });
  EXPECT_EQ(result.code, 5) << result.err;
}

TEST_F(Jigsaw, StatsShowWhatRunsAndItsLimits) {
  run(words({"run", "--name", "busy", "--pids-limit", "9", "-m", "64m", "-v", room() + ":/room", "jigsaw/base", "sh", "-c",
             "trap 'exit 0' TERM; touch /room/up; while :; do sleep 0.05; done"}),
      {.while_running = [&](int pid) {
        for (int tries = 0; tries < 500 && !files::exists(room("up")); ++tries) {
          std::this_thread::sleep_for(std::chrono::milliseconds(20));
        }
        const Result all = jigsaw({"stats"});
        EXPECT_THAT(all.out, MatchesRegex("CONTAINER ID .*\n[0-9a-f]{12} +busy +[12] / 9 +[0-9.]+.iB / 64MiB .*\n")) << all.err;
        const Result one = jigsaw({"stats", "busy"});
        EXPECT_EQ(text::lines(one.out).size(), 2U) << one.err;
        ::kill(pid, SIGTERM);
      }});
  EXPECT_EQ(jigsaw({"stats"}).out, "CONTAINER ID   NAME   PROCESSES   MEMORY   CPU   DISKS\n");
  const Result ended = jigsaw({"stats", "busy"});
  EXPECT_EQ(ended.code, 125);
  EXPECT_EQ(ended.err, "jigsaw: error: container busy does not run: it uses nothing\n  hint: jigsaw ps lists those that do\n");
}

TEST_F(Jigsaw, SignalsReachTheProgram) {
  const Result result = while_running("svc", "trap 'echo caught; exit 6' INT", "while :; do sleep 0.05; done", [](int pid) { ::kill(pid, SIGINT); });
  EXPECT_EQ(result.code, 6);
  EXPECT_EQ(result.out, "caught\n");
}

TEST_F(Jigsaw, ForcedRemovalKills) {
  const Result result = while_running("svc", ":", "sleep 100", [&](int) {
    const Result removed = jigsaw({"rm", "--force", "svc"});
    EXPECT_EQ(removed.out, "svc\n") << removed.err;
  });
  EXPECT_EQ(result.code, 137);
  EXPECT_EQ(jigsaw({"ps", "--all", "--quiet"}).out, "");
}

TEST_F(Jigsaw, TheFileItIsExecutedFromIsNoContainersToWrite) {  // CVE-2019-5736
  while_running("svc", ":", "sleep 100", [&](int pid) {
    const Fd own = files::open("/proc/" + std::to_string(pid) + "/exe", O_RDONLY);
    struct statvfs mount {};
    ASSERT_EQ(::fstatvfs(own.get(), &mount), 0);
    EXPECT_TRUE((mount.f_flag & ST_RDONLY) != 0) << "by this link a container's root could write to jigsaw itself";
    EXPECT_EQ(jigsaw({"rm", "--force", "svc"}).code, 0);
  });
}

TEST_F(Jigsaw, CleanUpWaitsForNoContainerAndSparesWhatOneNeeds) {
  while_running("svc", ":", "sleep 100", [&](int) {
    EXPECT_EQ(jigsaw({"rmi", "--force", "jigsaw/base"}).code, 0);
    EXPECT_EQ(jigsaw({"system", "prune"}).code, 0);
    EXPECT_EQ(jigsaw({"exec", "svc", "head", "-n1", "/etc/group"}).out, "root:x:0:\n");
    EXPECT_EQ(jigsaw({"rm", "--force", "svc"}).code, 0);
  });
}

TEST_F(Jigsaw, WhatAKilledJigsawLeavesTheNextOneSweeps) {
  const Result result = while_running("svc", ":", "sleep 100", [](int pid) { ::kill(pid, SIGKILL); });
  EXPECT_EQ(result.code, 137);
  EXPECT_THAT(jigsaw({"ps", "--all"}).out, HasSubstr("exited (137): the jigsaw that ran it was killed")) << "nobody knows when";
  EXPECT_EQ(in_base("true").code, 0);
  EXPECT_EQ(files::list(room("run/locks")).size(), 0U);
  EXPECT_THAT(files::list(room("run/containers")), testing::Each(testing::Eq(".seccomp"))) << "only the cache of filters stays";
  EXPECT_EQ(jigsaw({"rm", "svc"}).code, 0);
}

TEST_F(Jigsaw, OneDirectoryMayBeBothRoots) {
  const std::string both = room("both");
  for (const char* name : {"one", "two"}) {
    const Result result = run({bin("jigsaw"), "--root", both, "--run-root", both, "run", "--name", name, "jigsaw/base", "echo", name});
    EXPECT_EQ(result.out, std::string(name) + "\n") << result.err;
  }
  EXPECT_EQ(run({bin("jigsaw"), "--root", both, "--run-root", both, "rm", "one", "two"}).out, "one\ntwo\n");
}

TEST_F(Jigsaw, TwoStagesBecomeOneImage) {
  files::make_directories(room("context"));
  files::replace(room("context/Dockerfile"),
                 "FROM jigsaw/base AS workshop\nRUN echo made > /made && echo mess > /mess\n"
                 "FROM jigsaw/base\nCOPY --from=workshop /made /made\nRUN ln /made /again\nCMD [\"cat\", \"/made\"]\n");
  const Result built = jigsaw({"build", "-t", "two", room("context")});
  ASSERT_EQ(built.code, 0) << built.err;
  const Result shown = jigsaw({"run", "--rm", "two"});
  EXPECT_EQ(shown.out, "made\n") << shown.err;
  EXPECT_EQ(jigsaw({"run", "--rm", "two", "cat", "/mess"}).code, 1) << "the first stage is in the image";
  // The bytes of the files in a layer: the link has to take its file along, which counts once.
  EXPECT_THAT(jigsaw({"history", "-H=false", "--format", "{{.Size}}", "two"}).out, ::testing::StartsWith("0\n5\n5\n"));
}

TEST_F(Jigsaw, WorksWithoutRoot) {
  constexpr uid_t kSomebody = 12345;
  ASSERT_EQ(::chmod(room().c_str(), 0711), 0);
  for (const std::string& own : {room("home"), room("live")}) {
    files::make_directories(own);
    ASSERT_EQ(::chown(own.c_str(), kSomebody, kSomebody), 0);
  }
  const RunOptions as_somebody{.environment = {{"HOME", room("home")}, {"XDG_DATA_HOME", room("home")}, {"XDG_RUNTIME_DIR", room("live")}},
                               .uid = kSomebody};
  if (run({"test", "-x", bin("jigsaw")}, as_somebody).code != 0) {
    GTEST_SKIP() << "the build lies in a directory that other users may not enter";
  }
  const Result result = run({bin("jigsaw"), "run", "--rm", "jigsaw/base", "sh", "-c", "echo $$ $(id -u); touch /made; echo x > /dev/null; ls /made"}, as_somebody);
  EXPECT_EQ(result.code, 0) << result.err;
  EXPECT_EQ(result.out, "1 0\n/made\n");
  // and a build, whose RUN has a limit that nobody asked for where one can be set
  files::make_directories(room("context"));
  files::replace(room("context/Dockerfile"), "FROM jigsaw/base\nRUN echo made > /made\nCMD [\"cat\", \"/made\"]\n", {.mode = 0644});
  const Result built = run({bin("jigsaw"), "build", "-q", "-t", "own", room("context")}, as_somebody);
  EXPECT_EQ(built.code, 0) << built.err;
  EXPECT_EQ(run({bin("jigsaw"), "run", "--rm", "own"}, as_somebody).out, "made\n");
}

}  // namespace
}  // namespace jigsaw::test

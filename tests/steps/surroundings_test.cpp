// The same run in surroundings that are not as a program likes them: streams that are closed or full, no environment, low
// limits, an odd umask, keys on a terminal, many at once. Each step does its work or says in one line why not.
#include <fcntl.h>
#include <poll.h>
#include <pty.h>
#include <sys/wait.h>
#include <unistd.h>

#include <filesystem>
#include <set>

#include "base/error.h"
#include "base/text.h"
#include "step.h"

namespace jigsaw::test {
namespace {

using ::testing::HasSubstr;
using ::testing::MatchesRegex;

class Surroundings : public StepTest {
 protected:
  void SetUp() override {
    if (!is_root()) {
      GTEST_SKIP() << "the test compares the host's cgroups, which only root can make everywhere";
    }
    StepTest::SetUp();
    ASSERT_EQ(run_step("02-namespaces", {"rootfs", room("rootfs")}).code, 0);
    ASSERT_EQ(run_step("04-unionfs", {"layers", room("layers")}).code, 0);
  }

  // Each step's "run" up to its program, as words for a shell.
  std::vector<std::pair<std::string, std::string>> runs() const {
    std::vector<std::pair<std::string, std::string>> result;
    for (const auto& [program, words] : std::vector<std::pair<std::string, std::vector<std::string>>>{
             {"01-process", {"run"}},
             {"02-namespaces", {"run", room("rootfs")}},
             {"03-cgroups", {"run", room("rootfs")}},
             {"04-unionfs", {"run", room("layers")}},
             {"05-image", {"--root", room("images"), "run", "jigsaw/base"}},
             {"jigsaw", {"--root", room("images"), "run", "--rm", "jigsaw/base"}}}) {
      result.emplace_back(program, text::shell_words(command(program, words)) + " ");
    }
    return result;
  }
};

TEST_F(Surroundings, EachStepDoesItsWork) {
  struct Case {
    const char* before;   // of the shell, in front of the run
    const char* program;  // what is run
    const char* behind;   // redirections
    const char* out;
    int code;
  };
  for (const auto& [program, words] : runs()) {
    for (const Case& way : {Case{"", "echo ok", "<&-", "ok\n", 0},
                            Case{"", "sh -c 'cat; echo $?'", "<&- 2>/dev/null", "1\n", 0},  // closed it is, not ours
                            Case{"", "sh -c 'echo x; exit 4'", ">&- 2>&-", "", 4},
                            Case{"", "sh -c 'exit 3'", "<&- >&- 2>&-", "", 3},
                            Case{"", "sh -c 'echo x 2>/dev/null || exit 5'", ">/dev/full", "", 5},
                            Case{"env -i", "echo ok", "", "ok\n", 0},
                            Case{"umask 777;", "echo ok", "", "ok\n", 0},
                            Case{"ulimit -n 64;", "echo ok", "", "ok\n", 0},
                            Case{"mkdir gone; cd gone; rmdir ../gone;", "echo ok", "", "ok\n", 0}}) {
      if (program == "jigsaw" && way.code == 0 && way.out == std::string("1\n")) {
        continue;  // without --interactive it gives its program /dev/null
      }
      const Result result = sh(std::string(way.before) + " " + words + way.program + " " + way.behind, {.directory = room()});
      EXPECT_EQ(result.code, way.code) << program << " " << way.before << way.behind << ": " << result.err;
      EXPECT_EQ(result.out, way.out) << program << " " << way.before << way.behind << ": " << result.err;
      EXPECT_EQ(result.err, "") << program << " " << way.before << way.behind;
    }
  }
}

TEST_F(Surroundings, EachStepSaysInOneLineWhatIsMissing) {
  for (const auto& [program, words] : runs()) {
    const Result few = sh("exec 3>&-; ulimit -n 4; exec " + words + "true");  // who runs the tests may have left us a 3
    EXPECT_EQ(few.code, 125) << program;
    EXPECT_THAT(few.err, HasSubstr("Too many open files\n  hint: ")) << program;
    const Result help = sh("exec " + bin(program) + " --help >/dev/full");
    EXPECT_EQ(help.code, 125) << program;
    EXPECT_EQ(help.err, program + ": error: write standard output: No space left on device\n  hint: 'df' and 'df -i' show which disk is full\n");
    const Result unread = sh("{ trap '' PIPE; " + bin(program) + " --help; echo $? >&2; } | true");
    EXPECT_THAT(unread.err, MatchesRegex("(0|141)\n")) << program;
    sh(text::shell_words(command(program, {"undo"})) + " 2>/dev/null");
  }
  // 05 and jigsaw write layers before they run anything
  for (const std::string& program : {std::string("01-process"), std::string("03-cgroups")}) {
    const Result small = sh("ulimit -f 0; exec " + text::shell_words(command(program, {"run", room("rootfs"), "true"})));
    EXPECT_EQ(small.code, 125) << program;
    EXPECT_THAT(small.err, HasSubstr("File too large\n  hint: 'ulimit -f'")) << program;
  }
}

TEST_F(Surroundings, APlaceThatIsGoneOrNamelessIsSaid) {
  const Result gone = sh("mkdir gone; cd gone; rmdir ../gone; exec " + bin("04-unionfs") + " --run-root " + room("run") + " run l true", {.directory = room()});
  EXPECT_EQ(gone.err, "04-unionfs: error: \"l\": No such file or directory\n  hint: the working directory does not exist any more: change to another one\n");
  EXPECT_EQ(run_step("02-namespaces", {"rootfs", ""}).err, "02-namespaces: error: the name of the directory is empty\n");
}

// What a learner has got used to is there in the next step as well.
TEST_F(Surroundings, EachStepHasTheCommandsAndOptionsOfTheOnesBefore) {
  if (in_virtual_machine()) {
    GTEST_SKIP() << "it is the same on every kernel";
  }
  // The first word of each line that is indented: commands, "-w,--cwd,--workdir".
  const auto words_of = [](const std::string& help, std::string_view beginning) {
    std::set<std::string> found;
    for (const std::string_view line : text::lines(help)) {
      if (line.starts_with("  ") && line.substr(2).starts_with(beginning) && line[2] != ' ') {
        for (const std::string_view name : text::split(line.substr(2, line.find(' ', 2) - 2), ',')) {
          found.emplace(name);
        }
      }
    }
    return found;
  };
  std::set<std::string> commands;
  std::set<std::string> options;
  for (const std::string program : {"01-process", "02-namespaces", "03-cgroups", "04-unionfs", "05-image"}) {
    std::set<std::string> here = words_of(run_step(program, {"--help"}).out, "");
    here.insert("rootfs");  // 04 has layers in its place, and 05 images in theirs
    here.insert("layers");
    EXPECT_THAT(here, ::testing::IsSupersetOf(commands)) << program;
    commands = here;
    const std::set<std::string> of_run = words_of(run_step(program, {"run", "--help"}).out, "-");
    EXPECT_THAT(of_run, ::testing::IsSupersetOf(options)) << program;
    options = of_run;
    EXPECT_EQ(run_step(program, {"ps"}).out.substr(0, 4), "PID ") << program;
    EXPECT_THAT(run_step(program, {"inspect", std::to_string(::getpid())}).out, HasSubstr("address space: ")) << program;
  }
  EXPECT_THAT(commands, ::testing::IsSupersetOf({"run", "ps", "inspect", "ls", "stats", "diff", "undo", "pull"}));
  EXPECT_THAT(options, ::testing::IsSupersetOf({"--env", "--hostname", "--time-offset", "--memory", "--changes"}));

  const std::string changes = room("changes");
  ASSERT_EQ(run_step("05-image", {"--root", room("images"), "run", "--changes", changes, "jigsaw/base", "touch", "/etc/new"}).code, 0);
  EXPECT_EQ(run_step("05-image", {"--root", room("images"), "diff", "jigsaw/base", changes}).out, "C /etc\nA /etc/new\n");
}

// A user without a home has no place for images but the one he names.
TEST_F(Surroundings, WithoutHomeAPlaceForImagesIsAskedFor) {
  std::filesystem::permissions(room(), std::filesystem::perms::all);
  const std::string words = "env -u HOME -u XDG_DATA_HOME " + bin("05-image") + " --run-root " + room("own");
  const Result without = sh(words + " run jigsaw/base true", {.uid = 47110});
  EXPECT_EQ(without.code, 125);
  EXPECT_EQ(without.err, "05-image: error: HOME is not set, so there is no place for images\n  hint: give one with --root DIR\n");
  EXPECT_EQ(sh(words + " --root " + room("theirs") + " run jigsaw/base echo ok", {.uid = 47110}).out, "ok\n");
}

// A careful administrator's umask is no reason to lock other users out of the container's root directory, nor a careless one's
// to let them write into it.
TEST_F(Surroundings, TheUmaskDoesNotReachTheRootDirectory) {
  const std::string look = "stat -c %a / /new /etc/hosts; umask";
  files::make_directories(room("context"));
  files::replace(room("context/Dockerfile"), R"(FROM scratch AS other
FROM jigsaw/base
USER 1000
WORKDIR /new
RUN --mount=type=bind,from=other,target=/bound --mount=type=cache,target=/cached <<END
  stat -c %a / /new /etc/hosts /bound /cached | tr '\n' ' '
END
RUN <<END
#!/bin/sh
echo a script
END
)", {.sync = false});
  for (const std::string mask : {"umask 077; ", "umask 000; "}) {
    if (in_virtual_machine() && mask == "umask 000; ") {
      continue;
    }
    const std::string at = room(mask.substr(6, 3));
    const auto jigsaw = [&](std::vector<std::string> words) {
      words.insert(words.begin(), {"--root", at + "-store"});
      return text::shell_words(command("jigsaw", words));
    };
    const Result result = sh(mask + "for c in '02-namespaces rootfs " + at + "-r' '04-unionfs layers " + at + "-l'; do " + bin("") +
                             "$c || exit; done; stat -c %a " + at + "-r " + at + "-l/1-busybox; " +
                             text::shell_words(command("04-unionfs", {"run", at + "-l", "stat", "-c", "%a", "/"})) + "; " +
                             jigsaw({"run", "--rm", "-u", "1000", "-w", "/new", "jigsaw/base", "sh", "-c", look}));
    EXPECT_EQ(result.out, "755\n755\n755\n755\n755\n644\n0022\n") << mask << result.err;
    const Result build = sh(mask + "exec " + jigsaw({"build", room("context")}));
    EXPECT_THAT(build.out + build.err, HasSubstr("755 755 644 755 755")) << mask;
    EXPECT_THAT(build.out + build.err, HasSubstr("a script")) << mask;
  }
}

// Ctrl-C and a new window size come from the terminal to all processes in its foreground: to the program once, not twice.
TEST_F(Surroundings, AKeyReachesTheProgramOnce) {
  for (const auto& [program, words] : runs()) {
    if (program != "01-process" && program != "02-namespaces") {
      continue;  // the others do it by the same code; jigsaw's program is in a session of its own
    }
    int terminal = -1;
    const pid_t pid = ::forkpty(&terminal, nullptr, nullptr, nullptr);
    if (pid == 0) {
      const std::string script = words + R"sh(sh -c 'n=0; trap "n=\$((n+1))" INT; echo ready; for i in 1 2 3 4; do sleep 0.1; done; echo "heard $n"')sh";
      ::execlp("sh", "sh", "-c", ("exec " + script).c_str(), nullptr);
      ::_exit(1);
    }
    const Fd owned(terminal);
    std::string said;
    bool pressed = false;
    for (pollfd watched{terminal, POLLIN, 0}; ::poll(&watched, 1, 10000) > 0;) {
      char buffer[512];
      const ssize_t got = ::read(terminal, buffer, sizeof buffer);
      if (got <= 0) {
        break;
      }
      said.append(buffer, static_cast<size_t>(got));
      if (!pressed && said.find("ready") != std::string::npos) {
        pressed = ::write(terminal, "\003", 1) == 1;
      }
    }
    ::waitpid(pid, nullptr, 0);
    EXPECT_THAT(said, HasSubstr("heard 1")) << program;
  }
}

TEST_F(Surroundings, ManyRunsAtOnceDoNotDisturbOneAnother) {
  for (const auto& [program, words] : runs()) {
    const Result result = sh("for i in $(seq 16); do " + words + "echo ok & done; wait");
    EXPECT_EQ(text::lines(result.out).size(), 16U) << program << ": " << result.err;
    EXPECT_EQ(result.err, "") << program;
  }
  EXPECT_TRUE(files::list(room("run/records")).empty());
}

}  // namespace
}  // namespace jigsaw::test

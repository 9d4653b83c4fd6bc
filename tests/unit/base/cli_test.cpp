// The command line that all programs share, with a program that only remembers what it was given.
#include "base/cli.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <CLI/CLI.hpp>

namespace jigsaw {
namespace {

using ::testing::ElementsAre;
using ::testing::HasSubstr;
using ::testing::IsEmpty;

struct Seen {
  int code = -1;
  std::string out;
  std::string err;
  std::string ran;
  std::string root;
  std::string name;
  std::vector<std::string> environment;
  bool interactive = false;
  bool terminal = false;
  std::string image;
  std::vector<std::string> words;
  std::vector<std::string> names;
};

void describe(CLI::App& app, Seen& seen) {
  app.add_option("--root", seen.root);
  CLI::App* run = app.add_subcommand("run", "run it");
  run->add_option("-n,--name", seen.name);
  run->add_option("-e,--env", seen.environment)->allow_extra_args(false);
  run->add_flag("-i,--interactive", seen.interactive);
  run->add_flag("-t,--tty", seen.terminal);
  cli::take_command_line(*run, seen.image, seen.words, "IMAGE", "an image");
  cli::on_run(*run, [&] { return seen.ran = "run", 7; });
  CLI::App* enter = app.add_subcommand("enter", "enter it");
  cli::take_command_line(*enter, seen.image, seen.words, "IMAGE", "an image", cli::Rest::kRequired);
  cli::on_run(*enter, [&] { return seen.ran = "enter", 0; });
  CLI::App* remove = app.add_subcommand("rm", "remove some");
  remove->add_option("NAME", seen.names)->required();
  cli::on_run(*remove, [&] { return seen.ran = "rm", 0; });
  CLI::App* system = app.add_subcommand("system", "more");
  cli::on_run(*system->add_subcommand("prune", "sweep"), [&] { return seen.ran = "prune", 0; });
}

Seen run(std::vector<std::string> words) {
  words.insert(words.begin(), "prog");
  std::vector<char*> argv;
  for (std::string& word : words) {
    argv.push_back(word.data());
  }
  Seen seen;
  testing::internal::CaptureStdout();
  testing::internal::CaptureStderr();
  seen.code = cli::run_main(static_cast<int>(argv.size()), argv.data(), {"prog", "for the test"},
                            [&](CLI::App& app) { describe(app, seen); });
  seen.out = testing::internal::GetCapturedStdout();
  seen.err = testing::internal::GetCapturedStderr();
  return seen;
}

TEST(CommandLine, OptionsStandBeforeTheFirstPlainWord) {
  const Seen seen = run({"--root", "/r", "run", "-it", "--name=x", "-eA=1", "-e", "-B", "img", "sh", "--name", "y", "-i"});
  EXPECT_EQ(seen.code, 7) << seen.err;
  EXPECT_EQ(seen.root, "/r");
  EXPECT_EQ(seen.name, "x");
  EXPECT_TRUE(seen.interactive && seen.terminal);
  EXPECT_THAT(seen.environment, ElementsAre("A=1", "-B"));
  EXPECT_EQ(seen.image, "img");
  EXPECT_THAT(seen.words, ElementsAre("sh", "--name", "y", "-i"));
}

TEST(CommandLine, AFlagOfOneLetterTakesAValueBehindAnEqualsSign) {
  const Seen seen = run({"run", "-i=false", "-t=true", "img"});
  EXPECT_EQ(seen.code, 7) << seen.err;
  EXPECT_FALSE(seen.interactive);
  EXPECT_TRUE(seen.terminal);
}

TEST(CommandLine, TwoDashesEndTheOptionsBeforeAndBehindTheFirstWord) {
  EXPECT_THAT(run({"run", "img", "--", "sh", "--", "-c"}).words, ElementsAre("sh", "--", "-c"));
  EXPECT_THAT(run({"run", "-i", "--", "img", "--", "sh"}).words, ElementsAre("sh"));
  EXPECT_EQ(run({"run", "--", "-img"}).image, "-img");
  EXPECT_THAT(run({"rm", "--", "-a", "--root"}).names, ElementsAre("-a", "--root"));
}

TEST(CommandLine, TheProgramsOwnOptionsMayFollowTheCommand) {
  const Seen seen = run({"run", "--root", "/late", "img"});
  EXPECT_EQ(seen.root, "/late");
  EXPECT_EQ(run({"system", "prune", "--root=x"}).ran, "prune");
}

TEST(CommandLine, AValueMayBeEmptyOrLookLikeSomethingElse) {
  const Seen seen = run({"run", "--name=", "img", "true"});
  EXPECT_EQ(seen.name, "");
  EXPECT_EQ(seen.image, "img");
  EXPECT_EQ(run({"run", "--name", "run", "img"}).name, "run");
  EXPECT_EQ(run({"run", "--name", "--help", "img"}).name, "--help");
}

TEST(CommandLine, HelpNamesTheWordsThatFollow) {
  EXPECT_THAT(run({"run", "--help"}).out, HasSubstr("Usage: prog run [OPTIONS] IMAGE [PROGRAM [ARG...]]\n"));
  EXPECT_THAT(run({"help", "enter"}).out, HasSubstr("Usage: prog enter [OPTIONS] IMAGE PROGRAM [ARG...]\n"));
  const Seen seen = run({"help"});
  EXPECT_EQ(seen.code, 0);
  EXPECT_THAT(seen.out, HasSubstr("--explain "));
}

// Options that nobody asks for are not described, which is seen by nobody: not in the help, not where a word is misspelt.
TEST(CommandLine, DescribesWhatIsAskedFor) {
  const auto more = [](std::vector<std::string> words) {
    bool asked = false;
    Seen ignored;
    words.insert(words.begin(), "prog");
    std::vector<char*> argv;
    for (std::string& word : words) {
      argv.push_back(word.data());
    }
    testing::internal::CaptureStdout();
    testing::internal::CaptureStderr();
    cli::run_main(static_cast<int>(argv.size()), argv.data(), {"prog", "for the test"}, [&](CLI::App& app) {
      describe(app, ignored);
      asked = cli::asks_for_more(*app.get_subcommand("run"));
    });
    testing::internal::GetCapturedStdout();
    testing::internal::GetCapturedStderr();
    return asked;
  };
  EXPECT_FALSE(more({"run", "image", "true"}));
  EXPECT_FALSE(more({"--root", "/r", "run", "-i", "--name=a", "-e", "A=1", "image"}));
  for (const char* word : {"--memory", "--memory=1g", "--nmae", "-it", "-x", "--help", "-h", "help", "-"}) {
    EXPECT_TRUE(more({"run", word, "image"})) << word;
  }
}

TEST(CommandLine, RefusesWhatItDoesNotKnowInOneLine) {
  const struct {
    std::vector<std::string> words;
    std::string error;
  } cases[] = {
      {{}, "a command is missing\n  hint: see 'prog --help'\n"},
      {{"system"}, "a command is missing\n  hint: see 'prog system --help'\n"},
      {{"rnu"}, "unknown command \"rnu\", did you mean 'run'?\n  hint: see 'prog --help'\n"},
      {{"system", "prun"}, "unknown command \"prun\", did you mean 'prune'?\n  hint: see 'prog system --help'\n"},
      {{"run", "--nmae", "x", "img"}, "unknown flag \"--nmae\", did you mean '--name'?\n  hint: see 'prog run --help'\n"},
      {{"--roof=x", "run"}, "unknown flag \"--roof\", did you mean '--root'?\n  hint: see 'prog --help'\n"},
      {{"run", "-x", "img"}, "unknown flag \"-x\"\n  hint: see 'prog run --help'\n"},
      {{"run", "--name"}, "--name needs a value\n  hint: see 'prog run --help'\n"},
      {{"--root", "a", "--root", "b", "run", "i"}, "--root is given more than once\n  hint: see 'prog --help'\n"},
      {{"run"}, "IMAGE is missing\n  hint: see 'prog run --help'\n"},
      {{"run", ""}, "IMAGE is missing\n  hint: see 'prog run --help'\n"},
      {{"enter", "img"}, "the program to run is missing\n  hint: see 'prog enter --help'\n"},
      {{"enter", "img", "--"}, "the program to run is missing\n  hint: see 'prog enter --help'\n"},
      {{"rm"}, "NAME is required\n  hint: see 'prog rm --help'\n"},
      {{"system", "prune", "all"}, "unexpected argument \"all\"\n  hint: see 'prog system prune --help'\n"},
  };
  for (const auto& each : cases) {
    const Seen seen = run(each.words);
    EXPECT_EQ(seen.code, 125) << each.error;
    EXPECT_EQ(seen.err, "prog: error: " + each.error);
    EXPECT_EQ(seen.out, "");
    EXPECT_THAT(seen.ran, IsEmpty());
  }
}

}  // namespace
}  // namespace jigsaw

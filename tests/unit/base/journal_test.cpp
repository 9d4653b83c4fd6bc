#include "base/journal.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <signal.h>
#include <sys/wait.h>
#include <unistd.h>

#include <fstream>

#include "base/error.h"
#include "base/files.h"

namespace jigsaw::journal {
namespace {

using ::testing::ElementsAre;
using ::testing::IsEmpty;
using ::testing::SizeIs;

class JournalTest : public ::testing::Test {
 protected:
  // A child that notes `kind what` and is then killed without a chance to clean up.
  void run_that_is_killed(const std::string& kind, const std::string& what) {
    const pid_t pid = ::fork();
    if (pid == 0) {
      Record record(records_, kinds_);
      record.note(kind, what);
      ::raise(SIGKILL);
    }
    ::waitpid(pid, nullptr, 0);
  }
  std::vector<std::string> record_files() { return files::list(records_); }

  files::TemporaryDirectory room_;
  std::string records_ = room_.path() + "/records";
  std::vector<std::string> undone_;
  Kinds kinds_ = {{"thing", [this](const std::string& what) { undone_.push_back(what); }},
                  {"stubborn", [](const std::string&) { throw fail("no"); }}};
};

TEST_F(JournalTest, ARunThatEndsUndoesWhatItNotedTheLastFirst) {
  {
    Record record(records_, kinds_);
    record.note("thing", "one");
    record.note("thing", "two with a blank, a % and a\nnewline");
    record.note("thing", "three");
    record.forget("thing", "one");
    EXPECT_THAT(record_files(), SizeIs(1));
  }
  EXPECT_THAT(undone_, ElementsAre("three", "two with a blank, a % and a\nnewline"));
  EXPECT_THAT(record_files(), IsEmpty());
}

TEST_F(JournalTest, TheNextRunSweepsAfterAKilledOne) {
  run_that_is_killed("thing", "a path/with % and \n");
  const auto found = sweep(records_, kinds_);
  EXPECT_THAT(undone_, ElementsAre("a path/with % and \n"));
  EXPECT_THAT(found, SizeIs(1));
  EXPECT_THAT(record_files(), IsEmpty());
  EXPECT_THAT(sweep(records_, kinds_), IsEmpty());
}

TEST_F(JournalTest, ALivingRunIsLeftAlone) {
  Record record(records_, kinds_);
  record.note("thing", "mine");
  EXPECT_THAT(sweep(records_, kinds_), IsEmpty());
  EXPECT_THAT(undone_, IsEmpty());
}

TEST_F(JournalTest, WhatCannotBeUndoneStaysForTheNextTime) {
  run_that_is_killed("stubborn", "x");
  EXPECT_EQ(sweep(records_, kinds_).at(0).problem, "no");
  EXPECT_THAT(record_files(), SizeIs(1));
  EXPECT_EQ(sweep(records_, {}).at(0).problem, "this program does not know how to undo a stubborn");
}

TEST_F(JournalTest, ARecordCutShortIsReadAsFarAsItGoes) {
  files::make_directories(records_);
  std::ofstream(records_ + "/1.record") << "+ thing whole\n+ thing ha";
  sweep(records_, kinds_);
  EXPECT_THAT(undone_, ElementsAre("whole"));
}

TEST_F(JournalTest, ARecordThatIsNoneStopsNoRun) {
  files::make_directories(records_);
  std::ofstream(records_ + "/1.record") << "+ thing %zz%4\n+ thing\n\n%% + % +\n+ process %2g:1\n+ thing a%2\n";
  kinds_["process"] = common_kinds().at("process");
  const auto found = sweep(records_, kinds_);
  EXPECT_THAT(undone_, ElementsAre("a%2", "%zz%4"));
  ASSERT_THAT(found, SizeIs(3));
  EXPECT_THAT(found[1].problem, testing::HasSubstr("pid must be a whole number"));
  EXPECT_NO_THROW(Record(records_, kinds_));
}

TEST_F(JournalTest, DirectoriesAndFilesMayBeGoneAlready) {
  const Kinds kinds = common_kinds();
  for (const char* kind : {"directory", "file", "mount"}) {
    EXPECT_NO_THROW(kinds.at(kind)(room_.path() + "/nothing")) << kind;
  }
  files::make_directories(room_.path() + "/d/e");
  kinds.at("directory")(room_.path() + "/d");
  EXPECT_FALSE(files::exists(room_.path() + "/d"));
}

TEST_F(JournalTest, AProcessIsKilledOnlyIfItIsTheSameOne) {
  const pid_t pid = ::fork();
  if (pid == 0) {
    ::pause();
    ::_exit(0);
  }
  const std::string name = process_name(pid);
  const Kinds kinds = common_kinds();
  kinds.at("process")(name + "9");  // started at another time
  EXPECT_EQ(process_name(pid), name);
  kinds.at("process")(name);
  EXPECT_EQ(process_name(pid), "");
  ::waitpid(pid, nullptr, 0);
}

}  // namespace
}  // namespace jigsaw::journal

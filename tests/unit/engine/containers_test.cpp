#include "engine/containers.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <signal.h>
#include <sys/wait.h>
#include <unistd.h>

#include <filesystem>

#include "base/error.h"
#include "engine/names.h"

namespace jigsaw::engine {
namespace {

class Containers : public testing::Test {
 protected:
  Container make(const std::string& name) {
    Container container{.name = name, .image = "jigsaw/base", .image_id = "sha256:1", .command = {"sh", "-c", "true"}};
    const files::Lock running = create(paths_, container);
    save(paths_, container);
    return container;
  }
  std::string refusal(const std::function<void()>& body) {
    try {
      body();
    } catch (const Error& error) {
      return error.what();
    }
    return "nothing was refused";
  }
  files::TemporaryDirectory place_;
  Paths paths_{place_.path() + "/root", place_.path() + "/run"};
};

TEST_F(Containers, AreFoundByNameIdAndPrefix) {
  const Container made = make("web");
  for (const std::string& key : {made.name, made.id, made.id.substr(0, 12)}) {
    const Container found = find(paths_, key);
    EXPECT_EQ(found.id, made.id);
    EXPECT_EQ(found.command, made.command);
    EXPECT_EQ(found.created, made.created);
  }
}

TEST_F(Containers, ANameIsALinkThatTakesNoBlock) {
  const Container made = make("web");
  const std::string link = paths_.root + "/names/web";
  const std::string target = std::filesystem::read_symlink(link).string();
  EXPECT_TRUE(made.id.starts_with(target));
  EXPECT_LT(target.size(), 60U) << "symlink(7), ext4: up to 59 bytes lie in the inode";
  ::unlink(link.c_str());
  ::symlink(made.id.c_str(), link.c_str());  // as stores of former days have it
  EXPECT_EQ(find(paths_, "web").id, made.id);
  EXPECT_THAT(refusal([&] { make("web"); }), testing::HasSubstr("is taken by another container"));
}

TEST_F(Containers, NamesAreUniqueAndStrict) {
  make("web");
  EXPECT_THAT(refusal([&] { make("web"); }), testing::HasSubstr("is taken by another container"));
  for (const char* bad : {"../x", "-x", "a b", "a/b", "ä"}) {
    EXPECT_THAT(refusal([&] { make(bad); }), testing::HasSubstr("can't be the name")) << bad;
  }
  EXPECT_EQ(list(paths_).size(), 1U);
  EXPECT_EQ(files::list(paths_.root + "/containers").size(), 1U) << "a refused name left its directory";
}

TEST_F(Containers, AWrongNameIsMetWithTheNearest) {
  make("penguin");
  EXPECT_THAT(refusal([&] { find(paths_, "pengiun"); }), testing::HasSubstr("did you mean 'penguin'?"));
  EXPECT_THAT(refusal([&] { find(paths_, "../penguin"); }), testing::HasSubstr("no such container"));
  EXPECT_THAT(refusal([&] { find(paths_, ""); }), testing::HasSubstr("no such container"));
}

TEST_F(Containers, RemovalFreesTheName) {
  remove(paths_, make("web"));
  EXPECT_TRUE(list(paths_).empty());
  EXPECT_NO_THROW(make("web"));
}

TEST_F(Containers, OneWithADamagedRecordHidesNoOtherAndCanBeRemoved) {
  const Container broken = make("web");
  make("db");
  for (const char* text : {"", "{", R"({"name": 7})"}) {
    files::replace(directory(paths_, broken.id) + "/container.json", text);
    EXPECT_EQ(list(paths_).size(), 2U) << text;
    EXPECT_EQ(find(paths_, "web").id, broken.id) << text;
    EXPECT_EQ(find(paths_, "web").reason, "its record is damaged") << text;
  }
  remove(paths_, find(paths_, "web"));
  EXPECT_EQ(list(paths_).size(), 1U);
  EXPECT_NO_THROW(make("web"));
}

TEST_F(Containers, ANameWhoseContainerIsGoneIsFree) {
  const Container made = make("web");
  files::remove_tree(directory(paths_, made.id));
  EXPECT_NO_THROW(make("web"));
}

TEST_F(Containers, RunsExactlyWhileItsLockIsHeld) {
  Container made = make("web");
  made.status = Status::kRunning;
  save(paths_, made);
  Pipe ready = make_pipe();
  Pipe end = make_pipe();
  const pid_t runner = ::fork();
  ASSERT_GE(runner, 0);
  if (runner == 0) {
    end.write_end.reset();
    const auto lock = lock_running(paths_, made.id);
    char byte = lock ? 'y' : 'n';
    [[maybe_unused]] const ssize_t told = ::write(ready.write_end.get(), &byte, 1);
    [[maybe_unused]] const ssize_t ended = ::read(end.read_end.get(), &byte, 1);
    ::_exit(0);
  }
  char byte = 0;
  ASSERT_EQ(::read(ready.read_end.get(), &byte, 1), 1);
  ASSERT_EQ(byte, 'y');
  EXPECT_EQ(find(paths_, "web").status, Status::kRunning);
  EXPECT_THAT(refusal([&] { remove(paths_, made); }), testing::HasSubstr("is running"));
  ::kill(runner, SIGKILL);
  ::waitpid(runner, nullptr, 0);
  EXPECT_EQ(find(paths_, "web").status, Status::kExited);
  EXPECT_EQ(find(paths_, "web").exit_code, 137);
  EXPECT_NO_THROW(remove(paths_, made));
}

}  // namespace
}  // namespace jigsaw::engine

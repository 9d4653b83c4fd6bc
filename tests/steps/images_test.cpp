// The image commands of jigsaw, and umoci's opinion of what they make.
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "base/files.h"
#include "support/run.h"

namespace jigsaw {
namespace {

using ::testing::HasSubstr;
using ::testing::Not;

class ImageCommands : public ::testing::Test {
 protected:
  void SetUp() override {
    if (!test::is_root()) {
      GTEST_SKIP() << "owners of files need root";
    }
  }
  test::Result jigsaw(std::vector<std::string> words) const {
    words.insert(words.begin(), {test::bin("jigsaw"), "--root", place_.path() + "/root", "--run-root", place_.path() + "/run"});
    return test::run(words);
  }
  std::string picture(const std::string& directory) const {  // all but the root's own time, which no layer says
    return test::sh("cd " + directory + " && tar --sort=name -c * | sha256sum").out;
  }
  files::TemporaryDirectory place_{"/tmp", "jigsaw-images-"};
};

TEST_F(ImageCommands, ABaseImageIsThereOfflineAndGoesWithoutARemnant) {
  EXPECT_EQ(jigsaw({"tag", "jigsaw/base", "my/base:1"}).code, 0);
  EXPECT_THAT(jigsaw({"images"}).out, HasSubstr("my/base"));
  EXPECT_THAT(jigsaw({"history", "my/base:1"}).out, HasSubstr("busybox"));
  EXPECT_EQ(jigsaw({"inspect", "-f", "{{len .RootFS.Layers}} {{.Config.Cmd}}", "my/base:1"}).out, "3 [/bin/sh]\n");
  EXPECT_EQ(jigsaw({"rmi", "my/base:1", "jigsaw/base"}).code, 0);
  EXPECT_TRUE(files::list(place_.path() + "/root/blobs/sha256").empty());
  EXPECT_THAT(jigsaw({"images"}).out, Not(HasSubstr("base")));
}

TEST_F(ImageCommands, UnpacksWhatUmociUnpacks) {
  ASSERT_EQ(jigsaw({"tag", "jigsaw/base", "my/base:1"}).code, 0);
  const std::string mine = place_.path() + "/mine";
  ASSERT_EQ(jigsaw({"unpack", "-q", "my/base:1", mine}).code, 0);
  ASSERT_EQ(jigsaw({"unpack", "-q", "oci:" + place_.path() + "/root:docker.io/my/base:1", mine + "2"}).code, 0);
  EXPECT_EQ(picture(mine), picture(mine + "2"));
  if (!test::have_program("umoci")) {
    GTEST_SKIP() << "umoci is not installed";
  }
  const std::string theirs = place_.path() + "/theirs";
  ASSERT_EQ(test::run({"umoci", "raw", "unpack", "--image", place_.path() + "/root:docker.io/my/base:1", theirs}).code, 0);
  EXPECT_EQ(picture(mine), picture(theirs));
}

TEST_F(ImageCommands, ImportsCompressedArchivesAndRefusesBrokenOnes) {
  files::make_directories(place_.path() + "/tree/etc");
  files::replace(place_.path() + "/tree/etc/motd", "hello");
  for (const std::string option : {"", "--gzip", "--bzip2", "--xz", "--zstd"}) {
    ASSERT_EQ(test::sh("tar " + option + " -C " + place_.path() + "/tree -cf " + place_.path() + "/a.tar .").code, 0) << option;
    EXPECT_EQ(jigsaw({"import", "-c", "CMD [\"sh\"]", place_.path() + "/a.tar", "tree:1"}).code, 0) << option;
    EXPECT_EQ(jigsaw({"history", "-H=false", "--format", "{{.Size}}", "tree:1"}).out, "5\n") << option;  // of the file, packed or not
  }
  EXPECT_EQ(jigsaw({"inspect", "-f", "{{json .Config.Cmd}}", "tree:1"}).out, "[\"sh\"]\n");
  EXPECT_EQ(test::sh("head -c 60 " + place_.path() + "/a.tar > " + place_.path() + "/cut.tar").code, 0);
  const test::Result cut = jigsaw({"import", place_.path() + "/cut.tar", "cut:1"});
  EXPECT_EQ(cut.code, 125);
  EXPECT_THAT(cut.err, HasSubstr("jigsaw: error:"));
  EXPECT_THAT(jigsaw({"images"}).out, Not(HasSubstr("cut")));
}

TEST_F(ImageCommands, ListsAreFilteredAndFormattedAsDockersUsersKnow) {
  files::replace(place_.path() + "/a", "a");
  for (const std::string name : {"one/tool:1", "one/tool:2", "host.example:5000/two:1"}) {
    ASSERT_EQ(jigsaw({"tag", "jigsaw/base", name}).code, 0);
  }
  ASSERT_EQ(test::sh("tar -C " + place_.path() + " -cf " + place_.path() + "/a.tar a").code, 0);
  ASSERT_EQ(jigsaw({"import", "-c", "LABEL kind=import", place_.path() + "/a.tar", "labelled"}).code, 0);
  const auto names = [&](std::vector<std::string> words) {
    words.insert(words.begin(), {"images", "--format", "{{.Repository}}:{{.Tag}}"});
    const test::Result result = jigsaw(words);
    EXPECT_EQ(result.code, 0) << result.err;
    return result.out;
  };
  EXPECT_EQ(names({"one/tool"}), "one/tool:1\none/tool:2\n");
  EXPECT_EQ(names({"tool:2"}), "one/tool:2\n");
  EXPECT_EQ(names({"nosuch"}), "");
  EXPECT_EQ(names({"--filter", "reference=*/two"}), "host.example:5000/two:1\n");
  EXPECT_EQ(names({"-f", "label=kind=import"}), "labelled:latest\n");
  EXPECT_EQ(names({"-f", "label=kind", "-f", "reference=one/*"}), "");
  EXPECT_EQ(names({"-f", "dangling=true"}), "");
  EXPECT_EQ(names({"-f", "since=jigsaw/base"}), "labelled:latest\n");
  EXPECT_THAT(names({"-f", "before=labelled"}), HasSubstr("jigsaw/base"));
  EXPECT_EQ(jigsaw({"images", "-f", "kind=x"}).code, 125);
  EXPECT_EQ(jigsaw({"images", "-f", "dangling=maybe"}).code, 125);
  EXPECT_THAT(jigsaw({"images", "--format", "table {{.Tag}}\\t{{.Repository}}", "one/tool:1"}).out,
              ::testing::MatchesRegex("TAG +REPOSITORY\n1 +one/tool\n"));
  EXPECT_THAT(jigsaw({"images", "--format", "json", "labelled"}).out, HasSubstr("{\"Repository\":\"labelled\",\"Tag\":\"latest\""));
  EXPECT_EQ(test::sh("echo '" + jigsaw({"images", "-q"}).out + "' | wc -w").out, "2\n");  // each id once
  EXPECT_EQ(jigsaw({"history", "-q", "labelled"}).out.size(), 13U);
  EXPECT_EQ(jigsaw({"history", "--format", "{{.Size}}", "--human=false", "labelled"}).out, "1\n");
}

TEST_F(ImageCommands, WhatAKilledCommandLeftGoesWithTheNextThatAdds) {
  const std::string left = place_.path() + "/root/tmp/layer-0123";
  files::replace(place_.path() + "/a", "a");
  ASSERT_EQ(test::sh("tar -C " + place_.path() + " -cf " + place_.path() + "/a.tar a").code, 0);
  ASSERT_EQ(jigsaw({"import", place_.path() + "/a.tar", "a"}).code, 0);
  ASSERT_EQ(jigsaw({"save", "-o", place_.path() + "/saved.tar", "a"}).code, 0);
  for (const std::vector<std::string>& words : {std::vector<std::string>{"import", place_.path() + "/a.tar", "b"},
                                                {"load", "-q", "-i", place_.path() + "/saved.tar"},
                                                {"build", "-q", place_.path() + "/context"},
                                                {"pull", "-q", "docker-archive:" + place_.path() + "/saved.tar"}}) {
    files::make_directories(place_.path() + "/context");
    files::replace(place_.path() + "/context/Dockerfile", "FROM scratch\nLABEL a=b\n");
    files::make_directories(left + "/diff");
    const test::Result result = jigsaw(words);
    EXPECT_EQ(result.code, 0) << result.err;
    EXPECT_FALSE(files::exists(left)) << words[0];
  }
  files::make_directories(left + "/diff");
  const std::string import = test::bin("jigsaw") + " --root " + place_.path() + "/root import " + place_.path() + "/a.tar c";
  EXPECT_EQ(test::sh("flock -s " + place_.path() + "/root/locks/use " + import).code, 0);
  EXPECT_TRUE(files::exists(left)) << "somebody else may be writing there";
}

TEST_F(ImageCommands, AnImageThatCannotBeRemovedKeepsNoOther) {
  ASSERT_EQ(jigsaw({"tag", "jigsaw/base", "x:1"}).code, 0);
  const test::Result result = jigsaw({"rmi", "nosuch", "x:1"});
  EXPECT_EQ(result.code, 125);
  EXPECT_THAT(result.err, HasSubstr("no such image: \"nosuch\""));
  EXPECT_EQ(result.out, "untagged: x:1\n");
}

TEST_F(ImageCommands, MistakesGiveOneLineAndAHint) {
  const test::Result missing = jigsaw({"unpack", "nosuch", place_.path() + "/x"});
  EXPECT_EQ(missing.code, 125);
  EXPECT_THAT(missing.err, HasSubstr("hint: the command 'pull "));
  EXPECT_EQ(jigsaw({"tag", "jigsaw/base", "upper/CASE"}).code, 125);
  EXPECT_EQ(jigsaw({"inspect", "-f", "{{nonsense}}", "jigsaw/base"}).code, 125);
}

TEST_F(ImageCommands, WhatIsNotThereCanBeRemovedByForceAlone) {
  test::Result result = jigsaw({"rmi", "nosuch"});
  EXPECT_EQ(result.code, 125);
  EXPECT_THAT(result.err, testing::AllOf(HasSubstr("no such image: \"nosuch\""), HasSubstr("jigsaw images")));
  result = jigsaw({"rmi", "-f", "nosuch"});
  EXPECT_EQ(result.code, 0);
  EXPECT_THAT(result.err, HasSubstr("no such image: \"nosuch\""));
}

// Its layers packed, and as they were built: two manifests, one image.
TEST_F(ImageCommands, AnIdStandsForAnImageInEachOfItsForms) {
  const std::string layout = place_.path() + "/packed";
  ASSERT_EQ(jigsaw({"push", "-q", "jigsaw/base", "oci:" + layout + ":1"}).code, 0);
  const std::string id = jigsaw({"pull", "-q", "oci:" + layout + ":1"}).out;
  const std::string digests = jigsaw({"inspect", "-f", "{{.RepoTags}} {{index .RepoDigests 0}}", "localhost/packed:1"}).out;
  EXPECT_THAT(digests, ::testing::StartsWith("[localhost/packed:1] localhost/packed@sha256:"));
  const std::string shortened = id.substr(7, 12);
  EXPECT_THAT(jigsaw({"rmi", shortened}).err, HasSubstr("has 2 names"));
  EXPECT_THAT(jigsaw({"rmi", "localhost/packed:1"}).out, Not(HasSubstr("deleted")));
  EXPECT_EQ(jigsaw({"pull", "-q", "oci:" + layout + ":1"}).code, 0);
  EXPECT_EQ(jigsaw({"rmi", "-f", shortened}).code, 0);
  EXPECT_EQ(jigsaw({"images", "-q"}).out, "");
}

TEST_F(ImageCommands, TheDiskIsToldImageByImage) {
  EXPECT_EQ(jigsaw({"tag", "jigsaw/base", "my/base:1"}).code, 0);
  const test::Result result = jigsaw({"system", "df", "-v"});
  EXPECT_EQ(result.code, 0) << result.err;
  EXPECT_THAT(result.out, testing::AllOf(testing::ContainsRegex("images +1 "), testing::ContainsRegex("my/base +1 +[0-9a-f]{12} +[0-9.]+MB +0B +[0-9.]+MB +0")));
}

}  // namespace
}  // namespace jigsaw

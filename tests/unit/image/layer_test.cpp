// Layers as strangers write them: what each rule of the image spec gives, and that nothing outside the root is touched.
#include <fcntl.h>
#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <sys/stat.h>
#include <sys/xattr.h>

#include "base/error.h"
#include "base/files.h"
#include "image/layer_apply.h"
#include "image/tar_fields.h"
#include "support/layers.h"

namespace jigsaw::image {
namespace {

using namespace jigsaw::test;
using ::testing::HasSubstr;

class PlainLayer : public ::testing::Test {
 protected:
  PlainLayer() {
    files::make_directories(root_);
    files::make_directories(place_.path() + "/outside");
    files::replace(place_.path() + "/outside/victim", "safe", {.sync = false});
  }
  ~PlainLayer() override {
    EXPECT_EQ(files::read(place_.path() + "/outside/victim"), "safe");
    EXPECT_THAT(files::list(place_.path()), ::testing::ElementsAre("outside", "root"));
    EXPECT_THAT(files::list(place_.path() + "/outside"), ::testing::ElementsAre("victim"));
  }
  void feed(const std::string& stream, size_t piece = SIZE_MAX, uint64_t limit = UINT64_MAX) {
    LayerApplier applier(root_, {.form = LayerForm::kPlain, .max_bytes = limit});
    for (size_t at = 0; at < stream.size(); at += std::min(piece, stream.size() - at)) {
      applier.write(std::string_view(stream).substr(at, piece));
    }
    applier.end();
  }
  void apply(const std::vector<Item>& items) { feed(tar(items)); }
  std::string refusal(const std::vector<Item>& items) { return refusal(tar(items)); }
  std::string refusal(const std::string& stream) {
    try {
      feed(stream);
    } catch (const Error& error) {
      return error.message();
    }
    return "";
  }
  std::string at(const std::string& path) const { return root_ + "/" + path; }
  bool there(const std::string& path) const {
    struct stat status {};
    return ::lstat(at(path).c_str(), &status) == 0;
  }

  files::TemporaryDirectory place_{"/tmp", "store-layer-"};
  std::string root_ = place_.path() + "/root";
};

TEST_F(PlainLayer, NamesThatLeadOutStayInside) {
  apply({file("../../outside/victim", "bad"), file("/absolute", "x"), file("a/../../b", "y")});
  EXPECT_EQ(files::read(at("outside/victim")), "bad");
  EXPECT_EQ(files::read(at("absolute")), "x");
  EXPECT_EQ(files::read(at("b")), "y");
}

TEST_F(PlainLayer, LinksAreFollowedWithinTheRoot) {
  apply({link("up", "../outside"), file("up/victim", "bad"), link("abs", place_.path() + "/outside"), file("abs/victim", "bad")});
  EXPECT_EQ(files::read(at("outside/victim")), "bad");
  EXPECT_EQ(files::read(root_ + place_.path() + "/outside/victim"), "bad");
}

TEST_F(PlainLayer, AFileReplacesALinkAndDoesNotWriteThroughIt) {
  apply({link("l", "../outside/victim"), file("l", "new")});
  EXPECT_EQ(files::read(at("l")), "new");
}

TEST_F(PlainLayer, LinksInACircleAreRefused) {
  EXPECT_THAT(refusal({link("a", "b"), link("b", "a"), file("a/x")}), HasSubstr("Too many levels"));
}

TEST_F(PlainLayer, HardLinksReachNothingOutside) {
  EXPECT_THAT(refusal({hard_link("x", "../outside/victim")}), HasSubstr("does not exist"));
  EXPECT_THAT(refusal({link("up", "../outside"), hard_link("x", "up/victim")}), HasSubstr("does not exist"));
  EXPECT_THAT(refusal({hard_link("x", "/")}), HasSubstr("root directory"));
}

TEST_F(PlainLayer, WhiteoutsOfPointAndPointPointAreRefused) {
  for (const char* name : {".wh..", ".wh...", "a/.wh..", "a/.wh...", ".wh."}) {
    EXPECT_THAT(refusal({directory("a"), file("a/keep"), file(name, "")}), HasSubstr("whiteout")) << name;
    EXPECT_TRUE(there("a/keep"));
  }
}

TEST_F(PlainLayer, WhiteoutsRemoveOnlyWhatWasThereBefore) {
  apply({directory("d"), file("d/old"), file("gone")});
  apply({file("d/.wh..wh..opq", ""), file("d/new"), file(".wh.gone", ""), file("fresh"), file(".wh.fresh", "")});
  EXPECT_FALSE(there("d/old"));
  EXPECT_TRUE(there("d/new"));
  EXPECT_FALSE(there("gone"));
  EXPECT_TRUE(there("fresh"));
  EXPECT_FALSE(there("d/.wh..wh..opq"));
}

TEST_F(PlainLayer, AWhiteoutThroughALinkStaysInside) {
  apply({link("up", "../outside"), file("up/.wh.victim", "")});
}

TEST_F(PlainLayer, TheLastOfSeveralEntriesCounts) {
  apply({file("a", "one"), file("a", "two"), directory("b"), file("b/x"), file("b", "a file"), file("c"), directory("c"), file("c/y")});
  EXPECT_EQ(files::read(at("a")), "two");
  EXPECT_EQ(files::read(at("b")), "a file");
  EXPECT_TRUE(there("c/y"));
}

TEST_F(PlainLayer, FilesBelowAFileAreRefused) { EXPECT_THAT(refusal({file("a"), file("a/b")}), HasSubstr("Not a directory")); }

TEST_F(PlainLayer, TheRootCanOnlyBeADirectory) {
  EXPECT_THAT(refusal({file("./")}), HasSubstr("root of a layer"));
  EXPECT_THAT(refusal({link(".", "/etc")}), HasSubstr("root of a layer"));
  apply({directory("./", 0711)});
  struct stat status {};
  ASSERT_EQ(::stat(root_.c_str(), &status), 0);
  EXPECT_EQ(status.st_mode & 07777U, 0711U);
}

TEST_F(PlainLayer, TimesOfDirectoriesAreSetLast) {
  apply({directory("d"), file("d/a"), file("d/b")});
  struct stat status {};
  ASSERT_EQ(::stat(at("d").c_str(), &status), 0);
  EXPECT_EQ(status.st_mtim.tv_sec, 2000);
  apply({file("d/c")});  // a later layer that does not describe it
  ASSERT_EQ(::stat(at("d").c_str(), &status), 0);
  EXPECT_EQ(status.st_mtim.tv_sec, 2000);
}

TEST_F(PlainLayer, SetuidSurvivesTheOwner) {
  apply({file("s", "x", 06755)});
  struct stat status {};
  ASSERT_EQ(::stat(at("s").c_str(), &status), 0);
  EXPECT_EQ(status.st_mode & 07777U, 06755U);
}

TEST_F(PlainLayer, AttributesOfOverlayfsAreLeftOut) {
  apply({with_xattr(with_xattr(file("a"), "trusted.overlay.opaque", "y"), "user.mine", "z")});
  char value[8] = {};
  EXPECT_LT(::getxattr(at("a").c_str(), "trusted.overlay.opaque", value, sizeof value), 0);
}

TEST_F(PlainLayer, LongOddAndForeignNames) {
  const std::string longest(200, 'n');
  apply({directory(longest), file(longest + "/" + longest), file("\xff\xfe no utf-8"), file("new\nline"), link("l", std::string(300, 't'))});
  EXPECT_TRUE(there(longest + "/" + longest));
  EXPECT_TRUE(there("\xff\xfe no utf-8"));
  EXPECT_TRUE(there("new\nline"));
  EXPECT_THAT(refusal({file(std::string(300, 'x'))}), HasSubstr("File name too long"));
}

TEST_F(PlainLayer, ThreeThousandDirectoriesWithinOneAnother) {
  std::vector<Item> items;
  std::string path;
  for (int i = 0; i < 1500; ++i) {
    path += "d/";
    items.push_back(directory(path));
  }
  items.push_back(file(path + "x"));
  apply(items);
  EXPECT_TRUE(there(path + "x"));
}

TEST_F(PlainLayer, StreamsInPiecesOfAnySize) {
  const std::string stream = tar({directory("d"), file("d/a", std::string(1000, 'a')), file("d/b", ""), file(std::string(150, 'l'), "long")});
  for (const size_t piece : {1UL, 7UL, 511UL, 513UL}) {
    feed(stream, piece);
    EXPECT_EQ(files::read(at("d/a")), std::string(1000, 'a'));
  }
}

TEST_F(PlainLayer, CutStreamsAreRefusedAndGarbageBehindTheEndIsNot) {
  const std::string stream = tar({file("a", std::string(1000, 'a'))});
  for (const size_t size : {100UL, 512UL, 700UL, 1511UL}) {
    EXPECT_THROW(feed(stream.substr(0, size)), Error) << size;
  }
  feed(stream.substr(0, 1536));  // without its end mark
  feed(stream + "garbage behind the end");
  feed("");
}

TEST_F(PlainLayer, BombsAreRefused) { EXPECT_THROW(feed(tar({file("a", std::string(100000, 'a'))}), SIZE_MAX, 50000), Error); }

TEST_F(PlainLayer, WrongHeadersAreRefused) {
  const std::string good = tar({file("a", "content")});
  const auto with = [&](size_t offset, std::string_view bytes) {
    std::string stream = good;
    stream.replace(offset, bytes.size(), bytes);
    uint64_t sum = 0;
    stream.replace(148, 8, "        ");
    for (size_t i = 0; i < 512; ++i) {
      sum += static_cast<unsigned char>(stream[i]);
    }
    stream.replace(148, 7, std::string(fmt::format("{:06o}", sum).c_str(), 7));
    return stream;
  };
  using namespace std::string_view_literals;
  feed(with(100, "0000644"));
  EXPECT_THROW(feed(with(124, "\xff\xff\xff\xff\xff\xff\xff\xff\xff\xff\xff\xff"sv)), Error);      // size -1
  EXPECT_THROW(feed(with(124, "\x80\x7f\xff\xff\xff\xff\xff\xff\xff\xff\xff\xff"sv)), Error);      // giant
  EXPECT_THROW(feed(with(124, "99999999999")), Error);                                             // not octal
  EXPECT_THROW(feed(with(156, "V")), Error);                                                       // no type of a layer
  std::string damaged = good;
  damaged[0] = 'b';
  EXPECT_THROW(feed(damaged), Error);
}

TEST_F(PlainLayer, WhatIsWrongSaysBehindWhichEntry) {
  std::string damaged = tar({directory("a"), file("a/b"), file("c")});
  damaged[size_t{3} * 512] = 'd';
  EXPECT_THAT(refusal(damaged), HasSubstr("behind the entry \"a/b\": this is no tar archive"));
  EXPECT_THAT(refusal({file("a/b"), file("a/b/c")}), HasSubstr("entry \"a/b/c\" of the layer"));
}

TEST(Pax, RecordsAreHeldToTheirLengths) {
  EXPECT_EQ(parse_pax("11 path=ab\n").values.at("path"), "ab");
  for (const char* wrong : {"10 path=ab\n", "12 path=ab\n", "path=ab\n", "999999999999999999999 a=b\n", "5 a=b", "6 =ab\n", "-1 a=b\n"}) {
    EXPECT_THROW(parse_pax(wrong), Error) << wrong;
  }
}

TEST(Pax, TimesHaveFractionsAndSigns) {
  EXPECT_EQ(pax_time("1.5")->tv_nsec, 500000000);
  EXPECT_EQ(pax_time("-1.25")->tv_sec, -2);
  EXPECT_EQ(pax_time("-1.25")->tv_nsec, 750000000);
  EXPECT_FALSE(pax_time("1.x"));
  EXPECT_FALSE(pax_time(""));
}

}  // namespace
}  // namespace jigsaw::image

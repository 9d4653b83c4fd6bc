// Which image of an index runs on a machine, and what in an index is not for us.
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "base/error.h"
#include "image/manifest.h"

namespace jigsaw::image {
namespace {

Descriptor entry(std::optional<Platform> platform, std::string_view content, std::string_view type = media::kManifest) {
  return {.media_type = std::string(type), .digest = digest_of(content), .size = 1, .platform = std::move(platform)};
}

// The content that was chosen of several, or "".
std::string chosen(const std::vector<std::pair<std::string, std::string>>& offered, std::string_view wanted) {
  Index index{.manifests = {}};
  for (const auto& [platform, content] : offered) {
    index.manifests.push_back(entry(platform.empty() ? std::nullopt : std::optional(parse_platform(platform)), content));
  }
  const auto found = choose_platform(index, parse_platform(wanted));
  for (const auto& [platform, content] : offered) {
    if (found && found->digest == digest_of(content)) {
      return content;
    }
  }
  return "";
}

TEST(ChoosePlatform, TheBestVariantThatRuns) {
  EXPECT_EQ(chosen({{"linux/arm/v5", "5"}, {"linux/arm/v6", "6"}, {"linux/arm/v8", "8"}}, "linux/arm/v7"), "6");
  EXPECT_EQ(chosen({{"linux/arm/v8", "8"}}, "linux/arm/v7"), "");
  EXPECT_EQ(chosen({{"linux/amd64/v3", "3"}, {"linux/amd64/v1", "1"}}, "linux/amd64"), "1");
  EXPECT_EQ(chosen({{"linux/amd64/v3", "3"}, {"linux/amd64", "1"}}, "linux/amd64/v2"), "1");
  EXPECT_EQ(chosen({{"linux/amd64/v3", "3"}}, "linux/amd64"), "");
  EXPECT_EQ(chosen({{"linux/arm64", "a"}}, "linux/arm64/v8"), "a");
}

TEST(ChoosePlatform, TheFirstOfEqualsAndLastOneWithoutPlatform) {
  EXPECT_EQ(chosen({{"linux/amd64", "first"}, {"linux/amd64", "second"}}, "linux/amd64"), "first");
  EXPECT_EQ(chosen({{"", "none"}, {"linux/amd64", "ours"}}, "linux/amd64"), "ours");
  EXPECT_EQ(chosen({{"linux/s390x", "other"}, {"", "none"}}, "linux/amd64"), "none");
}

TEST(ChoosePlatform, TypesThatAreNotKnownAreIgnored) {
  const Platform ours = parse_platform("linux/amd64");
  Index index{.manifests = {entry(ours, "future", "application/vnd.example.v9+json")}};
  EXPECT_FALSE(choose_platform(index, ours));
  index.manifests.push_back(entry(ours, "image"));
  index.manifests.front().media_type = media::kManifest;
  index.manifests.front().artifact_type = "application/vnd.example.signature";
  EXPECT_EQ(choose_platform(index, ours)->digest, digest_of("image"));
}

TEST(RunsOn, OlderVariantsDo) {
  EXPECT_TRUE(runs_on(parse_platform("linux/arm/v6"), parse_platform("linux/arm/v7")));
  EXPECT_FALSE(runs_on(parse_platform("linux/arm/v7"), parse_platform("linux/arm/v6")));
  EXPECT_FALSE(runs_on(parse_platform("linux/arm64"), parse_platform("linux/arm")));
}

TEST(Digests, OfOtherAlgorithmsAreForeignAndNothingElseIs) {
  for (const char* text : {"md5:0", "blake3:ab", "multihash+base58:QmRZ", "sha256+b64u:LCa0a2j_xo_5m0U8HTBBNBNCLXBkg7-g-YpeiGJm564", "a.b_c-d:="}) {
    EXPECT_TRUE(Digest::is_foreign(text)) << text;
  }
  for (const char* text : {"sha256:ab", "sha512:", "md5", "md5:", ":ab", "+md5:ab", "md5+:ab", "a++b:c", "MD5:ab", "md5:a/b", "md5:..", "md5:a\n"}) {
    EXPECT_FALSE(Digest::is_foreign(text)) << text;
  }
}

TEST(Indexes, WithForeignEntriesAreReadButNotWrittenAnew) {
  const Index index = parse_index(R"({"schemaVersion": 2, "manifests": [{"mediaType": "x/y", "digest": "blake3:ab", "size": 1}]})", "index");
  EXPECT_TRUE(index.manifests.empty());
  EXPECT_THAT(about_foreign(index), testing::HasSubstr("blake3:ab"));
  EXPECT_THROW(write_index(index), Error);
}

}  // namespace
}  // namespace jigsaw::image

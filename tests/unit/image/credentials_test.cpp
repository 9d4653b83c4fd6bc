#include "image/credentials.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <sys/stat.h>

#include "base/error.h"
#include "base/files.h"

namespace jigsaw::image {
namespace {

class CredentialsTest : public testing::Test {
 protected:
  CredentialFiles with(const std::string& text) {
    const std::string path = directory_.path() + "/auth.json";
    files::replace(path, text);
    return credential_files(path);
  }
  files::TemporaryDirectory directory_;
};

TEST_F(CredentialsTest, TheLongestKeyWins) {
  const auto files = with(R"({"auths": {"quay.io": {"auth": "YTpi"}, "quay.io/team": {"auth": "Yzpk"}}})");
  EXPECT_EQ(find_credentials(files, "quay.io", "team/app")->user, "c");
  EXPECT_EQ(find_credentials(files, "quay.io", "other/app")->user, "a");
  EXPECT_FALSE(find_credentials(files, "quay.io.evil.com", "team/app"));
}

TEST_F(CredentialsTest, DockerHubHasOldNames) {
  const auto files = with(R"({"auths": {"https://index.docker.io/v1/": {"auth": "dTpwOnc="}}})");
  const auto found = find_credentials(files, "docker.io", "library/alpine");
  ASSERT_TRUE(found);
  EXPECT_EQ(found->user, "u");
  EXPECT_EQ(found->password, "p:w");
}

TEST_F(CredentialsTest, LoginAndLogoutKeepWhatElseIsInTheFile) {
  const auto files = with(R"({"HttpHeaders": {"X": "y"}, "auths": {"a": {"auth": "YTpi"}}})");
  store_credentials(files, "localhost:5000", {.user = "me", .password = "s3:cret", .identity_token = {}});
  EXPECT_EQ(find_credentials(files, "localhost:5000")->password, "s3:cret");
  EXPECT_EQ(find_credentials(files, "a")->user, "a");
  struct stat status{};
  ASSERT_EQ(::stat(files.write.c_str(), &status), 0);
  EXPECT_EQ(status.st_mode & 0777U, 0600U);
  EXPECT_TRUE(erase_credentials(files, "localhost:5000"));
  EXPECT_FALSE(erase_credentials(files, "localhost:5000"));
  EXPECT_FALSE(find_credentials(files, "localhost:5000"));
  EXPECT_THAT(files::read(files.write), testing::HasSubstr("HttpHeaders"));
}

TEST_F(CredentialsTest, HelpersAreAsked) {
  auto files = with(R"({"credHelpers": {"gcr.io": "gcloud"}, "credsStore": "pass"})");
  std::vector<std::string> asked;
  files.helper = [&](const std::string& program, const std::string& action,
                     const std::string& input) -> std::optional<std::string> {
    asked.push_back(program + " " + action + " " + input);
    return R"({"ServerURL": "x", "Username": "<token>", "Secret": "t0k"})";
  };
  EXPECT_EQ(find_credentials(files, "gcr.io")->identity_token, "t0k");
  EXPECT_TRUE(find_credentials(files, "other.io"));
  EXPECT_THAT(asked, testing::ElementsAre("docker-credential-gcloud get gcr.io", "docker-credential-pass get other.io"));
}

TEST_F(CredentialsTest, DamageIsSaid) {
  EXPECT_THROW(find_credentials(with(R"({"auths": {"a": {"auth": "!!"}}})"), "a"), Error);
  EXPECT_THROW(find_credentials(with(R"({"auths": [)"), "a"), Error);
}

TEST(Base64, GoesBothWays) {
  for (const std::string text : {"", "a", "ab", "abc", "abcd", "\xff\x00\x80"}) {
    EXPECT_EQ(base64_decode(base64_encode(text)), text);
  }
  EXPECT_EQ(base64_encode("user:pass"), "dXNlcjpwYXNz");
  EXPECT_FALSE(base64_decode("a"));
  EXPECT_FALSE(base64_decode("a b="));
}

}  // namespace
}  // namespace jigsaw::image

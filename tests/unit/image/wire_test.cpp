// The parts of the registry client that need no network: URLs, challenges, hosts.
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "base/error.h"
#include "image/challenge.h"
#include "image/hosts.h"
#include "image/http.h"

namespace jigsaw::image {
namespace {

using testing::ElementsAre;
using testing::IsEmpty;

TEST(Url, OriginsAreComparedWithTheirDefaultPort) {
  EXPECT_EQ(url_origin("https://Example.com/a"), "https://example.com:443");
  EXPECT_EQ(url_origin("http://[::1]:5000/v2/"), "http://[::1]:5000");
  EXPECT_EQ(url_origin("http://[::1]/v2/"), "http://[::1]:80");
}

TEST(Url, OddOnesHaveNoOrigin) {
  for (const char* url : {"ftp://a/", "file:///etc/passwd", "https://user@host/", "https://a:b/", "https://", "//a/b",
                          "http://a b/", "http://a\r\nX: y/", "http://evil\\@host/", "gopher://x"}) {
    EXPECT_EQ(url_origin(url), std::nullopt) << url;
  }
}

TEST(Url, LocationsAreResolvedAgainstTheRequest) {
  EXPECT_EQ(resolve_url("http://a:1/v2/x/blobs/", "/v2/y?z=1"), "http://a:1/v2/y?z=1");
  EXPECT_EQ(resolve_url("http://a:1/v2/x/up?q=1", "next"), "http://a:1/v2/x/next");
  EXPECT_EQ(resolve_url("http://a:1/v2/x/up?q=1", "?n=2"), "http://a:1/v2/x/up?n=2");
  EXPECT_EQ(resolve_url("https://a/v2/", "//b/c"), "https://b/c");
  EXPECT_EQ(resolve_url("https://a/v2/", "http://b/c"), "http://b/c");
  EXPECT_EQ(resolve_url("https://a/v2/", "file:///etc/passwd"), "");
  EXPECT_EQ(resolve_url("https://a/v2/", ""), "");
}

TEST(Url, SecretsInQueriesAreBlottedOut) {
  EXPECT_EQ(blotted_url("https://s3/x?X-Amz-Signature=abc&digest=sha256:1"), "https://s3/x?X-Amz-Signature=***&digest=sha256:1");
}

TEST(Challenge, ReadsBearerAndBasicInOneHeader) {
  const auto challenges = parse_challenges(
      R"(Bearer realm="https://auth.example/token",service="r, \"x\"",scope="repository:a/b:pull,push", Basic realm="R")");
  ASSERT_EQ(challenges.size(), 2U);
  EXPECT_EQ(challenges[0].scheme, "bearer");
  EXPECT_EQ(challenges[0].parameters.at("realm"), "https://auth.example/token");
  EXPECT_EQ(challenges[0].parameters.at("service"), "r, \"x\"");
  EXPECT_EQ(challenges[0].parameters.at("scope"), "repository:a/b:pull,push");
  EXPECT_EQ(challenges[1].scheme, "basic");
}

TEST(Challenge, SurvivesNonsense) {
  EXPECT_THAT(parse_challenges(""), IsEmpty());
  EXPECT_THAT(parse_challenges(",,=\"\"\","), IsEmpty());
  EXPECT_EQ(parse_challenges("Bearer realm=\"unterminated").size(), 2U);
  EXPECT_LE(parse_challenges(std::string(100'000, 'a') + std::string(100'000, ',')).size(), 1U);
}

TEST(Hosts, OnlyThisMachineIsLoopback) {
  for (const char* host : {"localhost", "localhost:5000", "127.0.0.1:5000", "127.9.9.9", "[::1]:5000", "x.localhost"}) {
    EXPECT_TRUE(is_loopback(host)) << host;
  }
  for (const char* host : {"127.evil.com", "localhost.evil.com", "127.0.0.256", "[::2]", "10.0.0.1", ""}) {
    EXPECT_FALSE(is_loopback(host)) << host;
  }
}

TEST(Hosts, MirrorsAreForTheirRegistryOnly) {
  EXPECT_THAT(mirrors_for("docker.io", {"a:5000", "ghcr.io=b", "docker.io=c"}), ElementsAre("a:5000", "c"));
  EXPECT_THAT(mirrors_for("ghcr.io", {"a:5000", "ghcr.io=b"}), ElementsAre("b"));
  EXPECT_THROW(mirrors_for("docker.io", {"http://a/"}), Error);
}

}  // namespace
}  // namespace jigsaw::image

#include "base/json.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <nlohmann/json.hpp>

#include "base/error.h"

namespace jigsaw {
namespace {

using testing::HasSubstr;

std::string refusal(const std::function<void()>& body) {
  try {
    body();
  } catch (const Error& error) {
    return error.what();
  }
  return "nothing was refused";
}

TEST(Json, ManyKeysAreReadAsQuicklyAsFew) {  // each compared with all before it: minutes
  std::string text = "{";
  for (int i = 0; i < 300'000; ++i) {
    text += fmt::format("\"{}\":{},", i, i);
  }
  const std::string twice = text + "\"17\":0}";
  text += "\"last\":true}";
  EXPECT_EQ(json::parse(text, "x.json").size(), 300'001U);
  EXPECT_THAT(refusal([&] { json::parse(twice, "x.json"); }), HasSubstr("\"17\" occurs twice"));
}

TEST(Json, RefusesWhatTwoReadersCouldReadDifferently) {
  EXPECT_THAT(refusal([] { json::parse(R"({"a":1,"a":2})", "x.json"); }), HasSubstr("\"a\" occurs twice"));
  EXPECT_THAT(refusal([] { json::parse("{} {}", "x.json"); }), HasSubstr("x.json:1:4: not JSON"));
  EXPECT_THAT(refusal([] { json::parse("{\"a\":\"\xff\"}", "x.json"); }), HasSubstr("not JSON"));
  EXPECT_THAT(refusal([] { json::parse("", "x.json"); }), HasSubstr("not JSON"));
  EXPECT_THAT(refusal([] { json::parse(std::string_view("{}\0{}", 5), "x.json"); }), HasSubstr("x.json:1:3: not JSON"));
}

TEST(Json, BoundsTheDepth) {
  const std::string deep = std::string(200'000, '[') + std::string(200'000, ']');
  EXPECT_THAT(refusal([&] { json::parse(deep, "x.json"); }), HasSubstr("more than 128 arrays"));
  const std::string fine = std::string(100, '[') + std::string(100, ']');
  EXPECT_NO_THROW(json::parse(fine, "x.json"));
}

TEST(Json, WrongTypesAreShownInTheirLine) {
  const json::Document document("{\n  \"process\": {\n    \"args\": [ \"sh\", 7 ]\n  }\n}\n", "config.json");
  EXPECT_EQ(refusal([&] { document.root().at("process").at("args").strings(); }),
            "config.json:3:21: process.args[1] must be a string, not a number\n"
            "  3 |     \"args\": [ \"sh\", 7 ]\n"
            "    |                     ^");
  EXPECT_THAT(refusal([&] { document.root().at("root"); }), HasSubstr("has no \"root\""));
}

TEST(Json, NumbersMustFit) {
  const json::Document document(R"({"a": -1, "b": 1.5, "c": 18446744073709551615, "d": 70000})", "x.json");
  EXPECT_THROW(document.root().at("a").unsigned_integer(), Error);
  EXPECT_THROW(document.root().at("b").integer(), Error);
  EXPECT_THROW(document.root().at("c").integer(), Error);
  EXPECT_EQ(document.root().at("c").unsigned_integer(), UINT64_MAX);
  EXPECT_THROW(document.root().at("d").unsigned_integer(65535), Error);
}

TEST(Json, NulBytesAreRefused) {
  const json::Document document("{\"a\": \"x\\u0000y\"}", "x.json");
  EXPECT_THAT(refusal([&] { document.root().at("a").string(); }), HasSubstr("NUL"));
}

}  // namespace
}  // namespace jigsaw

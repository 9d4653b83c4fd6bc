// The vectors are the reference implementation's results; their file says where they come from.
#include "image/reference.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <nlohmann/json.hpp>

#include "base/error.h"
#include "base/files.h"
#include "base/json.h"

namespace jigsaw::image {
namespace {

json::Value vectors() {
  return json::parse(files::read(JIGSAW_SOURCE_DIR "/tests/data/reference_vectors.json"), "reference_vectors.json")
      .at("vectors");
}

std::string any_reference(const std::string& input) {
  const auto identifier = as_identifier(input);
  return identifier ? *identifier : parse_reference(input).text();
}

TEST(Reference, AgreesWithTheReferenceImplementation) {
  size_t valid = 0;
  for (const auto& vector : vectors()) {
    const std::string input = vector.at("input");
    if (vector.contains("any_reference")) {
      EXPECT_EQ(any_reference(input), vector.at("any_reference")) << input;
    }
    if (!vector.at("valid").get<bool>()) {
      EXPECT_THROW(parse_reference(input), Error) << input;
      continue;
    }
    ++valid;
    const Reference parsed = parse_reference(input);
    EXPECT_EQ(parsed.registry, vector.at("registry")) << input;
    EXPECT_EQ(parsed.repository, vector.at("repository")) << input;
    EXPECT_EQ(parsed.tag, vector.value("tag", "")) << input;
    EXPECT_EQ(parsed.digest, vector.value("digest", "")) << input;
    EXPECT_EQ(parsed.text(), vector.at("normalized")) << input;
    EXPECT_EQ(with_default_tag(parsed).text(), vector.at("with_default_tag")) << input;
    EXPECT_EQ(pinned(parsed).text(), vector.at("docker_ref")) << input;
    EXPECT_EQ(familiar(parsed), vector.at("familiar")) << input;
  }
  EXPECT_GE(valid, 200U);
}

TEST(Reference, ItsTextMeansTheSameAgain) {
  for (const auto& vector : vectors()) {
    if (vector.at("valid").get<bool>()) {
      const Reference parsed = parse_reference(vector.at("input").get<std::string>());
      EXPECT_EQ(parse_reference(parsed.text()), parsed);
      if (!as_identifier(familiar(parsed))) {
        EXPECT_EQ(parse_reference(familiar(parsed)), parsed);
      }
    }
  }
}

TEST(Reference, RefusalsSayWhyAndHow) {
  try {
    parse_reference("team/App:1");
    FAIL() << "accepted";
  } catch (const Error& error) {
    EXPECT_THAT(error.what(), testing::HasSubstr("must be lowercase"));
    EXPECT_THAT(error.hint(), testing::HasSubstr("app"));
  }
}

}  // namespace
}  // namespace jigsaw::image

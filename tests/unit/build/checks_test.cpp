#include "build/checks.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

namespace jigsaw::build {
namespace {

using ::testing::ElementsAre;
using ::testing::HasSubstr;
using ::testing::IsEmpty;

CheckResult check(const std::string& text, const CheckInput& input = {}) {
  return check_recipe(parse_recipe(make_source("Dockerfile", text)), input);
}

// "rule:line" of every finding.
std::vector<std::string> found(const std::string& text, const CheckInput& input = {}) {
  std::vector<std::string> result;
  for (const Finding& finding : check(text, input).findings) {
    result.push_back(fmt::format("{}:{}", finding.rule, finding.place.line));
  }
  return result;
}

TEST(Checks, ACleanFileHasNoFindings) {
  EXPECT_THAT(found("# syntax=docker/dockerfile:1\nARG v=1\nFROM alpine:$v AS build\nWORKDIR /src\nRUN make\nCMD [\"a\"]\n"),
              IsEmpty());
}

TEST(Checks, NamesAndCasing) {
  EXPECT_THAT(found("FROM scratch AS Build\n"), ElementsAre("StageNameCasing:1"));
  EXPECT_THAT(found("FROM scratch as build\n"), ElementsAre("FromAsCasing:1"));
  EXPECT_THAT(found("from scratch as a\nfrom a as b\n"), IsEmpty());
  EXPECT_THAT(found("FROM scratch AS a\nFROM scratch AS a\n"), ElementsAre("DuplicateStageName:2"));
  EXPECT_THAT(found("FROM scratch AS context\n"), ElementsAre("ReservedStageName:1"));
  EXPECT_THAT(found("FROM scratch\nENV a=1\nenv b=1\nEnv c=1\n"),
              ElementsAre("ConsistentInstructionCasing:3", "ConsistentInstructionCasing:4"));
}

TEST(Checks, OldForms) {
  EXPECT_THAT(found("FROM scratch\nMAINTAINER me\n"), ElementsAre("MaintainerDeprecated:2"));
  EXPECT_THAT(found("FROM scratch\nENV a b\nLABEL c d\n"), ElementsAre("LegacyKeyValueFormat:2", "LegacyKeyValueFormat:3"));
  EXPECT_THAT(found("FROM scratch\nRUN a \\\n\n  b\n"), ElementsAre("NoEmptyContinuation:3"));
}

TEST(Checks, Commands) {
  EXPECT_THAT(found("FROM scratch\nCMD a\nENTRYPOINT b\n"), ElementsAre("JSONArgsRecommended:2", "JSONArgsRecommended:3"));
  EXPECT_THAT(found("FROM scratch\nSHELL [\"/bin/bash\", \"-c\"]\nCMD a\n"), IsEmpty());
  EXPECT_THAT(found("FROM scratch\nCMD [\"a\"]\nCMD [\"b\"]\n"), ElementsAre("MultipleInstructionsDisallowed:2"));
}

TEST(Checks, FromLines) {
  EXPECT_THAT(found("ARG version=1\nFROM alpine:x$verson\n"), ElementsAre("UndefinedArgInFrom:2"));
  EXPECT_THAT(check("ARG version=1\nFROM alpine:x$verson\n").findings.at(0).message, HasSubstr("did you mean version?"));
  EXPECT_THAT(found("ARG tag\nFROM alpine:$tag\n", {.plan = {.arguments = {{"tag", "1"}}}}), ElementsAre("InvalidDefaultArgInFrom:2"));
  EXPECT_THAT(found("FROM --platform=$TARGETPLATFORM alpine\n"), ElementsAre("RedundantTargetPlatform:1"));
  EXPECT_THAT(found("FROM --platform=linux/amd64 alpine\n"), ElementsAre("FromPlatformFlagConstDisallowed:1"));
  EXPECT_THAT(found("FROM --platform=linux/amd64 alpine AS build_amd64\n"), IsEmpty());
}

TEST(Checks, Variables) {
  EXPECT_THAT(found("FROM scratch\nARG known\nENV a=$known b=$unknwon\nRUN echo $x\n"), ElementsAre("UndefinedVar:3"));
  EXPECT_THAT(found("FROM alpine\nENV a=$unknown\n"), IsEmpty());
  EXPECT_THAT(found("FROM alpine\nENV a=$other b=$HOME\n",
                    {.base_image = [](const Stage&) { return BaseImage{.environment = {"HOME=/root"}}; }}),
              ElementsAre("InvalidBaseImagePlatform:1", "UndefinedVar:2"));
  EXPECT_THAT(found("FROM scratch\nENV API_KEY=1 PUBLIC_KEY=2 token=3\nARG password\n"),
              ElementsAre("SecretsUsedInArgOrEnv:2", "SecretsUsedInArgOrEnv:2", "SecretsUsedInArgOrEnv:3"));
}

TEST(Checks, PathsAndPorts) {
  EXPECT_THAT(found("FROM scratch AS a\nWORKDIR app\nWORKDIR b\nFROM a\nWORKDIR c\n"), ElementsAre("WorkdirRelativePath:2"));
  EXPECT_THAT(found("FROM scratch\nEXPOSE 80/TCP\nEXPOSE 1.2.3.4:80:80\n"), ElementsAre("ExposeProtoCasing:2", "ExposeInvalidFormat:3"));
  const IgnoreMatcher ignore({"secret", "*.log"});
  EXPECT_THAT(found("FROM scratch\nCOPY secret/x a.log . /\nADD ./secret /x\nCOPY ok /\n", {.ignore = &ignore}),
              ElementsAre("CopyIgnoredFile:2", "CopyIgnoredFile:2", "CopyIgnoredFile:3"));
  const IgnoreMatcher all({"**"});
  EXPECT_THAT(found("FROM scratch\nCOPY . /\n", {.ignore = &all}), ElementsAre("CopyIgnoredFile:2"));
}

TEST(Checks, CommentsDescribe) {
  const std::string text = "# check=experimental=all\n# sets the thing\nARG a\n# b is fine\nARG b\n# wrong\nFROM scratch AS x\n";
  EXPECT_THAT(found(text), ElementsAre("InvalidDefinitionDescription:3", "InvalidDefinitionDescription:7"));
  EXPECT_THAT(found(text.substr(text.find('\n') + 1)), IsEmpty());
}

TEST(Checks, CanBeSwitchedOff) {
  EXPECT_THAT(found("# check=skip=StageNameCasing\nFROM scratch AS A\nENV a b\n"), ElementsAre("LegacyKeyValueFormat:3"));
  EXPECT_THAT(found("#check=skip=all\nFROM scratch AS A\nENV a b\n"), IsEmpty());
  EXPECT_THAT(found("FROM scratch\n# check=skip=LegacyKeyValueFormat old ways\nENV a b\nENV c d\n"), ElementsAre("LegacyKeyValueFormat:4"));
  EXPECT_TRUE(check("# check=error=true\nFROM scratch AS A\n").fails());
  EXPECT_FALSE(check("# check=error=true\nFROM scratch\n").fails());
  EXPECT_FALSE(check("# check=error=true;skip=StageNameCasing\nFROM scratch AS A\n").fails());
  const CheckInput given{.plan = {.arguments = {{"BUILDKIT_DOCKERFILE_CHECK", "skip=FromAsCasing;error=true"}}}};
  EXPECT_TRUE(check("# check=skip=all\nFROM scratch AS A\n", given).fails());
  EXPECT_FALSE(check("FROM scratch as a\n", given).fails());
  EXPECT_THAT(check("# check=error=true\nFROM scratch AS A\n").error().message(), HasSubstr("StageNameCasing"));
  EXPECT_THROW(check("# check=skp=all\nFROM scratch\n"), Error);
}

TEST(Checks, OnlyTheTargetsStagesAreEvaluated) {
  const std::string text = "FROM scratch AS a\nENV x=$y\nFROM scratch AS b\n";
  EXPECT_THAT(found(text), ElementsAre("UndefinedVar:2"));
  EXPECT_THAT(found(text, {.plan = {.target = "b"}}), IsEmpty());
}

TEST(Checks, AreShownWithLineAndAddress) {
  const std::string text = format_findings(check("FROM scratch AS A\n").findings);
  EXPECT_EQ(text,
            "warning: Dockerfile:1:1: StageNameCasing: Stage name 'A' should be lowercase\n"
            "  1 | FROM scratch AS A\n    | ^^^^^^^^^^^^^^^^^\n"
            "  see https://docs.docker.com/go/dockerfile/rule/stage-name-casing/\n\n1 finding\n");
  EXPECT_EQ(rule_address("JSONArgsRecommended"), "https://docs.docker.com/go/dockerfile/rule/json-args-recommended/");
  EXPECT_EQ(format_findings({}), "no findings\n");
}

}  // namespace
}  // namespace jigsaw::build

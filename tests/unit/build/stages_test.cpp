#include "build/stages.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "build/evaluate.h"

namespace jigsaw::build {
namespace {

using ::testing::ElementsAre;
using ::testing::HasSubstr;
using ::testing::IsEmpty;

Plan plan(const std::string& text, const PlanOptions& options = {}) {
  return plan_stages(parse_recipe(make_source("Dockerfile", text)), options);
}

std::string error_of(const std::string& text, const PlanOptions& options = {}) {
  try {
    plan(text, options);
  } catch (const Error& error) {
    return error.message() + " | " + error.hint();
  }
  return "no error";
}

TEST(Stages, OnlyWhatTheTargetNeedsIsInTheOrder) {
  const std::string text =
      "FROM scratch AS a\nFROM scratch AS unused\nFROM a AS b\nCOPY --from=0 x y\n"
      "FROM scratch AS c\nRUN --mount=from=b,target=/x true\nFROM scratch\nCOPY --from=C x y\n";
  const Plan all = plan(text);
  EXPECT_THAT(all.order, ElementsAre(0, 2, 3, 4));
  EXPECT_THAT(all.dependencies(2), ElementsAre(0));
  EXPECT_THAT(all.dependencies(4), ElementsAre(3));
  EXPECT_THAT(plan(text, {.target = "B"}).order, ElementsAre(0, 2));
  EXPECT_THAT(plan(text, {.target = "1"}).order, ElementsAre(1));
  EXPECT_FALSE(all.needs(1));
}

TEST(Stages, TellStagesImagesAndContextsApart) {
  const Plan result = plan(
      "FROM alpine AS base\nFROM base\nCOPY --from=busybox:1 a b\nCOPY --from=lib a b\nCOPY a b\nCOPY <<E b\nE\nADD a b\n"
      "RUN --mount=target=/x --mount=from=scratch,target=/y true\n",
      {.named_contexts = {"lib", "alpine"}});
  EXPECT_EQ(result.stages[0].base, (Origin{.kind = Origin::Kind::kNamedContext, .name = "alpine"}));
  EXPECT_EQ(result.stages[1].base, (Origin{.kind = Origin::Kind::kStage, .stage = 0}));
  const auto origin = [&](size_t index, size_t which = 0) { return result.stages[1].instructions[index].origins[which]; };
  EXPECT_EQ(origin(0), (Origin{.kind = Origin::Kind::kImage, .name = "busybox:1"}));
  EXPECT_EQ(origin(1), (Origin{.kind = Origin::Kind::kNamedContext, .name = "lib"}));
  EXPECT_EQ(origin(2).kind, Origin::Kind::kContext);
  EXPECT_EQ(origin(3).kind, Origin::Kind::kNone);
  EXPECT_EQ(origin(4).kind, Origin::Kind::kContext);
  EXPECT_EQ(origin(5, 0).kind, Origin::Kind::kNone);
  EXPECT_EQ(origin(5, 1).kind, Origin::Kind::kScratch);
}

TEST(Stages, ANamedContextTakesTheStagesPlace) {
  const Plan result = plan("FROM alpine AS tools\nRUN x\nFROM tools\n", {.named_contexts = {"tools"}});
  EXPECT_EQ(result.stages[0].base.kind, Origin::Kind::kNamedContext);
  EXPECT_THAT(result.stages[0].instructions, IsEmpty());
}

TEST(Stages, ArgumentsBeforeFromAreFilledIn) {
  const std::string text = "ARG v=3\nARG image=alpine:$v\nFROM --platform=$BUILDPLATFORM ${image}-x AS one\nFROM one-$v\n";
  const Plan result = plan(text);
  EXPECT_EQ(result.stages[0].from.image, "alpine:3-x");
  EXPECT_EQ(result.stages[0].platform->text(), host_platform().text());
  EXPECT_EQ(plan(text, {.arguments = {{"v", "4"}}}).stages[0].from.image, "alpine:4-x");
  EXPECT_EQ(plan(text, {.arguments = {{"image", "b"}}}).stages[0].from.image, "b-x");
}

TEST(Stages, NameWhatIsWrong) {
  EXPECT_THAT(error_of("FROM $x\n"), HasSubstr("Dockerfile:1:1: the base name ($x) should not be blank: it has no value"));
  EXPECT_THAT(error_of("ARG image=a\nFROM $imgae\n"), HasSubstr("should not be blank: it has no value, did you mean 'image'?"));
  EXPECT_THAT(error_of("FROM --platform=$BULIDPLATFORM a\n"), HasSubstr("the platform ($BULIDPLATFORM) should not be blank: it has no value, did you mean 'BUILDPLATFORM'?"));
  EXPECT_THAT(error_of("FROM --platform=a/b/c/d x\n"), HasSubstr("is an invalid platform"));
  EXPECT_THAT(error_of("FROM scratch AS a\nCOPY --from=a x y\n"), HasSubstr("circular dependency detected on stage: a"));
  EXPECT_THAT(error_of("FROM scratch AS a\nCOPY --from=b x y\nFROM a AS b\n"), HasSubstr("circular dependency"));
  EXPECT_THAT(error_of("FROM scratch AS a\nCOPY --from=b x y\nFROM scratch AS b\nFROM a\n"), HasSubstr("it comes later in the file"));
  EXPECT_EQ(error_of("FROM scratch AS a\nCOPY --from=b x y\nFROM scratch AS b\n"), "no error");
  EXPECT_THAT(error_of("FROM scratch\nCOPY --from=3 x y\n"), HasSubstr("invalid stage index 3: the last stage is number 0"));
  EXPECT_THAT(error_of("FROM scratch\nCOPY --from=$x x y\n"), HasSubstr("variable expansion is not supported for --from"));
  EXPECT_THAT(error_of("FROM scratch AS build\n", {.target = "biuld"}), HasSubstr("target stage \"biuld\" could not be found, did you mean 'build'?"));
  EXPECT_THAT(error_of("FROM scratch AS build\nFROM Build\n"), HasSubstr("did you mean the stage build?"));
  EXPECT_THAT(error_of("FROM scratch AS b\nCOPY --from=Not_A/REF! x y\n"), HasSubstr("--from: no such stage"));
}

TEST(Stages, TriggersOfTheStageBelowComeFirst) {
  const Plan result = plan(
      "FROM scratch AS extra\nFROM scratch AS base\nONBUILD COPY --from=extra a b\nONBUILD ENV x=1\nFROM base\nENV y=2\n");
  EXPECT_THAT(result.order, ElementsAre(0, 1, 2));
  ASSERT_EQ(result.stages[2].instructions.size(), 3U);
  EXPECT_TRUE(result.stages[2].instructions[0].trigger);
  EXPECT_EQ(result.stages[2].instructions[1].instruction.text, "ENV x=1");
  EXPECT_FALSE(result.stages[2].instructions[2].trigger);
}

TEST(Stages, TriggersOfABaseImageMayNeedMoreStages) {
  Plan result = plan("FROM scratch AS extra\nFROM image\nRUN x\n");
  EXPECT_THAT(result.order, ElementsAre(1));
  add_triggers(result, 1, {"COPY --from=extra a b", "RUN <<EOF\ny\nEOF"});
  add_triggers(result, 1, {"RUN z"});
  EXPECT_THAT(result.order, ElementsAre(0, 1));
  EXPECT_EQ(result.stages[1].instructions.size(), 3U);
  EXPECT_THROW(add_triggers(result, 0, {"FROM x"}), Error);
}

TEST(Platforms, AreBroughtToTheirUsualForm) {
  EXPECT_EQ(parse_platform("linux/x86_64").text(), "linux/amd64");
  EXPECT_EQ(parse_platform("aarch64").text(), "linux/arm64");
  EXPECT_EQ(parse_platform("linux/arm64/v8").text(), "linux/arm64");
  EXPECT_EQ(parse_platform("linux/arm").text(), "linux/arm/v7");
  EXPECT_EQ(parse_platform("windows").os, "windows");
  EXPECT_THROW(parse_platform(""), Error);
  EXPECT_THROW(parse_platform("linux/"), Error);
}

EvaluatedStage evaluate(const Plan& result, size_t stage, const std::vector<std::string>& environment = {}) {
  return evaluate_stage(result, stage, scope_of_image(environment));
}

TEST(Evaluate, EnvironmentAndArgumentsFollowTheirOrder) {
  const Plan result = plan(
      "ARG global=G\nARG hidden=H\nFROM scratch\nARG global\nARG own=$global-1\nENV a=$own b=$a\nRUN 1\nENV own=env\n"
      "RUN 2\nARG own=again\nARG none\nRUN 3 $none $hidden\nUSER $hidden$none\n",
      {.arguments = {{"own", "O"}}});
  const EvaluatedStage stage = evaluate(result, 0, {"x=y"});
  const auto scope = [&](size_t step) { return stage.steps[step].scope->environment; };
  EXPECT_EQ(scope(3).get("global"), "G");
  EXPECT_EQ(scope(3).get("a"), "O");
  EXPECT_EQ(scope(3).get("b"), "");
  EXPECT_EQ(scope(3).get("x"), "y");
  EXPECT_EQ(scope(5).get("own"), "env");
  EXPECT_EQ(scope(8).get("own"), "O");
  EXPECT_FALSE(scope(8).contains("hidden"));
  EXPECT_TRUE(scope(3).contains("PATH"));
  EXPECT_EQ(std::get<User>(stage.steps[9].instruction.body).user, "");
  EXPECT_THAT(stage.steps[9].unset, ElementsAre("hidden"));
  EXPECT_EQ(run_history({"/bin/sh", "-c", "2"}, *stage.steps[5].scope), "RUN |2 global=G own=env /bin/sh -c 2 # buildkit");
}

TEST(Evaluate, BindMountsReadTheContextUnlessTheyNameSomething) {
  const Plan result = plan("FROM scratch\nARG t=bind\nRUN --mount=type=$t,target=/a --mount=type=cache,target=/b --mount=type=secret,target=/x/key true\n");
  const EvaluatedStage stage = evaluate(result, 0);
  EXPECT_EQ(stage.steps[1].origins[0].kind, Origin::Kind::kContext);
  EXPECT_EQ(stage.steps[1].origins[1].kind, Origin::Kind::kNone);
  EXPECT_EQ(std::get<build::Run>(stage.steps[1].instruction.body).mounts[2].id, "key");
}

TEST(Evaluate, AStageGoesOnWhereTheOneBelowEnded) {
  const Plan result = plan("FROM scratch AS a\nARG v=1\nENV e=2\nFROM a\nRUN $v $e\n");
  const EvaluatedStage below = evaluate(result, 0);
  const EvaluatedStage above = evaluate_stage(result, 1, below.scope);
  EXPECT_EQ(above.steps[0].scope->environment.get("v"), "1");
  EXPECT_EQ(above.steps[0].scope->environment.get("e"), "2");
  EXPECT_EQ(above.scope.arguments.size(), 1U);
}

TEST(Evaluate, PlatformArgumentsNeedNoDefault) {
  const Plan result = plan("FROM scratch AS x\nARG TARGETARCH TARGETSTAGE\nRUN 1\n", {.target = "x"});
  EXPECT_EQ(evaluate(result, 0).steps[1].scope->environment.get("TARGETARCH"), host_platform().architecture);
  EXPECT_EQ(evaluate(result, 0).steps[1].scope->environment.get("TARGETSTAGE"), "x");
}

TEST(Evaluate, ProxiesAreKeptApart) {
  const Plan result = plan("FROM scratch\nRUN 1\n", {.arguments = {{"HTTP_PROXY", "http://p"}, {"other", "1"}}});
  EXPECT_FALSE(evaluate(result, 0).steps[0].scope->environment.contains("HTTP_PROXY"));
  ASSERT_EQ(proxy_arguments(result).size(), 2U);
  EXPECT_EQ(proxy_arguments(result)[1].key, "http_proxy");
}

TEST(Evaluate, RefusesAnEnvironmentThatDoublesWithEveryLine) {
  std::string text = "FROM scratch\nENV a=0123456789\n";
  for (int line = 0; line < 40; ++line) {
    text += "ENV a=$a$a\n";
  }
  const Plan result = plan(text);
  EXPECT_THROW(evaluate(result, 0), Error);
}

}  // namespace
}  // namespace jigsaw::build

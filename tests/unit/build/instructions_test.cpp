#include "build/instructions.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "build/chmod.h"

namespace jigsaw::build {
namespace {

using ::testing::ElementsAre;
using ::testing::HasSubstr;

Recipe recipe_of(const std::string& text) { return parse_recipe(make_source("Dockerfile", text)); }

// The body of the only instruction after FROM scratch.
template <class Body>
Body one(const std::string& text) {
  return std::get<Body>(recipe_of("FROM scratch\n" + text + "\n").stages.at(0).instructions.at(0).body);
}

template <class Body>
Body expanded(const std::string& text, const Variables& variables = {}) {
  const Recipe recipe = recipe_of("FROM scratch\n" + text + "\n");
  return std::get<Body>(
      expand_instruction(recipe.stages.at(0).instructions.at(0), variables, recipe.file.escape).instruction.body);
}

struct Wrong {
  std::string text;
  std::string message;
};

void PrintTo(const Wrong& wrong, std::ostream* out) { *out << wrong.text; }

class WrongFile : public ::testing::TestWithParam<Wrong> {};

TEST_P(WrongFile, IsRefusedWithTheCause) {
  try {
    const Recipe recipe = recipe_of(GetParam().text);
    for (const RecipeStage& stage : recipe.stages) {
      for (const Instruction& instruction : stage.instructions) {
        expand_instruction(instruction, {}, recipe.file.escape);
      }
    }
    FAIL() << "no error";
  } catch (const Error& error) {
    EXPECT_THAT(error.message(), HasSubstr(GetParam().message));
  }
}

INSTANTIATE_TEST_SUITE_P(
    Instructions, WrongFile,
    ::testing::Values(
        Wrong{"FRM scratch\n", "Dockerfile:1:1: unknown instruction: FRM, did you mean"},
        Wrong{"FROM scratch\nCOPPY a b\n", "Dockerfile:2:1: unknown instruction: COPPY, did you mean 'COPY'?"},
        Wrong{"RUN true\n", "no build stage in current context: RUN stands before the first FROM"},
        Wrong{"ARG a\n", "no FROM"},
        Wrong{"FROM\n", "FROM requires either one or three arguments"},
        Wrong{"FROM a b\n", "FROM requires either one or three"},
        Wrong{"FROM a AS\n", "FROM requires either one or three"},
        Wrong{"FROM a AS 1x\n", "Dockerfile:1:11: invalid name for build stage: \"1x\""},
        Wrong{"FROM a AS x/y\n", "invalid name for build stage"},
        Wrong{"FROM a AS x y\n", "FROM requires either one or three"},
        Wrong{"FROM --plattform=x a\n", "unknown flag: --plattform, did you mean '--platform'?"},
        Wrong{"FROM a\nENV\n", "ENV requires at least one argument"},
        Wrong{"FROM a\nENV PATH\n", "Dockerfile:2:5: ENV must have two arguments: a name and a value"},
        Wrong{"FROM a\nENV a=1 b\n", "Dockerfile:2:9: can't find = in \"b\""},
        Wrong{"FROM a\nENV =1\n", "ENV names can not be blank"},
        Wrong{"FROM a\nENV a=\"x\n", "unexpected end of statement: there is no matching double-quote"},
        Wrong{"FROM a\nENV a=${x\n", "syntax error: missing '}'"},
        Wrong{"FROM a\nENV a=\"${x:?no x}\"\n", "x: no x"},
        Wrong{"FROM a\nLABEL\n", "LABEL requires at least one argument"},
        Wrong{"FROM a\nLABEL x\n", "LABEL must have two arguments: a name and a value"},
        Wrong{"FROM a\nARG\n", "ARG requires at least one argument"},
        Wrong{"FROM a\nARG =x\n", "ARG names can not be blank"},
        Wrong{"FROM a\nCOPY ./app\n", "Dockerfile:2:6: COPY requires at least two arguments, but \"./app\" is the only one"},
        Wrong{"FROM a\nCOPY\n", "COPY requires at least two arguments"},
        Wrong{"FROM a\nADD x\n", "ADD requires at least two arguments"},
        Wrong{"FROM a\nCOPY [\"x\"]\n", "COPY requires at least two arguments"},
        Wrong{"FROM a\nCOPY [1, 2]\n", "with JSON array syntax, arrays hold strings only"},
        Wrong{"FROM a\nCOPY --form=x a b\n", "Dockerfile:2:6: unknown flag: --form, did you mean '--from'?"},
        Wrong{"FROM a\nCOPY --from a b\n", "missing a value on flag: --from"},
        Wrong{"FROM a\nCOPY --link=maybe a b\n", "expecting boolean value for flag --link, not: maybe"},
        Wrong{"FROM a\nCOPY --chown=1 --chown=2 a b\n", "duplicate flag specified: --chown"},
        Wrong{"FROM a\nCOPY --chmod=888 a b\n", "--chmod: invalid chmod parameter: \"888\""},
        Wrong{"FROM a\nCOPY --chmod=u~x a b\n", "--chmod: invalid chmod parameter: \"u~x\""},
        Wrong{"FROM a\nCOPY --checksum=sha256:00 a b\n", "unknown flag: --checksum"},
        Wrong{"FROM a\nADD --parents a b\n", "unknown flag: --parents"},
        Wrong{"FROM a\nADD --checksum=sha256:00 a b\n", "--checksum requires HTTP(S) or Git sources"},
        Wrong{"FROM a\nADD --checksum=sha256:00 http://h/x b\n", "invalid checksum digest length: \"sha256:00\""},
        Wrong{"FROM a\nADD --checksum=md5:00 http://h/x b\n", "unsupported digest algorithm"},
        Wrong{"FROM a\nADD --checksum=00 http://h/x b\n", "invalid checksum digest format"},
        Wrong{"FROM a\nCOPY http://example.org/x /\n", "the source of COPY can't be a URL"},
        Wrong{"FROM a\nCOPY git@example.org:x.git /\n", "the source of COPY can't be a git ref"},
        Wrong{"FROM a\nCOPY x <<EOF\nEOF\n", "COPY cannot accept a heredoc as a destination"},
        Wrong{"FROM a\nRUN --mount=type=bnd,target=/x true\n", "--mount: unsupported mount type \"bnd\", did you mean"},
        Wrong{"FROM a\nRUN --mount=type=cache true\n", "a cache mount needs target="},
        Wrong{"FROM a\nRUN --mount=type=cache,target=/x,tagret=/y true\n", "unexpected key 'tagret'"},
        Wrong{"FROM a\nRUN --mount=type=bind,from=$x,target=/x true\n", "'from' doesn't support variable expansion"},
        Wrong{"FROM a\nRUN --mount=type=secret true\n", "a secret mount needs id= or target="},
        Wrong{"FROM a\nRUN --mount=type=tmpfs,target=/x,size=lots true\n", "size"},
        Wrong{"FROM a\nRUN --mount=type=bind,target=/x,sharing=locked true\n", "sharing is for cache mounts"},
        Wrong{"FROM a\nRUN --mount=type=cache,target=/x,mode=9 true\n", "invalid value 9 for mode: it is not an octal mode"},
        Wrong{"FROM a\nRUN --network=bridge true\n", "invalid network mode \"bridge\""},
        Wrong{"FROM a\nRUN --security=insecure true\n", "--security=insecure is refused"},
        Wrong{"FROM a\nRUN --security=none true\n", "security \"none\" is not valid"},
        Wrong{"FROM a\nRUN --device=vendor/x true\n", "--device is refused"},
        Wrong{"FROM a\nRUN [\"a\", 1]\n", "with JSON array syntax, arrays hold strings only"},
        Wrong{"FROM a\nCMD --x true\n", "unknown flag: --x"},
        Wrong{"FROM a\nWORKDIR\n", "WORKDIR requires exactly one argument"},
        Wrong{"FROM a\nUSER\n", "USER requires exactly one argument"},
        Wrong{"FROM a\nVOLUME\n", "VOLUME requires at least one argument"},
        Wrong{"FROM a\nVOLUME [\"\"]\n", "VOLUME specified can not be an empty string"},
        Wrong{"FROM a\nEXPOSE\n", "EXPOSE requires at least one argument"},
        Wrong{"FROM a\nEXPOSE http\n", "Dockerfile:2:1: invalid port: \"http\""},
        Wrong{"FROM a\nEXPOSE 70000\n", "invalid port: \"70000\""},
        Wrong{"FROM a\nEXPOSE 80/icmp\n", "invalid proto: icmp"},
        Wrong{"FROM a\nEXPOSE 90-80\n", "invalid port"},
        Wrong{"FROM a\nEXPOSE localhost:80:80\n", "invalid IP address \"localhost\""},
        Wrong{"FROM a\nEXPOSE [::1]:80:80 ::1:81:81 127.0.0.1::82 ::x:80:80\n", "invalid IP address \"::x\""},
        Wrong{"FROM a\nSHELL /bin/bash -c\n", "SHELL requires the arguments to be in JSON form"},
        Wrong{"FROM a\nSHELL []\n", "SHELL requires at least one argument"},
        Wrong{"FROM a\nSTOPSIGNAL\n", "STOPSIGNAL requires exactly one argument"},
        Wrong{"FROM a\nSTOPSIGNAL SIGNONE\n", "invalid signal: SIGNONE"},
        Wrong{"FROM a\nSTOPSIGNAL 0\n", "invalid signal: 0"},
        Wrong{"FROM a\nHEALTHCHECK\n", "HEALTHCHECK requires at least one argument"},
        Wrong{"FROM a\nHEALTHCHECK curl x\n", "unknown type \"CURL\" in HEALTHCHECK"},
        Wrong{"FROM a\nHEALTHCHECK CMD\n", "missing command after HEALTHCHECK CMD"},
        Wrong{"FROM a\nHEALTHCHECK NONE x\n", "HEALTHCHECK NONE takes no arguments"},
        Wrong{"FROM a\nHEALTHCHECK --interval=x CMD a\n", "invalid duration \"x\": --interval must be a duration"},
        Wrong{"FROM a\nHEALTHCHECK --timeout=1us CMD a\n", "--timeout cannot be less than 1ms"},
        Wrong{"FROM a\nHEALTHCHECK --retries=-1 CMD a\n", "--retries cannot be negative"},
        Wrong{"FROM a\nHEALTHCHECK --retrys=1 CMD a\n", "unknown flag: --retrys, did you mean '--retries'?"},
        Wrong{"FROM a\nONBUILD\n", "ONBUILD requires at least one argument"},
        Wrong{"FROM a\nONBUILD ONBUILD RUN x\n", "chaining ONBUILD isn't allowed"},
        Wrong{"FROM a\nONBUILD FROM x\n", "FROM isn't allowed as an ONBUILD trigger"},
        Wrong{"FROM a\nONBUILD maintainer x\n", "MAINTAINER isn't allowed as an ONBUILD trigger"},
        Wrong{"FROM a\nONBUILD COPPY a b\n", "Dockerfile:2:9: unknown instruction: COPPY"},
        Wrong{"FROM a\nMAINTAINER\n", "MAINTAINER requires exactly one argument"}));

TEST(Instructions, TheBeginnersSlipIsExplained) {
  try {
    recipe_of("FROM scratch\nCOPY ./app\n");
    FAIL();
  } catch (const Error& error) {
    EXPECT_THAT(error.hint(), HasSubstr("COPY ./app . puts it into the working directory, COPY ./app /app"));
    EXPECT_THAT(error.message(), HasSubstr("  2 | COPY ./app\n    |      ^^^^^"));
  }
}

TEST(Instructions, FromTakesAPlatformAndAName) {
  const Recipe recipe = recipe_of("ARG v=1\nfrom --platform=linux/arm64 a:$v as Build-1\n");
  const From from = std::get<From>(recipe.stages[0].from.body);
  EXPECT_EQ(from.image, "a:$v");
  EXPECT_EQ(from.name, "build-1");
  EXPECT_EQ(from.name_as_written, "Build-1");
  EXPECT_EQ(from.platform, "linux/arm64");
  EXPECT_EQ(recipe.global_arguments.size(), 1U);
}

TEST(Instructions, EnvAndLabelTakeBothForms) {
  const Env env = expanded<Env>("ENV a=1 b=\"two words\" c=x\\ y d='$z' e=$z", {{"z", "Z"}});
  ASSERT_EQ(env.values.size(), 5U);
  EXPECT_EQ(env.values[1].value, "two words");
  EXPECT_EQ(env.values[2].value, "x y");
  EXPECT_EQ(env.values[3].value, "$z");
  EXPECT_EQ(env.values[4].value, "Z");
  const Env legacy = expanded<Env>("ENV key   some \"quoted\" value");
  EXPECT_EQ(legacy.values[0].key, "key");
  EXPECT_EQ(legacy.values[0].value, "some quoted value");
  EXPECT_TRUE(legacy.values[0].legacy_form);
  EXPECT_EQ(expanded<Label>("LABEL \"a b\"=c d=\"e\\\nf\"").values[0].key, "a b");
}

TEST(Instructions, CommandsHaveTwoForms) {
  EXPECT_THAT(one<Cmd>("CMD [\"a\", \"b c\"]").command.words, ElementsAre("a", "b c"));
  EXPECT_EQ(one<Cmd>("CMD [\"a\"]").command.form, CommandLine::Form::kExec);
  EXPECT_EQ(one<Cmd>("CMD ['a']").command.form, CommandLine::Form::kShell);
  EXPECT_THAT(one<Cmd>("CMD [\"a\"] b").command.words, ElementsAre("[\"a\"] b"));
  EXPECT_THAT(one<Entrypoint>("ENTRYPOINT []").command.words, ElementsAre());
  EXPECT_THAT(invocation(one<build::Run>("RUN echo  $x").command, {}).words,
              ElementsAre("/bin/sh", "-c", "echo  $x"));
}

TEST(Instructions, RunHereDocumentsBecomeScripts) {
  const Invocation simple = invocation(one<build::Run>("RUN <<EOF\necho a\necho b\nEOF").command, {});
  EXPECT_THAT(simple.words, ElementsAre("/bin/sh", "-c", "echo a\necho b\n"));
  EXPECT_FALSE(simple.script);
  const Invocation script = invocation(one<build::Run>("RUN <<-PY\n\t#!/usr/bin/python3\n\tprint(1)\n\tPY").command, {});
  EXPECT_THAT(script.words, ElementsAre("/bin/sh", "-c", "/dev/pipes/PY"));
  ASSERT_TRUE(script.script);
  EXPECT_EQ(script.script->content, "#!/usr/bin/python3\nprint(1)\n");
  const Invocation complex = invocation(one<build::Run>("RUN cat <<A >x && python <<B\n1\nA\n2\nB").command, {});
  EXPECT_THAT(complex.words, ElementsAre("/bin/sh", "-c", "cat <<A >x && python <<B\n1\nA\n2\nB"));
}

TEST(Instructions, CopyTakesFlagsArraysAndHereDocuments) {
  const Copy copy = expanded<Copy>(
      "COPY --from=x --chown=$u:g --chmod=u+rwX,go-w --link --parents --exclude=*.o --exclude=t a $b c/", {{"u", "me"}, {"b", "B"}});
  EXPECT_EQ(copy.from, "x");
  EXPECT_EQ(copy.chown, "me:g");
  EXPECT_THAT(copy.sources, ElementsAre("a", "B"));
  EXPECT_EQ(copy.destination, "c/");
  EXPECT_THAT(copy.excludes, ElementsAre("*.o", "t"));
  EXPECT_TRUE(copy.link && copy.parents && !copy.add);
  EXPECT_THAT(one<Copy>("COPY [\"a b\", \"c d\"]").sources, ElementsAre("a b"));
  const Copy inlined = expanded<Copy>("COPY <<one <<'two' <<-three x /d/\n1 $v \"q\"\none\n2 $v\ntwo\n\t3\n\tthree", {{"v", "V"}});
  ASSERT_EQ(inlined.files.size(), 3U);
  EXPECT_EQ(inlined.files[0].content, "1 V \"q\"\n");
  EXPECT_EQ(inlined.files[1].content, "2 $v\n");
  EXPECT_EQ(inlined.files[2].content, "3\n");
  EXPECT_THAT(inlined.sources, ElementsAre("x"));
  const Copy add = expanded<Copy>("ADD --keep-git-dir=true --unpack=false --checksum=sha256:" + std::string(64, 'a') + " https://h/x /");
  EXPECT_EQ(add.keep_git_dir, true);
  EXPECT_EQ(add.unpack, false);
}

TEST(Instructions, RunMountsKnowTheirDefaults) {
  const build::Run run = expanded<build::Run>(
      "RUN --mount=target=/src --mount=type=cache,target=/c,id=$i,sharing=locked,mode=0700,uid=5 "
      "--mount=type=tmpfs,dst=/t,size=64m --mount=type=secret,id=k,required,env=KEY --mount=type=ssh "
      "--mount=type=bind,from=base,src=/a,target=/b,rw --network=none make", {{"i", "I"}});
  ASSERT_EQ(run.mounts.size(), 6U);
  EXPECT_EQ(run.mounts[0].type, Mount::Type::kBind);
  EXPECT_TRUE(run.mounts[0].read_only);
  EXPECT_EQ(run.mounts[1].id, "I");
  EXPECT_EQ(run.mounts[1].sharing, Mount::Sharing::kLocked);
  EXPECT_EQ(run.mounts[1].mode, 0700U);
  EXPECT_FALSE(run.mounts[1].read_only);
  EXPECT_EQ(run.mounts[2].size, 64U << 20);
  EXPECT_TRUE(run.mounts[3].required);
  EXPECT_EQ(run.mounts[3].env, "KEY");
  EXPECT_EQ(run.mounts[5].from, "base");
  EXPECT_FALSE(run.mounts[5].read_only);
  EXPECT_EQ(run.network, build::Run::Network::kNone);
}

TEST(Instructions, ExposeSpreadsRangesAndSplitsVariables) {
  EXPECT_THAT(expanded<Expose>("EXPOSE 80 53/UDP 7000-7002 $more", {{"more", "1 2/sctp"}}).ports,
              ElementsAre("1/tcp", "2/sctp", "53/udp", "7000/tcp", "7001/tcp", "7002/tcp", "80/tcp"));
  EXPECT_THAT(expanded<Expose>("EXPOSE 127.0.0.1:80:8080").ports, ElementsAre("8080/tcp"));
}

TEST(Instructions, HealthcheckReadsItsTimes) {
  const Healthcheck health = one<Healthcheck>(
      "HEALTHCHECK --interval=1m30s --timeout=500ms --start-period=2s --start-interval=1s --retries=4 CMD curl -f x");
  EXPECT_EQ(health.interval, std::chrono::seconds(90));
  EXPECT_EQ(health.retries, 4);
  EXPECT_THAT(health.test, ElementsAre("CMD-SHELL", "curl -f x"));
  EXPECT_THAT(one<Healthcheck>("HEALTHCHECK cmd [\"a\", \"b\"]").test, ElementsAre("CMD", "a", "b"));
  EXPECT_THAT(one<Healthcheck>("HEALTHCHECK none").test, ElementsAre("NONE"));
}

TEST(Instructions, OnbuildKeepsTheInstructionForLater) {
  EXPECT_EQ(one<Onbuild>("ONBUILD   COPY --chown=1 . /app").expression, "COPY --chown=1 . /app");
  const std::string expression = one<Onbuild>("ONBUILD RUN <<EOF\necho $x\nEOF").expression;
  EXPECT_EQ(expression, "RUN <<EOF\necho $x\nEOF");
  EXPECT_TRUE(std::holds_alternative<build::Run>(parse_trigger(expression, "base").body));
}

TEST(ModeChange, IsChmods) {
  EXPECT_EQ(ModeChange::parse("755").apply(0100644), 0755U);
  EXPECT_EQ(ModeChange::parse("04755").apply(0100644), 04755U);
  EXPECT_EQ(ModeChange::parse("u+x").apply(0100644), 0744U);
  EXPECT_EQ(ModeChange::parse("+x").apply(0100644), 0755U);
  EXPECT_EQ(ModeChange::parse("a=rX").apply(0100644), 0444U);
  EXPECT_EQ(ModeChange::parse("a=rX").apply(0040700), 0555U);
  EXPECT_EQ(ModeChange::parse("u=rwx,go=rx").apply(0100000), 0755U);
  EXPECT_EQ(ModeChange::parse("go=u-w").apply(0100600), 0644U);
  EXPECT_EQ(ModeChange::parse("u+s,+t").apply(0100755), 05755U);
  EXPECT_EQ(ModeChange::parse("go=").apply(0100777), 0700U);
  EXPECT_THROW(ModeChange::parse(""), Error);
  EXPECT_THROW(ModeChange::parse("u"), Error);
  EXPECT_THROW(ModeChange::parse("10000"), Error);
  EXPECT_THROW(ModeChange::parse("u+q"), Error);
}

}  // namespace
}  // namespace jigsaw::build

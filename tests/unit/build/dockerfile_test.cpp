#include "build/dockerfile.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <chrono>

namespace jigsaw::build {
namespace {

using ::testing::ElementsAre;
using ::testing::HasSubstr;

Dockerfile parse(const std::string& text) { return parse_dockerfile(make_source("Dockerfile", text)); }

std::string error_of(const std::string& text) {
  try {
    parse(text);
  } catch (const Error& error) {
    return error.message();
  }
  return "no error";
}

std::vector<std::string> texts(const Dockerfile& file) {
  std::vector<std::string> result;
  for (const Statement& statement : file.statements) {
    result.push_back(statement.keyword + "|" + statement.arguments);
  }
  return result;
}

TEST(DockerfileText, CutsTheFileIntoStatements) {
  const Dockerfile file = parse("# a comment\n\nFROM scratch\n  copy a b  \n\nRUN  echo  hi\n");
  EXPECT_THAT(texts(file), ElementsAre("FROM|scratch", "copy|a b", "RUN|echo  hi"));
  EXPECT_EQ(file.statements[1].first_line, 4U);
  EXPECT_THAT(file.statements[0].comments, ElementsAre("a comment"));
}

TEST(DockerfileText, JoinsContinuationLinesAndLeavesCommentsOut) {
  const Dockerfile file = parse("FROM scratch\nRUN a \\\n  # not part of it\n  && b \\   \n\n && c\nRUN d \\\\\nRUN e \\");
  EXPECT_THAT(texts(file), ElementsAre("FROM|scratch", "RUN|a   && b  && c", "RUN|d \\\\", "RUN|e"));
  ASSERT_EQ(file.empty_continuations.size(), 1U);
  EXPECT_EQ(file.empty_continuations[0].line, 5U);
}

TEST(DockerfileText, UnderstandsByteOrderMarkAndCrLf) {
  const Dockerfile file = parse("\xef\xbb\xbf# escape=`\r\nFROM scratch\r\nRUN a `\r\n  b\r\n");
  EXPECT_EQ(file.escape, '`');
  EXPECT_THAT(texts(file), ElementsAre("FROM|scratch", "RUN|a   b"));
}

TEST(DockerfileText, ReadsParserDirectivesOnlyAtTheTop) {
  const Dockerfile file = parse("# Syntax = docker/dockerfile:1\n#check=skip=all\n# other\n# escape=`\nFROM scratch\n");
  EXPECT_EQ(file.directive("syntax"), "docker/dockerfile:1");
  EXPECT_EQ(file.directive("check"), "skip=all");
  EXPECT_EQ(file.escape, '\\');
  EXPECT_THAT(error_of("# escape=\\\n# escape=`\nFROM scratch\n"), HasSubstr("Dockerfile:2:1: only one escape parser directive"));
  EXPECT_THAT(error_of("# escape=x\nFROM scratch\n"), HasSubstr("invalid escape token 'x'"));
}

TEST(DockerfileText, TakesFlagsOffTheFront) {
  const Dockerfile file = parse("RUN --mount=type=cache,target=/a --network=\"no\"ne -- --x y\nCOPY --from=a \\\n --chown=b c d\n");
  ASSERT_EQ(file.statements[0].flags.size(), 2U);
  EXPECT_EQ(file.statements[0].flags[1].text, "--network=none");
  EXPECT_EQ(file.statements[0].arguments, "--x y");
  EXPECT_EQ(file.statements[1].flags[1].text, "--chown=b");
  const Place place = file.statements[1].place(file.statements[1].flags[1].offset, 9);
  EXPECT_EQ(place.line, 3U);
  EXPECT_EQ(place.column, 2U);
}

TEST(DockerfileText, ReadsHereDocuments) {
  const Dockerfile file = parse(
      "FROM scratch\nRUN <<EOF cat - <<-\"B\"\nhello $x\nEOF\n\tindented\n\tB\nCOPY <<'a b' <<c /\n1\na b\n2\nc\nRUN x\n");
  ASSERT_EQ(file.statements.size(), 4U);
  const std::vector<Heredoc>& run = file.statements[1].heredocs;
  ASSERT_EQ(run.size(), 2U);
  EXPECT_EQ(run[0].name, "EOF");
  EXPECT_EQ(run[0].content, "hello $x\n");
  EXPECT_TRUE(run[0].expand);
  EXPECT_EQ(run[1].content, "\tindented\n");
  EXPECT_TRUE(run[1].chomp);
  EXPECT_FALSE(run[1].expand);
  EXPECT_EQ(file.statements[2].heredocs[0].name, "a b");
  EXPECT_EQ(file.statements[2].heredocs[1].content, "2\n");
  EXPECT_EQ(file.statements[3].first_line, 12U);
}

TEST(DockerfileText, KnowsWhatIsNoHereDocument) {
  EXPECT_EQ(parse("RUN [\"a\", \"<<EOF\"]\n").statements.size(), 1U);
  EXPECT_EQ(parse("RUN echo \"<<EOF\"\nRUN x <<<word\nRUN echo $((1<<2))\nENV a=<<EOF\n").statements.size(), 4U);
  EXPECT_EQ(parse("ONBUILD RUN <<EOF\nx\nEOF\n").statements.size(), 1U);
}

TEST(DockerfileText, NamesWhatIsWrongWithTheWholeFile) {
  EXPECT_THAT(error_of(""), HasSubstr("the Dockerfile cannot be empty"));
  EXPECT_THAT(error_of(" \n\r\n"), HasSubstr("the Dockerfile cannot be empty"));
  EXPECT_THAT(error_of("# only\n# comments\n"), HasSubstr("no instructions, only comments"));
  EXPECT_THAT(error_of("FROM scratch\nRUN cat <<EOF\nhello\n EOF\n"),
              HasSubstr("Dockerfile:2:9: unterminated heredoc: no line holds just \"EOF\""));
  EXPECT_THAT(error_of(std::string(kDockerfileLimit + 1, 'x')), HasSubstr("larger than"));
}

TEST(DockerfileText, IsLinearInAMillionContinuationLines) {
  std::string text = "FROM scratch\nRUN true";
  for (int line = 0; line < 1000000; ++line) {
    text += "\\\n ";
  }
  const auto start = std::chrono::steady_clock::now();
  const Dockerfile file = parse(text);
  EXPECT_EQ(file.statements.size(), 2U);
  EXPECT_LT(std::chrono::steady_clock::now() - start, std::chrono::seconds(5));
}

TEST(DockerfileText, IsLinearInManyHereDocumentsAndQuotes) {
  std::string text = "FROM scratch\n";
  for (int line = 0; line < 20000; ++line) {
    text += "RUN echo '\" <<E" + std::to_string(line) + "\n";
  }
  text += "RUN x" + std::string(500000, '<') + "\n";
  const auto start = std::chrono::steady_clock::now();
  EXPECT_EQ(parse(text).statements.size(), 20002U);
  EXPECT_LT(std::chrono::steady_clock::now() - start, std::chrono::seconds(5));
}

}  // namespace
}  // namespace jigsaw::build

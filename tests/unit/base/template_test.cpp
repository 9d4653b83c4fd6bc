// Templates for --format, with the results that Go's text/template gives (but for objects' order, which is by key in both).
#include "base/template.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <nlohmann/json.hpp>

#include "base/error.h"

namespace jigsaw {
namespace {

const json::Value kImage = json::Value::parse(R"({"Id": "sha256:0123456789", "Size": 7, "Empty": [], "No": false,
  "Config": {"Cmd": ["sh", "-c"], "Labels": {"b": "2", "a.x": "1"}, "User": ""}, "Layers": [{"N": "x"}, {"N": "y"}]})");

struct Case {
  const char* text;
  const char* result;
};

class Templates : public testing::TestWithParam<Case> {};
INSTANTIATE_TEST_SUITE_P(Format, Templates, testing::Values(
    Case{"a {{.Id}} b", "a sha256:0123456789 b"}, Case{"{{.Config.Cmd}}", "[sh -c]"}, Case{"{{.Nope.Deep}}", "<no value>"},
    Case{"{{json .Config.Cmd}}", R"(["sh","-c"])"}, Case{"{{.Config.Cmd | json}}", R"(["sh","-c"])"},
    Case{"{{index .Config.Labels \"a.x\"}}", "1"}, Case{"{{index .Config.Cmd 1}}{{len .Layers}}", "-c2"},
    Case{"{{range .Layers}}{{.N}},{{end}}", "x,y,"}, Case{"{{range .Empty}}x{{else}}none{{end}}", "none"},
    Case{"{{range $k, $v := .Config.Labels}}{{$k}}={{$v}};{{end}}", "a.x=1;b=2;"},
    Case{"{{range $i, $e := .Layers}}{{$i}}{{$e.N}} {{end}}", "0x 1y "}, Case{"{{range $e := .Layers}}{{$e.N}}{{$.Size}}{{end}}", "x7y7"},
    Case{"{{if .Config.User}}{{.Config.User}}{{else}}root{{end}}", "root"}, Case{"{{if .Size}}some{{else}}none{{end}}!", "some!"},
    Case{"{{if .No}}1{{else if .Empty}}2{{else if .Size}}3{{else}}4{{end}}.", "3."},
    Case{"{{if .No}}{{range .Layers}}{{if .N}}x{{else}}y{{end}}{{end}}{{end}}-", "-"},
    Case{"{{with .Config}}{{.Cmd}}{{end}}{{with .Empty}}x{{end}}", "[sh -c]"}, Case{"{{join .Config.Cmd \" \"}}", "sh -c"},
    Case{"{{slice .Id 7 11}}", "0123"}, Case{"{{upper .Id | lower}}{{print .Size 1}}", "sha256:01234567897 1"},
    Case{"{{if eq .Size 7}}yes{{end}}{{if ne .Id \"x\"}}yes{{end}}{{if not .No}}yes{{end}}", "yesyesyes"},
    Case{"a {{- .Size -}} b", "a7b"}, Case{"{{`a \"b\"`}}", "a \"b\""}));

TEST_P(Templates, GiveWhatGoGives) { EXPECT_EQ(expand_template(GetParam().text, kImage), GetParam().result) << GetParam().text; }

TEST(TemplateMistakes, AreNamed) {
  for (const auto& [text, said] : {Case{"{{nonsense}}", "nonsense"}, Case{"{{join .Config.Cmd}}", "join .Config.Cmd"},
                                   Case{"{{if .Id}}", "lacks its {{end}}"}, Case{"{{.Id", "lacks its }}"}, Case{"{{}}", "nothing stands"},
                                   Case{"{{index .Id \"a}}", "closing quote"}, Case{"{{$x}}", "$x is not set"}, Case{"{{.Id |}}", ".Id |"},
                                   Case{"{{range .Id}}{{end}}", "is no list"}, Case{"{{frob .Id \"a b\"}}", "frob .Id \\\"a b\\\""}}) {
    try {
      expand_template(text, kImage);
      ADD_FAILURE() << text;
    } catch (const Error& error) {
      EXPECT_THAT(error.message(), testing::HasSubstr(said)) << text;
    }
  }
}

}  // namespace
}  // namespace jigsaw

#include <gtest/gtest.h>

#include "base/error.h"
#include "runtime/spec.h"

namespace jigsaw::runtime {
namespace {

Spec parsed(const std::string& members) { return parse_spec("{\"ociVersion\":\"1.2.0\"" + (members.empty() ? "" : "," + members) + "}"); }

TEST(Parse, VersionsOfTheFirstMajorNumberAreTaken) {
  for (const char* version : {"1.0.0", "1.0.2-dev", "1.3.0", "1.99.0", "1.2.0+build"}) {
    EXPECT_TRUE(is_supported_version(version)) << version;
  }
  for (const char* version : {"", "1", "1.0", "2.0.0", "0.9.0", "01.0.0", "1.0.0.0", "1.-1.0", "invalid", "1.0.x", " 1.0.0"}) {
    EXPECT_FALSE(is_supported_version(version)) << version;
  }
}

TEST(Parse, TextsThatAreNoConfigurationAreRefused) {
  for (const std::string& text :
       {std::string(), std::string("null"), std::string("[]"), std::string("7"), std::string("{"), std::string("{}"), std::string(200'000, '['),
        std::string("{\"ociVersion\":\"1.0.0\",\"ociVersion\":\"1.0.0\"}"), std::string("{\"ociVersion\":\"1.0.0\"} x"),
        std::string("{\"ociVersion\":\"1.0.0\",\"hostname\":\"\xff\xfe\"}"), std::string("{\"ociVersion\":\"1.0.0\",\"hostname\":\"a\\u0000b\"}")}) {
    EXPECT_THROW(parse_spec(text), Error) << text.substr(0, 60);
  }
}

TEST(Parse, WrongTypesAndNumbersAreRefusedWhereTheyStand) {
  for (const char* members :
       {"\"process\":7", "\"process\":{\"args\":\"sh\"}", "\"process\":{\"args\":[1]}", "\"process\":{\"user\":{\"uid\":-1}}",
        "\"process\":{\"user\":{\"uid\":4294967295}}", "\"process\":{\"user\":{\"uid\":1.5}}", "\"process\":{\"user\":{\"uid\":1e99}}",
        "\"process\":{\"oomScoreAdj\":1001}", "\"process\":{\"rlimits\":[{\"type\":\"RLIMIT_X\",\"soft\":1,\"hard\":1}]}", "\"root\":{}",
        "\"mounts\":{}", "\"mounts\":[{\"type\":\"tmpfs\"}]", "\"linux\":{\"namespaces\":[{\"type\":\"pid\"},{\"type\":\"pid\"}]}",
        "\"linux\":{\"namespaces\":[{\"type\":\"nosuch\"}]}", "\"linux\":{\"seccomp\":{}}", "\"linux\":{\"devices\":[{\"path\":\"/x\",\"type\":\"cc\"}]}",
        "\"linux\":{\"resources\":{\"memory\":{\"limit\":\"64m\"}}}", "\"linux\":{\"resources\":{\"memory\":{\"limit\":9223372036854775808}}}",
        "\"hooks\":{\"prestart\":[{\"path\":\"relative\"}]}", "\"annotations\":{\"a\":1}"}) {
    EXPECT_THROW(parsed(members), Error) << members;
  }
}

TEST(Parse, NullAndUnknownMembersAreAbsent) {
  const Spec spec = parsed("\"process\":null,\"linux\":null,\"future\":{\"deep\":[1,{}]},\"hostname\":null");
  EXPECT_FALSE(spec.process.has_value());
  EXPECT_EQ(spec.hostname, "");
}

TEST(Parse, AHookWithoutEnvironmentIsNotOneWithAnEmptyOne) {
  const Spec spec = parsed("\"hooks\":{\"prestart\":[{\"path\":\"/a\"},{\"path\":\"/b\",\"env\":[]}]}");
  EXPECT_FALSE(spec.hooks.prestart.at(0).env.has_value());
  EXPECT_TRUE(spec.hooks.prestart.at(1).env.has_value());
}

TEST(Validate, AListenerMustBeSomewhereAndReachable) {
  Spec spec;
  spec.seccomp = security::Seccomp{.rules = {{.names = {"mkdir"}, .action = "SCMP_ACT_NOTIFY"}}};
  EXPECT_THROW(validate(spec), Error);
  spec.seccomp->listener_path = "/agent";
  EXPECT_NO_THROW(validate(spec));
  spec.seccomp->rules[0].names = {"sendmsg"};
  EXPECT_THROW(validate(spec), Error);
}

}  // namespace
}  // namespace jigsaw::runtime

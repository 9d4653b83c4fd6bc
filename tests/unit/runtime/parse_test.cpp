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

TEST(Validate, SchedulersAreWhatTheKernelTakes) {
  const auto scheduled = [](Scheduler scheduler) {
    return Process{.args = {"true"}, .scheduler = std::move(scheduler)};
  };
  for (const Scheduler& good :
       {Scheduler{.policy = "SCHED_BATCH", .nice = 19}, Scheduler{.policy = "SCHED_FIFO", .priority = 99}, Scheduler{.policy = "SCHED_IDLE"},
        Scheduler{.policy = "SCHED_DEADLINE", .runtime = 1024, .deadline = 2000, .period = 2000},
        Scheduler{.policy = "SCHED_DEADLINE", .runtime = 1024, .deadline = 2000}}) {
    EXPECT_NO_THROW(validate(scheduled(good))) << good.policy;
  }
  for (const Scheduler& bad :
       {Scheduler{.policy = ""}, Scheduler{.policy = "SCHED_BATCH", .nice = 20}, Scheduler{.policy = "SCHED_OTHER", .priority = 1},
        Scheduler{.policy = "SCHED_RR"}, Scheduler{.policy = "SCHED_RR", .priority = 100}, Scheduler{.policy = "SCHED_OTHER", .flags = {"X"}},
        Scheduler{.policy = "SCHED_DEADLINE", .deadline = 2000}, Scheduler{.policy = "SCHED_DEADLINE", .runtime = 2000},
        Scheduler{.policy = "SCHED_DEADLINE", .runtime = 1023, .deadline = 2000},
        Scheduler{.policy = "SCHED_DEADLINE", .runtime = 3000, .deadline = 2000},
        Scheduler{.policy = "SCHED_DEADLINE", .runtime = 2000, .deadline = 3000, .period = 2500},
        Scheduler{.policy = "SCHED_DEADLINE", .runtime = uint64_t{1} << 63, .deadline = (uint64_t{1} << 63) + 1}}) {
    EXPECT_THROW(validate(scheduled(bad)), Error) << bad.policy << bad.runtime;
  }
}

TEST(Validate, PrioritiesAffinitiesAndMemoryPoliciesAreChecked) {
  for (const char* cpus : {"0-", "3-1", "x", "0,,1", "99999", "-1"}) {
    EXPECT_THROW(validate(Process{.args = {"true"}, .affinity = {.initial = cpus}}), Error) << cpus;
    EXPECT_THROW(validate(Process{.args = {"true"}, .affinity = {.final = cpus}}), Error) << cpus;
  }
  EXPECT_THROW(validate(Process{.args = {"true"}, .io_priority = IoPriority{"IOPRIO_CLASS_X", 1}}), Error);
  EXPECT_THROW(parsed("\"process\":{\"ioPriority\":{\"class\":\"IOPRIO_CLASS_BE\",\"priority\":8}}"), Error);
  for (const MemoryPolicy& bad : {MemoryPolicy{"MPOL_X", "", {}}, MemoryPolicy{"MPOL_BIND", "0", {"MPOL_F_X"}}, MemoryPolicy{"MPOL_BIND", "0-x", {}},
                                  MemoryPolicy{"MPOL_BIND", "5000", {}}}) {
    Spec spec;
    spec.memory_policy = bad;
    EXPECT_THROW(validate(spec), Error) << bad.mode << bad.nodes;
  }
}

TEST(Parse, BindAndRbindTogetherMeanWithAllBelow) {
  for (const char* options : {"[\"rbind\",\"bind\"]", "[\"bind\",\"rbind\"]", "[\"rbind\"]"}) {
    const Spec spec = parsed("\"mounts\":[{\"destination\":\"/a\",\"type\":\"bind\",\"source\":\"/b\",\"options\":" + std::string(options) + "}]");
    EXPECT_EQ(spec.mounts.at(0).kind, rootfs::MountKind::kRecursiveBind) << options;
  }
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

// It goes into /etc/hosts and /etc/hostname of many an engine: one line, and what the kernel takes.
TEST(Validate, AHostNameIsOneLineOfAtMost64Bytes) {
  Spec spec = parsed("\"hostname\":\"two words.example-1\",\"linux\":{\"namespaces\":[{\"type\":\"uts\"},{\"type\":\"mount\"}]}");
  EXPECT_NO_THROW(validate(spec));
  for (const std::string& name : {std::string(65, 'x'), std::string("two\nlines"), std::string("a\0b", 3), std::string("\x7f")}) {
    spec.hostname = name;
    EXPECT_THROW(validate(spec), Error) << name;
    spec.hostname = "";
    spec.domainname = name;
    EXPECT_THROW(validate(spec), Error) << name;
    spec.domainname = std::string(64, 'x');
    EXPECT_NO_THROW(validate(spec));
  }
}

}  // namespace
}  // namespace jigsaw::runtime

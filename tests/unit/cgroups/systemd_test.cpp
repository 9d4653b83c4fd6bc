// The arithmetic of systemd's units: names, paths, properties.
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "base/error.h"
#include "cgroups/systemd.h"

namespace jigsaw::cgroups {
namespace {

using ::testing::ElementsAre;
constexpr auto kSystem = Scope::Keeper::kSystem;

TEST(Systemd, AScopeIsNamedByItsSlicePrefixAndName) {
  const Scope scope = parse_scope("user-1000.slice:libpod:abc", "ignored", kSystem);
  EXPECT_EQ(scope.unit, "libpod-abc.scope");
  EXPECT_EQ(scope.path, "/user.slice/user-1000.slice/libpod-abc.scope");
  EXPECT_EQ(parse_scope("", "web", kSystem).path, "/system.slice/jigsaw-web.scope");
  EXPECT_EQ(parse_scope("::x", "web", kSystem).path, "/system.slice/x.scope");
  EXPECT_EQ(parse_scope("-.slice:a:b", "web", kSystem).path, "/a-b.scope");
  EXPECT_EQ(parse_scope("", "web", Scope::Keeper::kUser).slice, "user.slice");
}

TEST(Systemd, NamesThatAreNoUnitsAreRefused) {
  for (const char* path : {"a:b", "/a/b", "a.slice:b:c:d", "../x.slice:a:b", "a.slice:b/c:d", "a--b.slice:x:y", "a.slice:b:../c",
                           ".slice:a:b", "slice:a:b", "a.slice:b:c\n"}) {
    EXPECT_THROW(parse_scope(path, "id", kSystem), Error) << path;
  }
}

TEST(Systemd, LimitsAreProperties) {
  const Limits limits{.memory = {.limit = 1 << 20}, .cpu = {.shares = 1024, .quota = 150000, .period = 100000}, .pids = -1};
  EXPECT_THAT(scope_properties(limits, Version::kV2),
              ElementsAre("MemoryMax=t:1048576", "CPUWeight=t:100", "CPUQuotaPerSecUSec=t:1500000", "CPUQuotaPeriodUSec=t:100000",
                          "TasksMax=t:18446744073709551615"));
  EXPECT_THAT(scope_properties(limits, Version::kV1), ElementsAre("MemoryLimit=t:1048576", "CPUShares=t:1024",
                                                                  "CPUQuotaPerSecUSec=t:1500000", "TasksMax=t:18446744073709551615"));
}

TEST(Systemd, AnnotationsAreProperties) {
  EXPECT_THAT(annotated_properties({{"org.systemd.property.TimeoutStopSec", "uint64 5"},
                                    {"org.systemd.property.CollectMode", "'inactive-or-failed'"},
                                    {"other", "x"}}),
              ElementsAre("CollectMode=s:inactive-or-failed", "TimeoutStopUSec=t:5000000"));
  EXPECT_THROW(annotated_properties({{"org.systemd.property.../x", "1"}}), Error);
  EXPECT_THROW(annotated_properties({{"org.systemd.property.A", "nonsense here"}}), Error);
  for (const char* name : {"Slice", "PIDs", "Delegate", "DevicePolicy", "Slice=s:x", "A B", "A\nB", "", "SuccessAction", "FailureAction",
                           "StartLimitAction", "JobTimeoutAction", "RebootArgument", "JobTimeoutRebootArgument"}) {
    EXPECT_THROW(annotated_properties({{std::string("org.systemd.property.") + name, "'system.slice'"}}), Error) << name;
  }
}

}  // namespace
}  // namespace jigsaw::cgroups

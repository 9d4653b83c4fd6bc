#include "security/capabilities.h"

#include <gtest/gtest.h>
#include <sys/resource.h>

#include "base/error.h"
#include "security/rlimits.h"

namespace jigsaw::security {
namespace {

TEST(Capabilities, NamesAndNumbers) {
  EXPECT_EQ(capability_number("CAP_SYS_ADMIN"), 21);
  EXPECT_EQ(capability_number("net_raw"), 13);
  EXPECT_EQ(capability_number("CAP_NONSENSE"), std::nullopt);
  EXPECT_EQ(capability_name(40), "CAP_CHECKPOINT_RESTORE");
}

TEST(Capabilities, AddAndDropChangeTheDefault) {
  const CapabilitySet set = adjust(default_capabilities(), {"SYS_TIME"}, {"ALL"});
  EXPECT_EQ(set, parse_capabilities({"SYS_TIME"}));
  EXPECT_THROW(adjust(0, {"SYS_TIM"}, {}), Error);
}

TEST(Capabilities, AUserWithoutRootHasOnlyABoundingSet) {
  const Capabilities capabilities = for_user(default_capabilities(), 1000);
  EXPECT_EQ(capabilities.bounding, default_capabilities());
  EXPECT_EQ(capabilities.permitted | capabilities.effective | capabilities.inheritable | capabilities.ambient, 0U);
}

TEST(Rlimits, UlimitWords) {
  const Rlimit limit = parse_ulimit("nofile=10:20");
  EXPECT_EQ(limit.resource, RLIMIT_NOFILE);
  EXPECT_EQ(limit.soft, 10U);
  EXPECT_EQ(limit.hard, 20U);
  EXPECT_EQ(parse_ulimit("core=-1").hard, UINT64_MAX);
  for (const char* text : {"nofile", "nofile=", "nofile=2:1", "files=1", "nofile=1:2:3", "nofile=x"}) {
    EXPECT_THROW(parse_ulimit(text), Error) << text;
  }
}

}  // namespace
}  // namespace jigsaw::security

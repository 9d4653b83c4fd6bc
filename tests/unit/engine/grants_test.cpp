#include "engine/grants.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "base/error.h"

namespace jigsaw::engine {
namespace {

using ::testing::HasSubstr;

std::string error_of(const std::function<void()>& call) {
  try {
    call();
  } catch (const Error& error) {
    return error.message();
  }
  return "none";
}

TEST(Devices, AreReadAsDockerReadsThem) {
  const auto plain = parse_device("/dev/null");
  ASSERT_EQ(plain.size(), 1U);
  EXPECT_EQ(plain[0].device.path, "/dev/null");
  EXPECT_EQ(plain[0].device.type, 'c');
  EXPECT_EQ(plain[0].device.major, 1U);
  EXPECT_EQ(plain[0].device.minor, 3U);
  EXPECT_EQ(plain[0].rule.access, "rwm");
  EXPECT_EQ(plain[0].rule.answer, cgroups::DeviceRule::Answer::kAllow);
  EXPECT_EQ(parse_device("/dev/null:/dev/hole")[0].device.path, "/dev/hole");
  EXPECT_EQ(parse_device("/dev/null:/dev/../hole:r")[0].device.path, "/hole");
  EXPECT_EQ(parse_device("/dev/null:/hole:r")[0].rule.access, "r");
  EXPECT_EQ(parse_device("/dev/null:rw")[0].rule.access, "rw");
  for (const GrantedDevice& each : parse_device("/dev/:/all/")) {
    EXPECT_EQ(each.device.path, "/all" + each.device.source.substr(4));
    EXPECT_NE(each.device.source, "/dev/console");
    EXPECT_FALSE(each.device.source.starts_with("/dev/pts/")) << "another file system";
  }
}

TEST(Devices, ThatAreNoneAreRefused) {
  for (const char* text : {"", "null", "/dev/null:hole", "/dev/null:/hole:", "/dev/null:/hole:x", "/dev/null:/a:/b", "/dev/null:/a:rw:m"}) {
    EXPECT_THAT(error_of([&] { parse_device(text); }), HasSubstr("is no device of the host")) << text;
  }
  EXPECT_THAT(error_of([] { parse_device("/no/such/device"); }), HasSubstr("does not exist"));
  EXPECT_THAT(error_of([] { parse_device("/etc/passwd"); }), HasSubstr("is no device, and no directory with one"));
  EXPECT_THAT(error_of([] { parse_device("/etc"); }), HasSubstr("is no device, and no directory with one"));
}

TEST(Hosts, AreLinesWithTheAddressFirst) {
  EXPECT_EQ(parse_host("db:10.0.0.7"), "10.0.0.7\tdb\n");
  EXPECT_EQ(parse_host("db=10.0.0.7"), "10.0.0.7\tdb\n");
  EXPECT_EQ(parse_host("db.example:fd00::7"), "fd00::7\tdb.example\n");
  EXPECT_EQ(parse_host("db:[fd00::7]"), "fd00::7\tdb\n");
  for (const char* text : {"", "db", "db:", ":10.0.0.7", "db:10.0.0", "db:10.0.0.7 evil", "d b:10.0.0.7", "db\n1.1.1.1 x:10.0.0.7"}) {
    EXPECT_NE(error_of([&] { parse_host(text); }), "none") << text;
  }
  EXPECT_THAT(error_of([] { parse_host("db:host-gateway"); }), HasSubstr("no gateway"));
}

}  // namespace
}  // namespace jigsaw::engine

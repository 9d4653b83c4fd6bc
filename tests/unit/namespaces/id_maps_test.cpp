#include "namespaces/id_maps.h"

#include <gtest/gtest.h>
#include <sched.h>

#include "base/error.h"
#include "namespaces/enter.h"
#include "namespaces/sets.h"

namespace jigsaw::namespaces {
namespace {

TEST(Sets, ParseOurWordsAndOcisWords) {
  EXPECT_EQ(parse("pid,net"), uint64_t{CLONE_NEWPID | CLONE_NEWNET});
  EXPECT_EQ(parse("mount, network"), uint64_t{CLONE_NEWNS | CLONE_NEWNET});
  EXPECT_EQ(parse("none"), 0U);
  EXPECT_EQ(names(parse("all")), "user,cgroup,ipc,uts,net,pid,time,mnt");
}

TEST(Sets, UnknownWordsAreRefusedWithAGuess) {
  try {
    parse("pid,nett");
    FAIL();
  } catch (const Error& error) {
    EXPECT_EQ(error.message(), "unknown namespace \"nett\", did you mean 'net'?");
  }
}

TEST(IdMaps, SubordinateIdsAreFoundByNameOrNumberAndBrokenLinesSkipped) {
  const std::string file = "ann:100000:65536\nbob:1:2\n1000:200000:10\nann:x:3\nann:4294967295:5\nann:5\n";
  const auto ranges = subordinate_ids(file, "ann", 1000);
  ASSERT_EQ(ranges.size(), 2U);
  EXPECT_EQ(ranges[0], (IdRange{0, 100000, 65536}));
  EXPECT_EQ(ranges[1], (IdRange{0, 200000, 10}));
}

TEST(IdMaps, TranslatesInsideToOutside) {
  const std::vector<IdRange> ranges = {{0, 1000, 1}, {1, 100000, 10}};
  EXPECT_EQ(to_outside(ranges, 0), 1000U);
  EXPECT_EQ(to_outside(ranges, 10), 100009U);
  EXPECT_EQ(to_outside(ranges, 11), std::nullopt);
}

TEST(IdMaps, OverlapsEmptyRangesAndOverflowsAreRefused) {
  EXPECT_THROW(check_ranges({{0, 0, 0}}, "uids"), Error);
  EXPECT_THROW(check_ranges({{0, 0, 10}, {5, 100, 10}}, "uids"), Error);
  EXPECT_THROW(check_ranges({{0, 100, 10}, {20, 105, 10}}, "uids"), Error);
  EXPECT_THROW(check_ranges({{4294967290, 0, 10}}, "uids"), Error);
  EXPECT_NO_THROW(check_ranges({{0, 1000, 1}, {1, 100000, 65536}}, "uids"));
  std::vector<IdRange> many;
  for (uint32_t i = 0; i < 340; ++i) {
    many.push_back({i, 100'000 + 2 * i, 1});
  }
  EXPECT_NO_THROW(check_ranges(many, "uids"));
  many.push_back({340, 1, 1});
  EXPECT_THROW(check_ranges(many, "uids"), Error);
}

TEST(Enter, AFileThatIsNoNamespaceOrAnotherKindIsRefused) {
  EXPECT_THROW(open(*find("net"), "/dev/null"), Error);
  EXPECT_THROW(open(*find("net"), "/proc/self/ns/uts"), Error);
  EXPECT_NO_THROW(open(*find("net"), "/proc/self/ns/net"));
}

}  // namespace
}  // namespace jigsaw::namespaces

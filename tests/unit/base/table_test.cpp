#include "base/table.h"

#include <gtest/gtest.h>

namespace jigsaw {
namespace {

TEST(Table, ColumnsAreAsWideAsTheirWidestCell) {
  Table table({"ID", "NAME", "STATUS"});
  table.add({"1", "grüße", ""});
  table.add({"4711", "a\nb", "up"});
  EXPECT_EQ(table.text(),
            "ID     NAME    STATUS\n"
            "1      grüße\n"
            "4711   a?b     up\n");
}

}  // namespace
}  // namespace jigsaw

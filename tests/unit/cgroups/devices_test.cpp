// The device program, run by a small interpreter: what it answers, rule by rule, without any privilege.
#include <gtest/gtest.h>

#include "base/error.h"
#include "cgroups/devices.h"

namespace jigsaw::cgroups {
namespace {

struct Question {
  uint32_t kind;
  uint32_t access;
  uint32_t major;
  uint32_t minor;
};

// Runs the few instructions that device_program() uses.
int ask(const std::vector<bpf_insn>& program, const Question& question) {
  const uint32_t context[] = {(question.access << 16U) | question.kind, question.major, question.minor};
  uint64_t r[11] = {};
  for (size_t at = 0; at < program.size(); ++at) {
    const bpf_insn& i = program[at];
    const uint64_t right = BPF_SRC(i.code) == BPF_X ? r[i.src_reg] : static_cast<uint64_t>(static_cast<int64_t>(i.imm));
    switch (BPF_CLASS(i.code)) {
      case BPF_LDX: r[i.dst_reg] = context[i.off / 4]; break;
      case BPF_ALU:
      case BPF_ALU64:
        switch (BPF_OP(i.code)) {
          case BPF_MOV: r[i.dst_reg] = right; break;
          case BPF_AND: r[i.dst_reg] &= right; break;
          case BPF_RSH: r[i.dst_reg] = static_cast<uint32_t>(r[i.dst_reg]) >> right; break;
          default: throw Error("an instruction that the interpreter lacks");
        }
        if (BPF_CLASS(i.code) == BPF_ALU) {
          r[i.dst_reg] = static_cast<uint32_t>(r[i.dst_reg]);
        }
        break;
      case BPF_JMP:
        if (BPF_OP(i.code) == BPF_EXIT) {
          return static_cast<int>(r[0]);
        }
        if (BPF_OP(i.code) == BPF_JNE ? r[i.dst_reg] != right : r[i.dst_reg] == right) {
          at += static_cast<size_t>(i.off);
        }
        break;
      default: throw Error("an instruction that the interpreter lacks");
    }
  }
  throw Error("the program runs off its end");
}

constexpr auto kAllow = DeviceRule::Answer::kAllow;
constexpr auto kDeny = DeviceRule::Answer::kDeny;
constexpr auto kChar = DeviceRule::Kind::kCharacter;
constexpr auto kBlock = DeviceRule::Kind::kBlock;
constexpr uint32_t kRead = BPF_DEVCG_ACC_READ;
constexpr uint32_t kWrite = BPF_DEVCG_ACC_WRITE;
constexpr uint32_t kMknod = BPF_DEVCG_ACC_MKNOD;

TEST(DeviceProgram, WithoutRulesAllIsAllowed) {
  EXPECT_EQ(ask(device_program({}), {BPF_DEVCG_DEV_CHAR, kRead | kWrite, 1, 3}), 1);
}

TEST(DeviceProgram, LaterRulesOverrideEarlierOnes) {
  const std::vector<DeviceRule> rules = {{kDeny}, {kAllow, kChar, 1, 3, "rwm"}, {kAllow, kBlock, 8, {}, "r"}};
  const auto program = device_program(rules);
  EXPECT_EQ(ask(program, {BPF_DEVCG_DEV_CHAR, kRead | kWrite, 1, 3}), 1);
  EXPECT_EQ(ask(program, {BPF_DEVCG_DEV_CHAR, kRead, 1, 5}), 0);
  EXPECT_EQ(ask(program, {BPF_DEVCG_DEV_BLOCK, kRead, 1, 3}), 0);
  EXPECT_EQ(ask(program, {BPF_DEVCG_DEV_BLOCK, kRead, 8, 17}), 1);
  EXPECT_EQ(ask(program, {BPF_DEVCG_DEV_BLOCK, kRead | kWrite, 8, 17}), 0);
}

TEST(DeviceProgram, EachAccessIsDecidedByTheLastRuleThatNamesIt) {
  const std::vector<DeviceRule> rules = {{kDeny}, {kAllow, kChar, 1, 3, "r"}, {kAllow, kChar, 1, 3, "w"}};
  EXPECT_EQ(ask(device_program(rules), {BPF_DEVCG_DEV_CHAR, kRead | kWrite, 1, 3}), 1);
  EXPECT_EQ(ask(device_program(rules), {BPF_DEVCG_DEV_CHAR, kRead | kMknod, 1, 3}), 0);
  const std::vector<DeviceRule> partly = {{kDeny, kChar, 1, 3, "w"}};
  EXPECT_EQ(ask(device_program(partly), {BPF_DEVCG_DEV_CHAR, kRead, 1, 3}), 1);
  EXPECT_EQ(ask(device_program(partly), {BPF_DEVCG_DEV_CHAR, kRead | kWrite, 1, 3}), 0);
}

TEST(DeviceProgram, LinesForV1) {
  EXPECT_EQ(device_line({kAllow, kChar, 1, 3, "rwm"}), "c 1:3 rwm");
  EXPECT_EQ(device_line({kAllow, kBlock, 8, -1, "r"}), "b 8:* r");
  EXPECT_EQ(device_line({}), "a *:* rwm");
}

}  // namespace
}  // namespace jigsaw::cgroups

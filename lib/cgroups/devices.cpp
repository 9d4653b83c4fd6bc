#include "cgroups/devices.h"

#include <sys/syscall.h>
#include <unistd.h>

#include <cstring>

#include "base/error.h"
#include "base/explain.h"
#include "base/fd.h"

namespace jigsaw::cgroups {
namespace {

// Registers: r1 is the context at entry; afterwards
//   r2 kind (BPF_DEVCG_DEV_*)   r3 access asked for (BPF_DEVCG_ACC_*), less what was allowed on the way
//   r4 major   r5 minor   r1 scratch   r0 the answer
constexpr __u8 kKind = BPF_REG_2;
constexpr __u8 kAccess = BPF_REG_3;
constexpr __u8 kMajor = BPF_REG_4;
constexpr __u8 kMinor = BPF_REG_5;

bpf_insn instruction(int code, __u8 destination, __u8 source, __s16 offset, __s32 immediate) {
  bpf_insn result{};
  result.code = static_cast<__u8>(code);
  result.dst_reg = destination & 0xf;
  result.src_reg = source & 0xf;
  result.off = offset;
  result.imm = immediate;
  return result;
}

bpf_insn load(__u8 destination, size_t offset) {
  return instruction(BPF_LDX | BPF_MEM | BPF_W, destination, BPF_REG_1, static_cast<__s16>(offset), 0);
}
bpf_insn arithmetic(int operation, __u8 destination, __s32 immediate) {
  return instruction(BPF_ALU | operation | BPF_K, destination, 0, 0, immediate);
}
bpf_insn copy(__u8 destination, __u8 source) {
  return instruction(BPF_ALU | BPF_MOV | BPF_X, destination, source, 0, 0);
}
bpf_insn jump(int condition, __u8 left, __s32 immediate) {
  return instruction(BPF_JMP | condition | BPF_K, left, 0, 0, immediate);
}

void answer(std::vector<bpf_insn>& program, int value) {
  program.push_back(instruction(BPF_ALU64 | BPF_MOV | BPF_K, BPF_REG_0, 0, 0, value));
  program.push_back(instruction(BPF_JMP | BPF_EXIT, 0, 0, 0, 0));
}

__s32 access_bits(const std::string& access) {
  __s32 bits = 0;
  for (const char letter : access) {
    bits |= letter == 'r' ? BPF_DEVCG_ACC_READ : letter == 'w' ? BPF_DEVCG_ACC_WRITE : BPF_DEVCG_ACC_MKNOD;
  }
  return bits;
}

// One rule: a test for each thing that it names, each jumping to the next rule if it is another.
void add_rule(std::vector<bpf_insn>& program, const DeviceRule& rule) {
  const size_t begin = program.size();
  if (rule.kind != DeviceRule::Kind::kAll) {
    program.push_back(jump(BPF_JNE, kKind, rule.kind == DeviceRule::Kind::kBlock ? BPF_DEVCG_DEV_BLOCK : BPF_DEVCG_DEV_CHAR));
  }
  if (rule.major && *rule.major >= 0) {
    program.push_back(jump(BPF_JNE, kMajor, static_cast<__s32>(*rule.major)));
  }
  if (rule.minor && *rule.minor >= 0) {
    program.push_back(jump(BPF_JNE, kMinor, static_cast<__s32>(*rule.minor)));
  }
  const size_t tests = program.size();
  const __s32 bits = access_bits(rule.access);
  if (rule.answer == DeviceRule::Answer::kAllow) {
    program.push_back(arithmetic(BPF_AND, kAccess, ~bits));
    program.push_back(jump(BPF_JNE, kAccess, 0));
    program.back().off = 2;  // something is still asked for that earlier rules must allow
    answer(program, 1);
  } else {
    program.push_back(copy(BPF_REG_1, kAccess));
    program.push_back(arithmetic(BPF_AND, BPF_REG_1, bits));
    program.push_back(jump(BPF_JEQ, BPF_REG_1, 0));
    program.back().off = 2;
    answer(program, 0);
  }
  for (size_t at = begin; at < tests; ++at) {
    program[at].off = static_cast<__s16>(program.size() - at - 1);
  }
}

long bpf(int command, bpf_attr& attributes, const char* name, std::string_view shown, std::string_view why) {
  const long rc = ::syscall(SYS_bpf, command, &attributes, sizeof attributes);
  explain::tell(rc, why, [&] { return explain::Call{"bpf", fmt::format("{}, {}", name, shown), ""}; });
  return rc;
}

Fd load_program(std::span<const bpf_insn> program) {
  static constexpr char kLicense[] = "Apache-2.0";
  bpf_attr attributes{};
  attributes.prog_type = BPF_PROG_TYPE_CGROUP_DEVICE;
  attributes.insns = reinterpret_cast<uintptr_t>(program.data());
  attributes.insn_cnt = static_cast<__u32>(program.size());
  attributes.license = reinterpret_cast<uintptr_t>(kLicense);
  std::memcpy(attributes.prog_name, "jigsaw_devices", sizeof "jigsaw_devices");
  const long fd = bpf(BPF_PROG_LOAD, attributes, "BPF_PROG_LOAD", fmt::format("{} instructions", program.size()),
                      "cgroup v2 asks a program about each device file that is opened or made");
  if (fd < 0) {
    throw system_error(errno, "load the program that decides about devices")
        .with_hint(errno == EPERM ? "it takes CAP_BPF or root, and is not possible in a user namespace" : "");
  }
  return Fd(static_cast<int>(fd));
}

// The programs that are on the cgroup itself, by descriptor.
std::vector<Fd> attached_programs(int directory, std::string_view shown) {
  __u32 ids[64] = {};
  bpf_attr query{};
  query.query.target_fd = static_cast<__u32>(directory);
  query.query.attach_type = BPF_CGROUP_DEVICE;
  query.query.prog_ids = reinterpret_cast<uintptr_t>(ids);
  query.query.prog_cnt = std::size(ids);
  std::vector<Fd> result;
  if (bpf(BPF_PROG_QUERY, query, "BPF_PROG_QUERY", shown, "is there a program on it already?") < 0) {
    return result;
  }
  for (__u32 at = 0; at < query.query.prog_cnt; ++at) {
    bpf_attr by_id{};
    by_id.prog_id = ids[at];
    const long fd = bpf(BPF_PROG_GET_FD_BY_ID, by_id, "BPF_PROG_GET_FD_BY_ID", fmt::format("{}", ids[at]), "");
    if (fd >= 0) {
      result.emplace_back(static_cast<int>(fd));
    }
  }
  return result;
}

}  // namespace

std::string device_line(const DeviceRule& rule) {
  const auto number = [](const std::optional<int64_t>& value) {
    return value && *value >= 0 ? fmt::format("{}", *value) : std::string("*");
  };
  return fmt::format("{} {}:{} {}", static_cast<char>(rule.kind), number(rule.major), number(rule.minor), rule.access);
}

std::vector<bpf_insn> device_program(std::span<const DeviceRule> rules) {
  std::vector<bpf_insn> program = {
      load(kKind, offsetof(bpf_cgroup_dev_ctx, access_type)),
      copy(kAccess, kKind),
      arithmetic(BPF_AND, kKind, 0xffff),
      arithmetic(BPF_RSH, kAccess, 16),
      load(kMajor, offsetof(bpf_cgroup_dev_ctx, major)),
      load(kMinor, offsetof(bpf_cgroup_dev_ctx, minor)),
  };
  for (size_t at = rules.size(); at > 0; --at) {
    add_rule(program, rules[at - 1]);
  }
  answer(program, 1);
  return program;
}

void attach_device_program(int directory, std::span<const bpf_insn> program, std::string_view shown) {
  const Fd loaded = load_program(program);
  const std::vector<Fd> former = attached_programs(directory, shown);
  bpf_attr attach{};
  attach.target_fd = static_cast<__u32>(directory);
  attach.attach_bpf_fd = static_cast<__u32>(loaded.get());
  attach.attach_type = BPF_CGROUP_DEVICE;
  attach.attach_flags = BPF_F_ALLOW_MULTI;
  if (former.size() == 1) {  // in one step, so that there is no moment without a program
    attach.attach_flags |= BPF_F_REPLACE;
    attach.replace_bpf_fd = static_cast<__u32>(former.front().get());
  }
  if (bpf(BPF_PROG_ATTACH, attach, "BPF_PROG_ATTACH, BPF_CGROUP_DEVICE", shown, "the devices it may use") < 0) {
    throw system_error(errno, fmt::format("attach the program that decides about devices to {}", shown))
        .with_hint(errno == EPERM ? "it takes CAP_BPF and CAP_NET_ADMIN, or a cgroup above it has a program that allows no others" : "");
  }
  for (const Fd& old : former) {
    if (former.size() > 1) {
      bpf_attr detach{};
      detach.target_fd = static_cast<__u32>(directory);
      detach.attach_bpf_fd = static_cast<__u32>(old.get());
      detach.attach_type = BPF_CGROUP_DEVICE;
      bpf(BPF_PROG_DETACH, detach, "BPF_PROG_DETACH", shown, "the former program is replaced");
    }
  }
}

}  // namespace jigsaw::cgroups

#include "security/seccomp_ranges.h"

#include <linux/seccomp.h>

#include <cstddef>
#include <cstdint>
#include <iterator>
#include <map>
#include <optional>
#include <set>

namespace jigsaw::security {
namespace {

using Program = std::span<const sock_filter>;

constexpr uint32_t kNumber = offsetof(seccomp_data, nr);
constexpr uint32_t kArchitecture = offsetof(seccomp_data, arch);
constexpr size_t kFarthest = 255;  // instructions that a conditional jump can pass over

bool is_load(const sock_filter& each) { return each.code == (BPF_LD | BPF_W | BPF_ABS); }
bool is_return(const sock_filter& each) { return each.code == (BPF_RET | BPF_K); }
bool is_jump(const sock_filter& each) { return each.code == (BPF_JMP | BPF_JA); }
bool is_comparison(const sock_filter& each) {
  return each.code == (BPF_JMP | BPF_JEQ | BPF_K) || each.code == (BPF_JMP | BPF_JGE | BPF_K) || each.code == (BPF_JMP | BPF_JGT | BPF_K);
}

bool holds(const sock_filter& comparison, uint32_t value) {
  switch (BPF_OP(comparison.code)) {
    case BPF_JEQ:
      return value == comparison.k;
    case BPF_JGE:
      return value >= comparison.k;
    default:
      return value > comparison.k;
  }
}

// The places that instruction `at` can go on to.
std::vector<size_t> successors(Program program, size_t at) {
  const sock_filter& each = program[at];
  if (is_return(each)) {
    return {};
  }
  if (is_jump(each)) {
    return {at + 1 + each.k};
  }
  return BPF_CLASS(each.code) == BPF_JMP ? std::vector<size_t>{at + 1 + each.jt, at + 1 + each.jf} : std::vector<size_t>{at + 1};
}

// What a filter says to one system call: a constant, or that it looks at the arguments, from this instruction on.
struct Outcome {
  bool constant;
  uint64_t value;  // the constant, or the instruction's index
  bool operator==(const Outcome&) const = default;
};

// Nothing if the filter does something with the number or the architecture that is no plain comparison.
std::optional<Outcome> follow(Program program, uint32_t architecture, uint32_t number) {
  uint32_t loaded = 0;
  for (size_t at = 0; at < program.size();) {
    const sock_filter& each = program[at];
    if (is_return(each)) {
      return Outcome{true, each.k};
    }
    if (is_load(each) && each.k != kNumber && each.k != kArchitecture) {
      return Outcome{false, at};
    }
    if (is_load(each)) {
      loaded = each.k == kNumber ? number : architecture;
      ++at;
    } else if (is_jump(each)) {
      at += 1 + each.k;
    } else if (is_comparison(each)) {
      at += 1U + (holds(each, loaded) ? each.jt : each.jf);
    } else {
      return std::nullopt;
    }
  }
  return std::nullopt;
}

// What numbers and architectures are compared with. Between two neighbours of `numbers` the outcome can't change.
struct Borders {
  std::set<uint32_t> numbers = {0};
  std::set<uint32_t> architectures;
};

// Nothing if architectures are compared otherwise than for equality.
std::optional<Borders> find_borders(Program program) {
  // What the accumulator may hold when an instruction is reached: bits for the number, the architecture, and else.
  enum : unsigned { kHoldsNumber = 1, kHoldsArchitecture = 2, kHoldsElse = 4 };
  std::vector<unsigned> held(program.size() + 1, 0);
  held[0] = kHoldsElse;
  Borders borders;
  for (size_t at = 0; at < program.size(); ++at) {  // jumps go forward only
    const sock_filter& each = program[at];
    unsigned after = held[at];
    if (is_load(each)) {
      after = each.k == kNumber ? kHoldsNumber : each.k == kArchitecture ? kHoldsArchitecture : kHoldsElse;
    } else if (is_comparison(each)) {
      if ((after & kHoldsNumber) != 0) {
        borders.numbers.insert(each.k);
        borders.numbers.insert(each.k + (each.k < UINT32_MAX ? 1U : 0U));
      }
      if ((after & kHoldsArchitecture) != 0 && BPF_OP(each.code) != BPF_JEQ) {
        return std::nullopt;
      }
      if ((after & kHoldsArchitecture) != 0) {
        borders.architectures.insert(each.k);
      }
    }
    for (const size_t next : successors(program, at)) {
      if (next >= program.size()) {
        return std::nullopt;
      }
      held[next] |= after;
    }
  }
  return borders;
}

struct Range {
  uint32_t first;
  Outcome outcome;
};

std::optional<std::vector<Range>> ranges_of(Program program, uint32_t architecture, const std::set<uint32_t>& borders) {
  std::vector<Range> ranges;
  for (const uint32_t first : borders) {
    const auto outcome = follow(program, architecture, first);
    if (!outcome) {
      return std::nullopt;
    }
    if (ranges.empty() || ranges.back().outcome != *outcome) {
      ranges.push_back({first, *outcome});
    }
  }
  return ranges;
}

// The instructions that can be reached from `start`, which stay as they are.
std::vector<sock_filter> tail(Program program, size_t start) {
  std::set<size_t> reached = {start};
  for (auto at = reached.begin(); at != reached.end(); ++at) {
    for (const size_t next : successors(program, *at)) {
      reached.insert(next);
    }
  }
  const auto between = [&](size_t from, size_t to) { return std::distance(reached.find(from), reached.find(to)) - 1; };
  std::vector<sock_filter> code;
  for (const size_t at : reached) {
    sock_filter each = program[at];
    if (is_jump(each)) {
      each.k = static_cast<uint32_t>(between(at, at + 1 + each.k));
    } else if (BPF_CLASS(each.code) == BPF_JMP) {
      each.jt = static_cast<uint8_t>(between(at, at + 1 + each.jt));
      each.jf = static_cast<uint8_t>(between(at, at + 1 + each.jf));
    }
    code.push_back(each);
  }
  return code;
}

// Writes a program from its end to its beginning, since jumps go forward only: where one leads to is written before it.
class Writer {
 public:
  explicit Writer(Program original) : original_(original) {}

  // Each gives the place where what it wrote begins, counted from the program's end.
  size_t search_tree(std::span<const Range> ranges) {
    if (ranges.size() == 1) {
      return leaf(ranges.front().outcome);
    }
    const size_t half = ranges.size() / 2;
    const size_t above = search_tree(ranges.subspan(half));
    const size_t below = search_tree(ranges.first(half));
    return branch({BPF_JMP | BPF_JGE | BPF_K, 0, 0, ranges[half].first}, above, below);
  }
  size_t branch(sock_filter comparison, size_t if_holds, size_t else_) {
    const size_t first = near(if_holds);
    const size_t second = near(else_);
    comparison.jt = static_cast<uint8_t>(over(first));
    comparison.jf = static_cast<uint8_t>(over(second));
    return write(comparison);
  }
  size_t load(uint32_t what, size_t then) {
    if (over(then) != 0) {
      then = jump(then);
    }
    return write({BPF_LD | BPF_W | BPF_ABS, 0, 0, what});
  }
  std::vector<sock_filter> finish() { return {code_.rbegin(), code_.rend()}; }

 private:
  size_t write(sock_filter each) {
    code_.push_back(each);
    return code_.size() - 1;
  }
  // How many instructions the next one would have to pass over.
  size_t over(size_t place) const { return code_.size() - place - 1; }
  size_t jump(size_t place) { return write({BPF_JMP | BPF_JA, 0, 0, static_cast<uint32_t>(over(place))}); }
  size_t near(size_t place) { return over(place) < kFarthest ? place : jump(place); }  // a second jump() may still come between

  size_t leaf(const Outcome& outcome) {
    const auto known = leaves_.find({outcome.constant, outcome.value});
    if (known != leaves_.end() && over(known->second) < kFarthest) {
      return known->second;
    }
    size_t place = 0;
    if (outcome.constant) {
      place = write({BPF_RET | BPF_K, 0, 0, static_cast<uint32_t>(outcome.value)});
    } else {
      const std::vector<sock_filter> code = tail(original_, outcome.value);
      for (auto each = code.rbegin(); each != code.rend(); ++each) {
        place = write(*each);
      }
    }
    return leaves_[{outcome.constant, outcome.value}] = place;
  }

  Program original_;
  std::vector<sock_filter> code_;
  std::map<std::pair<bool, uint64_t>, size_t> leaves_;  // those that were written last
};

uint32_t none_of(const std::set<uint32_t>& values) {
  uint32_t other = 0;
  while (values.count(other) != 0) {
    ++other;
  }
  return other;
}

}  // namespace

std::vector<sock_filter> as_ranges(std::span<const sock_filter> program) {
  const std::vector<sock_filter> unchanged(program.begin(), program.end());
  const auto borders = find_borders(program);
  const auto others = borders ? ranges_of(program, none_of(borders->architectures), borders->numbers) : std::nullopt;
  if (!others) {
    return unchanged;
  }
  Writer writer(program);
  const auto for_numbers = [&](const std::vector<Range>& ranges) {
    const size_t tree = writer.search_tree(ranges);
    return ranges.size() == 1 ? tree : writer.load(kNumber, tree);
  };
  size_t entry = for_numbers(*others);
  for (const uint32_t architecture : borders->architectures) {
    const auto ranges = ranges_of(program, architecture, borders->numbers);
    if (!ranges) {
      return unchanged;
    }
    const size_t its_own = for_numbers(*ranges);
    entry = writer.branch({BPF_JMP | BPF_JEQ | BPF_K, 0, 0, architecture}, its_own, entry);
  }
  writer.load(kArchitecture, entry);
  std::vector<sock_filter> code = writer.finish();
  return code.size() < program.size() ? code : unchanged;
}

}  // namespace jigsaw::security

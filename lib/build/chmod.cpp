#include "build/chmod.h"

#include <sys/stat.h>

#include <algorithm>

#include "base/error.h"
#include "base/text.h"

namespace jigsaw::build {
namespace {

constexpr mode_t kAll = 0777;
constexpr mode_t kRead = 0444;
constexpr mode_t kWrite = 0222;
constexpr mode_t kExecute = 0111;

Error bad_mode(std::string_view text) {
  return Error(fmt::format("invalid chmod parameter: {}", text::quoted(text)),
               "give octal digits from 0 to 07777, such as 755, or changes such as u+x,go-w");
}

mode_t who_of(char c) {
  switch (c) {
    case 'u': return S_ISUID | S_IRWXU;
    case 'g': return S_ISGID | S_IRWXG;
    case 'o': return S_IRWXO;
    case 'a': return S_ISUID | S_ISGID | kAll;
    default: return 0;
  }
}

// The three bits of one class, spread over all of them.
mode_t spread(mode_t mode, char from) {
  const mode_t three = (from == 'u' ? mode >> 6 : from == 'g' ? mode >> 3 : mode) & 07;
  return three << 6 | three << 3 | three;
}

}  // namespace

ModeChange ModeChange::parse(std::string_view text) {
  ModeChange change;
  if (text.empty()) {
    throw bad_mode(text);
  }
  if (text[0] >= '0' && text[0] <= '9') {
    mode_t mode = 0;
    for (const char digit : text) {
      if (digit < '0' || digit > '7' || mode > 07777) {
        throw bad_mode(text);
      }
      mode = mode << 3 | static_cast<mode_t>(digit - '0');
    }
    if (mode > 07777) {
      throw bad_mode(text);
    }
    change.absolute_ = mode;
    return change;
  }
  for (const std::string_view part : text::split(text, ',')) {
    size_t at = 0;
    mode_t who = 0;
    while (at < part.size() && who_of(part[at]) != 0) {
      who |= who_of(part[at++]);
    }
    if (at == part.size()) {
      throw bad_mode(text);
    }
    while (at < part.size()) {
      Clause clause{.who = who == 0 ? who_of('a') | S_ISVTX : who, .action = part[at++]};
      if (clause.action != '+' && clause.action != '-' && clause.action != '=') {
        throw bad_mode(text);
      }
      for (; at < part.size() && part[at] != '+' && part[at] != '-' && part[at] != '='; ++at) {
        const char c = part[at];
        switch (c) {
          case 'r': clause.bits |= kRead; break;
          case 'w': clause.bits |= kWrite; break;
          case 'x': clause.bits |= kExecute; break;
          case 'X': (clause.action == '-' ? clause.bits |= kExecute : clause.execute_if = true); break;
          case 's': clause.bits |= S_ISUID | S_ISGID; break;
          case 't':
            clause.bits |= S_ISVTX;
            clause.who |= (who == 0 || (who & ~static_cast<mode_t>(S_IRWXO)) != 0) ? S_ISVTX : 0;
            break;
          case 'u': case 'g': case 'o': clause.copy_from = c; break;
          default: throw bad_mode(text);
        }
      }
      change.clauses_.push_back(clause);
    }
  }
  return change;
}

mode_t ModeChange::apply(mode_t mode) const {
  const mode_t before = mode & 07777;
  if (absolute_) {
    return *absolute_;
  }
  mode_t now = before;
  for (const Clause& clause : clauses_) {
    mode_t bits = clause.bits;
    if (clause.copy_from != 0) {
      bits |= spread(now, clause.copy_from);
    }
    if (clause.execute_if && ((before & kExecute) != 0 || S_ISDIR(mode))) {
      bits |= kExecute;
    }
    bits &= clause.who;
    now = clause.action == '+' ? now | bits : clause.action == '-' ? now & ~bits : (now & ~clause.who) | bits;
  }
  return now;
}

}  // namespace jigsaw::build

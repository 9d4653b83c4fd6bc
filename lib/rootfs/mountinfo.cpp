#include "rootfs/mountinfo.h"

#include "base/error.h"
#include "base/files.h"
#include "base/text.h"

namespace jigsaw::rootfs {
namespace {

// The kernel writes blank, tab, newline and backslash as \040 and the like.
std::string unescape(std::string_view text) {
  std::string result;
  for (size_t i = 0; i < text.size(); ++i) {
    const auto octal = [&](size_t at) { return at < text.size() && text[at] >= '0' && text[at] <= '7'; };
    if (text[i] == '\\' && octal(i + 1) && octal(i + 2) && octal(i + 3)) {
      result += static_cast<char>((text[i + 1] - '0') * 64 + (text[i + 2] - '0') * 8 + (text[i + 3] - '0'));
      i += 3;
    } else {
      result += text[i];
    }
  }
  return result;
}

}  // namespace

std::vector<MountEntry> parse_mountinfo(std::string_view text) {
  std::vector<MountEntry> table;
  for (const std::string_view line : text::lines(text)) {
    // 36 35 98:0 /mnt1 /mnt2 rw,noatime master:1 - ext3 /dev/root rw,errors=continue
    const auto fields = text::words(line);
    size_t dash = 6;
    while (dash < fields.size() && fields[dash] != "-") {
      ++dash;
    }
    if (dash + 2 >= fields.size()) {
      continue;
    }
    MountEntry entry;
    entry.id = static_cast<int>(text::to_u64(fields[0]).value_or(0));
    entry.parent = static_cast<int>(text::to_u64(fields[1]).value_or(0));
    entry.root = unescape(fields[3]);
    entry.target = unescape(fields[4]);
    entry.options = fields[5];
    for (size_t i = 6; i < dash; ++i) {
      entry.propagation += fmt::format("{}{}", i == 6 ? "" : " ", fields[i]);
    }
    entry.type = fields[dash + 1];
    entry.source = unescape(fields[dash + 2]);
    entry.super_options = dash + 3 < fields.size() ? fields[dash + 3] : "";
    table.push_back(std::move(entry));
  }
  return table;
}

std::vector<MountEntry> mount_table(const std::string& process) {
  return parse_mountinfo(files::read(fmt::format("/proc/{}/mountinfo", process)));
}

}  // namespace jigsaw::rootfs

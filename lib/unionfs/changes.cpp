#include "unionfs/changes.h"

#include <fcntl.h>

#include <optional>

#include "base/error.h"
#include "base/files.h"
#include "base/text.h"

namespace jigsaw::unionfs {
namespace {

constexpr int kDirectory = O_RDONLY | O_DIRECTORY | O_NOFOLLOW;
constexpr size_t kMaxDepth = 1000;  // directories within one another, each held open once per layer

std::optional<struct stat> status_of(int directory, const std::string& name) {
  struct stat status {};
  if (::fstatat(directory, name.c_str(), &status, AT_SYMLINK_NOFOLLOW) != 0) {
    return std::nullopt;
  }
  return status;
}

// What the lowers show at a directory's entry, the top layer deciding.
bool shown_below(const std::vector<Fd>& lowers, const std::string& name) {
  for (const Fd& lower : lowers) {
    if (const auto status = status_of(lower.get(), name)) {
      return !is_whiteout(*status);
    }
  }
  return false;
}

class Walk {
 public:
  explicit Walk(Xattrs xattrs) : xattrs_(xattrs) {}

  void visit(int upper, const std::vector<Fd>& lowers, const std::string& path, size_t depth) {
    if (depth > kMaxDepth) {
      throw fail("{} is nested deeper than {} directories", path.substr(0, 200), kMaxDepth);
    }
    for (const std::string& name : files::list_fd(upper)) {
      const auto status = status_of(upper, name);
      if (!status) {
        continue;  // removed while we look
      }
      const std::string here = path + "/" + name;
      const bool existed = shown_below(lowers, name);
      if (is_whiteout(*status)) {
        found_.push_back({Change::Kind::kDeleted, here});
      } else if (S_ISDIR(status->st_mode)) {
        visit_directory(upper, lowers, name, here, existed, depth);
      } else {
        found_.push_back({existed ? Change::Kind::kModified : Change::Kind::kAdded, here});
      }
    }
  }

  std::vector<Change> found() && { return std::move(found_); }

 private:
  void visit_directory(int upper, const std::vector<Fd>& lowers, const std::string& name, const std::string& here,
                       bool existed, size_t depth) {
    const Fd directory = files::open_at(upper, name, kDirectory);
    const bool opaque = is_opaque(directory.get(), xattrs_);
    const Change::Kind changed = opaque ? Change::Kind::kReplaced : Change::Kind::kModified;
    found_.push_back({existed ? changed : Change::Kind::kAdded, here});
    visit(directory.get(), opaque ? std::vector<Fd>() : merged_below(lowers, name), here, depth + 1);
  }

  // The directories of the lowers that show through at `name`.
  std::vector<Fd> merged_below(const std::vector<Fd>& lowers, const std::string& name) const {
    std::vector<Fd> result;
    for (const Fd& lower : lowers) {
      const auto status = status_of(lower.get(), name);
      if (!status) {
        continue;
      }
      if (!S_ISDIR(status->st_mode)) {
        break;
      }
      result.push_back(files::open_at(lower.get(), name, kDirectory));
      if (is_opaque(result.back().get(), xattrs_)) {
        break;
      }
    }
    return result;
  }

  Xattrs xattrs_;
  std::vector<Change> found_;
};

}  // namespace

std::vector<Change> changes(const std::string& upper, const std::vector<std::string>& lowers, Xattrs xattrs) {
  const Fd top = files::open(upper, O_RDONLY | O_DIRECTORY);
  std::vector<Fd> below;
  for (const std::string& lower : lowers) {
    below.push_back(files::open(lower, O_RDONLY | O_DIRECTORY));
  }
  Walk walk(xattrs);
  walk.visit(top.get(), below, "", 0);
  return std::move(walk).found();
}

std::string listing(const std::vector<Change>& changes) {
  std::string result;
  for (const Change& change : changes) {
    result += fmt::format("{} {}\n", static_cast<char>(change.kind), text::printable_line(change.path));
  }
  return result;
}

}  // namespace jigsaw::unionfs

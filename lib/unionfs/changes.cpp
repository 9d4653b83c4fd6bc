#include "unionfs/changes.h"

#include <fcntl.h>

#include <optional>

#include "base/error.h"
#include "base/files.h"
#include "base/text.h"

namespace jigsaw::unionfs {
namespace {

constexpr int kDirectory = O_RDONLY | O_DIRECTORY | O_NOFOLLOW;
constexpr size_t kMaxDepth = 1000;  // directories within one another, each of the upper's held open

// Layers are asked by paths from their roots: with hundreds of them, descriptors for each directory on the way down would
// be more than a process may have. Only paths whose directories were seen to be directories are asked for.
using Lowers = std::vector<int>;

std::optional<struct stat> status_of(int directory, const std::string& path) {
  struct stat status {};
  if (::fstatat(directory, path.c_str(), &status, AT_SYMLINK_NOFOLLOW) == 0) {
    return status;
  }
  if (errno != ENOENT && errno != ENOTDIR) {
    throw system_error(errno, fmt::format("stat {}", path.substr(0, 200)));
  }
  return std::nullopt;
}

// What the lowers show at a path, the top layer deciding.
bool shown_below(const Lowers& lowers, const std::string& path) {
  for (const int lower : lowers) {
    if (const auto status = status_of(lower, path)) {
      return !is_whiteout(*status);
    }
  }
  return false;
}

class Walk {
 public:
  explicit Walk(Xattrs xattrs) : xattrs_(xattrs) {}

  void visit(int upper, const Lowers& lowers, const std::string& path, size_t depth) {
    if (depth > kMaxDepth) {
      throw fail("{} is nested deeper than {} directories", path.substr(0, 200), kMaxDepth);
    }
    for (const std::string& name : files::list_fd(upper)) {
      const auto status = status_of(upper, name);
      if (!status) {
        continue;  // removed while we look
      }
      const std::string here = path + "/" + name;
      const bool existed = shown_below(lowers, here.substr(1));
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
  void visit_directory(int upper, const Lowers& lowers, const std::string& name, const std::string& here,
                       bool existed, size_t depth) {
    const Fd directory = files::open_at(upper, name, kDirectory);
    const bool opaque = is_opaque(directory.get(), xattrs_);
    const Change::Kind changed = opaque ? Change::Kind::kReplaced : Change::Kind::kModified;
    found_.push_back({existed ? changed : Change::Kind::kAdded, here});
    visit(directory.get(), opaque ? Lowers() : merged_below(lowers, here.substr(1)), here, depth + 1);
  }

  // The lowers whose directory at `path` shows through.
  Lowers merged_below(const Lowers& lowers, const std::string& path) const {
    Lowers result;
    for (const int lower : lowers) {
      const auto status = status_of(lower, path);
      if (!status) {
        continue;
      }
      if (!S_ISDIR(status->st_mode)) {
        break;
      }
      result.push_back(lower);
      if (is_opaque(files::open_at(lower, path, kDirectory).get(), xattrs_)) {
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
  std::vector<Fd> roots;
  Lowers below;
  for (const std::string& lower : lowers) {
    roots.push_back(files::open(lower, O_RDONLY | O_DIRECTORY));
    below.push_back(roots.back().get());
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

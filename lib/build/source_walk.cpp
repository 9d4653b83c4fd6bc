#include "build/source_walk.h"

#include <fcntl.h>
#include <sys/stat.h>

#include <algorithm>

#include "base/error.h"
#include "base/text.h"
#include "build/glob.h"

namespace jigsaw::build {
namespace {

constexpr size_t kSuggestions = 1000;  // names that are compared with one that is not there

// Why `path` is not there, for one who thinks that it is: it is a link to nothing, it is left out, or another one is meant.
std::string reason_of_absence(const CopySource& source, const std::string& path) {
  Tree& tree = *source.tree;
  const std::string written = tree.resolve(path, Tree::LastLink::kKeep);
  const Tree::DirectoryHandle around = tree.directory(parent_path(written));
  if (const auto node = around == nullptr ? std::nullopt : tree.find(around, base_name(written)); node && S_ISLNK(node->status.st_mode)) {
    return fmt::format("it is a symbolic link to {}, which is not there", text::quoted(tree.read_link(around, base_name(written))));
  }
  const std::string missing = tree.resolve(path);
  const Tree::DirectoryHandle parent = tree.directory(parent_path(missing));
  const std::string name = base_name(missing);
  if (parent == nullptr) {
    return source.seen_as ? fmt::format("the build context has no directory {}", parent_path(missing).substr(1)) : "";
  }
  struct stat status {};
  if (source.seen_as && parent->fd() >= 0 && ::fstatat(parent->fd(), name.c_str(), &status, AT_SYMLINK_NOFOLLOW) == 0) {
    return "it is excluded by .dockerignore";
  }
  std::vector<std::string> names = tree.list(parent);
  names.resize(std::min(names.size(), kSuggestions));
  std::erase_if(names, [&](const std::string& each) {
    const bool alike = each.size() <= name.size() + 3 && name.size() <= each.size() + 3;
    return !alike || !tree.find(parent, each);
  });
  const std::optional<std::string> near = text::closest(name, names);
  const std::string there = source.seen_as ? "it is not in the build context" : "";
  return near ? fmt::format("{}{}did you mean {}?", there, there.empty() ? "" : ": ", *near) : there;
}

Error not_found(const CopySource& source, const std::string& path, const std::string& shown) {
  return system_error(ENOENT, fmt::format("{}: not found", text::quoted(clean_path(shown)))).with_hint(reason_of_absence(source, path));
}

void require(const CopySource& source, const std::string& path) {
  if (!source.tree->find(source.tree->resolve(path))) {
    throw not_found(source, path, source.shown);
  }
}

// Patterns match names, and nothing is behind the name of a link.
void require_below(const CopySource& source, const std::string& path) {
  Tree& tree = *source.tree;
  if (tree.find(join_path(tree.resolve(source.path), path))) {
    return;
  }
  if (tree.find(tree.resolve(join_path(source.path, path)))) {
    throw not_found(source, source.path, source.shown)
        .with_hint("a symbolic link leads to it: --parents takes the path that the link points to");
  }
  throw not_found(source, join_path(source.path, path), source.shown);
}

// All paths that match the pattern's components from `at` on, below `path`.
void expand_from(Tree& tree, const std::string& path, const std::vector<std::string_view>& pattern, size_t at,
                 std::vector<std::string>& found) {
  const Tree::DirectoryHandle directory = tree.directory(path);
  if (directory == nullptr) {
    return;
  }
  for (const std::string& name : tree.list(directory)) {
    if (!glob_matches(pattern[at], name) || !tree.find(directory, name)) {
      continue;
    }
    const std::string child = path == "/" ? "/" + name : path + "/" + name;
    if (at + 1 == pattern.size()) {
      found.push_back(child);
    } else {
      expand_from(tree, child, pattern, at + 1, found);
    }
  }
}

struct Patterns {
  IgnoreMatcher includes;
  IgnoreMatcher excludes;
};

// One directory on the way down, with what is needed to show it late.
struct Level {
  Visit visit;
  bool shown = false;
};

class Walk {
 public:
  Walk(const CopySource& source, SourceVisitor& visitor)
      : tree_(*source.tree), visitor_(visitor), patterns_{IgnoreMatcher(source.includes), IgnoreMatcher(source.excludes)} {}

  void start(const SourceMatch& match) {
    Visit visit;
    visit.name = base_name(match.path);
    visit.parent = match.path == "/" ? nullptr : tree_.directory(parent_path(match.path));
    const std::optional<Tree::Node> node = tree_.find(match.path);
    if (!node) {
      return;
    }
    visit.node = *node;
    if (!S_ISDIR(node->status.st_mode)) {
      visitor_.visit(visit);
      return;
    }
    visit.self = tree_.directory(match.path);
    directory(std::move(visit), true);
  }

 private:
  bool chosen(const std::string& path) const {
    return (patterns_.includes.empty() || patterns_.includes.excludes(path)) && !patterns_.excludes.excludes(path);
  }

  void show_parents() {
    for (Level& level : levels_) {
      if (!level.shown) {
        level.shown = true;
        visitor_.enter_directory(level.visit);
      }
    }
  }

  void directory(Visit visit, bool is_chosen) {
    if (!is_chosen && patterns_.includes.empty() && !patterns_.excludes.has_exceptions()) {
      return;
    }
    if (visit.self == nullptr) {
      return;
    }
    visit.choice = is_chosen ? Visit::Choice::kChosen : Visit::Choice::kParent;
    const Tree::DirectoryHandle self = visit.self;
    const std::string prefix = visit.relative.empty() ? "" : visit.relative + "/";
    levels_.push_back({std::move(visit)});
    if (is_chosen) {
      show_parents();
    }
    for (const std::string& name : tree_.list(self)) {
      const std::optional<Tree::Node> node = tree_.find(self, name);
      if (!node) {
        continue;
      }
      Visit child{.relative = prefix + name, .name = name, .node = *node, .parent = self};
      const bool child_chosen = chosen(child.relative);
      if (S_ISDIR(node->status.st_mode)) {
        child.self = tree_.subdirectory(self, name);
        directory(std::move(child), child_chosen);
      } else if (child_chosen) {
        show_parents();
        visitor_.visit(child);
      }
    }
    if (levels_.back().shown) {
      visitor_.leave_directory(levels_.back().visit);
    }
    levels_.pop_back();
  }

  Tree& tree_;
  SourceVisitor& visitor_;
  Patterns patterns_;
  std::vector<Level> levels_;
};

}  // namespace

std::vector<SourceMatch> find_sources(const CopySource& source) {
  Tree& tree = *source.tree;
  for (const std::string& path : source.required) {
    require_below(source, path);
  }
  const bool wild = source.names == CopySource::Names::kWildcards && has_wildcards(source.path);
  std::vector<std::string> found;
  if (!wild) {
    require(source, source.path);
    found.push_back(source.path);
  } else {
    if (!is_glob(source.path)) {
      throw fail("syntax error in pattern {}: a set [a-z] in it is not closed", text::quoted(source.shown))
          .with_hint("to mean a bracket itself, write [[]");
    }
    const std::vector<std::string_view> parts = text::split(std::string_view(source.path).substr(1), '/');
    std::string fixed;
    size_t at = 0;
    while (!has_wildcards(parts[at])) {
      fixed.append("/").append(parts[at++]);
    }
    const std::string base = tree.resolve(fixed.empty() ? "/" : fixed);
    if (!tree.find(base)) {
      throw not_found(source, fixed, source.shown);
    }
    expand_from(tree, base, parts, at, found);
  }
  std::vector<SourceMatch> matches;
  for (const std::string& path : found) {
    SourceMatch match{tree.resolve(path), base_name(path)};
    const std::optional<Tree::Node> node = tree.find(match.path);
    if (!node) {
      throw not_found(source, path, path);
    }
    // "--parents */./a": a file has nothing below it that could match.
    if (source.includes.empty() || S_ISDIR(node->status.st_mode)) {
      matches.push_back(std::move(match));
    }
  }
  return matches;
}

void walk_source(const CopySource& source, const SourceMatch& match, SourceVisitor& visitor) {
  Walk(source, visitor).start(match);
}

}  // namespace jigsaw::build

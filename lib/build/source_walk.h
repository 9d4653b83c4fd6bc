// What COPY and ADD read: which entries of a tree their sources mean, and a walk over them.
//
// The same walk serves twice: once to hash what would be copied (the cache key), once to copy it, so that the two can
// not disagree. Patterns choose below each source: `excludes` leave out, `includes` (--parents) leave in, and a
// directory that is not chosen itself is shown, as kParent, just before the first thing chosen below it.
#pragma once

#include <optional>
#include <string>
#include <vector>

#include "build/ignore.h"
#include "build/layer_writer.h"
#include "build/tree.h"

namespace jigsaw::build {

struct CopySource {
  Tree* tree = nullptr;
  std::string path;                   // "/src/*.c", cleaned, relative to the tree's root
  std::string shown;                  // as the user wrote it
  std::vector<std::string> includes;  // with --parents, relative to `path`
  std::vector<std::string> excludes;
  std::vector<std::string> required;  // what must exist below `path`, without following links there
  std::optional<Owner> seen_as;       // files of a build context belong to nobody: they are copied as root's
  enum class Names { kWildcards, kLiteral } names = Names::kWildcards;
};

struct SourceMatch {
  std::string path;  // in the tree, links followed
  std::string name;  // its name before links were followed: what it is called in a destination directory
};

// The entries that a source means, in byte order. No match for a wildcard is no error; a plain path that does not exist
// is one.
std::vector<SourceMatch> find_sources(const CopySource& source);

struct Visit {
  enum class Choice { kChosen, kParent };
  std::string relative;  // "" for the source itself, else "a/b"
  std::string name;      // last name of it within `parent`
  Tree::Node node;
  Tree::DirectoryHandle parent;  // nullptr for the tree's root
  Tree::DirectoryHandle self;    // of a directory
  Choice choice = Choice::kChosen;
};

class SourceVisitor {
 public:
  virtual ~SourceVisitor() = default;
  virtual void enter_directory(const Visit& visit) = 0;
  // Only for a directory that was entered.
  virtual void leave_directory(const Visit& visit) = 0;
  virtual void visit(const Visit& visit) = 0;
};

void walk_source(const CopySource& source, const SourceMatch& match, SourceVisitor& visitor);

}  // namespace jigsaw::build

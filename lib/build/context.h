// The build context: the files that COPY and ADD may take, and where they come from.
//
//     DIR                    a directory of this machine
//     -                      standard input: a tar archive, or a Dockerfile alone (then nothing can be copied)
//     https://…/x.tar.gz     an archive, fetched by jigsaw-transfer
//     https://….git#ref:dir  a git repository, fetched by the git program
//
// .dockerignore hides files of it. Links are followed within the context alone (tree.h): nothing outside can be
// reached by a name, a link or a race.
#pragma once

#include <memory>
#include <optional>
#include <string>

#include "base/files.h"
#include "build/ignore.h"
#include "build/tree.h"

namespace jigsaw::build {

struct Context {
  std::string directory;  // absolute; "" for an empty context
  std::string shown;      // as the user named it
  std::shared_ptr<IgnoreMatcher> ignore = std::make_shared<IgnoreMatcher>();
  std::shared_ptr<files::TemporaryDirectory> temporary;  // holds `directory`, if it was fetched

  Tree tree() const;
};

// A directory with its .dockerignore, or <dockerfile>.dockerignore if that is there. `dockerfile` is its path or "".
Context directory_context(const std::string& directory, const std::string& dockerfile);
// No files at all.
Context empty_context();

// Hides what `ignore` excludes; a directory that is excluded but holds something that is not stays visible.
Filter ignore_filter(std::shared_ptr<const IgnoreMatcher> ignore, const std::string& directory);

}  // namespace jigsaw::build

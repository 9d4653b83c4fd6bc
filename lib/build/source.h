// A text that a user wrote, and places in it.
//
// Whatever is read from a Dockerfile keeps its Place, so that an error found much later (a variable without a value,
// a file that is not in the context) still shows the line and a caret:
//
//     Dockerfile:3:6: COPY needs a source and a destination
//       3 | COPY ./app
//         |      ^^^^^
#pragma once

#include <memory>
#include <string>
#include <string_view>
#include <vector>

#include "base/error.h"

namespace jigsaw::build {

struct SourceText {
  std::string name;  // as shown in messages: "Dockerfile"
  std::string text;
  std::vector<size_t> starts;  // offset of each line

  // Line `number` (from 1) without its line end; "" past the last one.
  std::string_view line(size_t number) const;
};
// Shared: instructions outlive the parser, and triggers of a base image (ONBUILD) have a text of their own.
using Source = std::shared_ptr<const SourceText>;
Source make_source(std::string name, std::string text);

struct Place {
  Source source;
  size_t line = 1;    // from 1
  size_t column = 1;  // from 1, in bytes
  size_t length = 1;  // bytes to underline
  size_t last_line = 1;

  // An Error that shows this place.
  Error error(std::string_view message, std::string hint = {}) const;
};

}  // namespace jigsaw::build

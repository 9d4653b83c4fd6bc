// The Dockerfile as text: parser directives, comments, continuation lines, here-documents, flags.
//
// This layer knows lines and words, not meanings: it cuts the file into statements, one for each instruction, as
//
//     RUN --network=none <<EOF cat      keyword "RUN", flags {"--network=none"}, arguments "<<EOF cat"
//     hello                             heredocs {{"EOF", "hello\n"}}
//     EOF
//
// Lines that end in the escape character (\ or, with "# escape=`", `) go on in the next one; comment lines between
// them are left out; a byte order mark and CR LF line ends are understood. Time and memory are linear in the size of
// the file, and every piece remembers the line and column it came from.
// The reference: docs.docker.com/reference/dockerfile, "Format", "Parser directives", "Here-Documents".
#pragma once

#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "build/source.h"

namespace jigsaw::build {

inline constexpr size_t kDockerfileLimit = 16U << 20;  // bytes; a larger one is refused before it is read
inline constexpr size_t kInstructionLimit = 100'000;   // of one file: each takes memory, and nobody writes as many

// <<NAME and the lines up to NAME.
struct Heredoc {
  std::string name;
  std::string content;  // with its line ends
  bool expand = true;   // false if any part of the name was quoted
  bool chomp = false;   // <<-NAME: leading tabs are dropped
  size_t line = 0;      // where the content starts
};

struct Flag {
  std::string text;   // "--from=build", quotes removed
  size_t offset = 0;  // in Statement::text
};

struct Statement {
  std::string keyword;        // as written: "RUN", "run"
  std::vector<Flag> flags;
  std::string arguments;      // what follows the flags, blanks trimmed on both sides
  size_t arguments_offset = 0;
  std::string text;           // the whole statement as one line
  std::vector<Heredoc> heredocs;
  std::vector<std::string> comments;  // the comment lines above, without '#'
  Source source;
  size_t first_line = 1;
  size_t last_line = 1;
  char escape = '\\';  // the file's

  // Where each source line begins within `text`.
  struct Piece {
    size_t offset;
    size_t line;
    size_t column;
  };
  std::vector<Piece> pieces;

  // The place of `length` bytes at `offset` of `text`; never longer than its source line.
  Place place(size_t offset, size_t length) const;
  Place keyword_place() const { return place(0, keyword.size()); }
  Place arguments_place() const;
};

// One "# name=value" line at the top of the file.
struct Directive {
  std::string name;  // "syntax", "escape" or "check"
  std::string value;
  Place place;
};

struct Dockerfile {
  Source source;
  char escape = '\\';
  std::vector<Directive> directives;
  std::vector<Statement> statements;
  std::vector<Place> empty_continuations;  // blank lines within a statement

  std::optional<std::string> directive(std::string_view name) const;
};

// Throws with file, line and caret: an empty file, an unterminated here-document, a repeated or wrong directive.
Dockerfile parse_dockerfile(const Source& source);

// Cuts one instruction (what follows ONBUILD) out of a statement, keeping its places.
Statement sub_statement(const Statement& outer);

}  // namespace jigsaw::build

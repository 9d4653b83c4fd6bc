// Words of a Dockerfile line, before any variable is looked at.
#pragma once

#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "build/dockerfile.h"

namespace jigsaw::build {

struct Word {
  std::string text;
  size_t offset = 0;  // of its first byte in the text it was cut from
};

// Length in bytes of the UTF-8 character at the start of `text` (1 for a byte that is none), 0 at the end.
size_t character_length(std::string_view text);
inline bool is_blank(char c) { return c == ' ' || (c >= '\t' && c <= '\r'); }  // white space in ASCII
bool is_blank_character(std::string_view character);   // white space, also beyond ASCII
bool is_letter_character(std::string_view character);  // a letter, also beyond ASCII
std::string_view trim_blanks(std::string_view text);   // white space in ASCII

// Fields between runs of tabs and blanks: how FROM, COPY and EXPOSE are read. Quotes mean nothing here.
std::vector<Word> split_blanks(std::string_view text);
// Words with quotes and escapes left in place: how ENV, LABEL and ARG are read.
std::vector<Word> split_quoted(std::string_view text, char escape);
// The strings of a JSON array, or nothing if `text` is not exactly one JSON array.
// Throws std::invalid_argument if it is an array of something else than strings.
std::optional<std::vector<std::string>> json_words(std::string_view text);

// Takes the "--name=value" words off the front of `text` and returns what follows them.
std::string_view take_flags(std::string_view text, char escape, std::vector<Flag>& flags);

// The here-documents that a line announces, in order, without their content.
std::vector<Heredoc> announced_heredocs(std::string_view line);
// The here-document that one word is, if it is one.
std::optional<Heredoc> as_heredoc(std::string_view word);
// Lines without their leading tabs.
std::string without_leading_tabs(std::string_view text);

}  // namespace jigsaw::build

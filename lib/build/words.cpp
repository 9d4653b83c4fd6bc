#include "build/words.h"

#include <nlohmann/json.hpp>
#include <stdexcept>

#include "base/error.h"
#include "base/json.h"
#include "build/expansion.h"

namespace jigsaw::build {
namespace {

// What separates fields; a newline never occurs within a statement.
bool is_field_blank(char c) { return c == ' ' || c == '\t' || c == '\v' || c == '\f' || c == '\r'; }

char32_t decode(std::string_view character) {
  const auto byte = [&](size_t at) { return static_cast<char32_t>(static_cast<unsigned char>(character[at])); };
  switch (character.size()) {
    case 2: return ((byte(0) & 0x1f) << 6) | (byte(1) & 0x3f);
    case 3: return ((byte(0) & 0x0f) << 12) | ((byte(1) & 0x3f) << 6) | (byte(2) & 0x3f);
    case 4: return ((byte(0) & 7) << 18) | ((byte(1) & 0x3f) << 12) | ((byte(2) & 0x3f) << 6) | (byte(3) & 0x3f);
    default: return byte(0);
  }
}

}  // namespace

size_t character_length(std::string_view text) {
  if (text.empty()) {
    return 0;
  }
  const auto first = static_cast<unsigned char>(text[0]);
  const size_t length = first < 0xc2 ? 1 : first < 0xe0 ? 2 : first < 0xf0 ? 3 : first < 0xf5 ? 4 : 1;
  if (length > text.size()) {
    return 1;
  }
  for (size_t at = 1; at < length; ++at) {
    if ((static_cast<unsigned char>(text[at]) & 0xc0) != 0x80) {
      return 1;
    }
  }
  return length;
}

bool is_blank_character(std::string_view character) {
  if (character.size() <= 1) {
    return !character.empty() && is_blank(character[0]);
  }
  const char32_t code = decode(character);
  return code == 0x85 || code == 0xa0 || code == 0x1680 || (code >= 0x2000 && code <= 0x200a) || code == 0x2028 ||
         code == 0x2029 || code == 0x202f || code == 0x205f || code == 0x3000;
}

// Beyond ASCII everything counts as a letter but blanks, punctuation and symbols: the blocks that hold only those.
bool is_letter_character(std::string_view character) {
  if (character.size() <= 1) {
    return !character.empty() && ((character[0] >= 'a' && character[0] <= 'z') ||
                                  (character[0] >= 'A' && character[0] <= 'Z'));
  }
  const char32_t code = decode(character);
  if (code < 0xc0) {
    return code == 0xaa || code == 0xb5 || code == 0xba;
  }
  const bool symbol = code == 0xd7 || code == 0xf7 || (code >= 0x2000 && code <= 0x206f) ||
                      (code >= 0x20a0 && code <= 0x20cf) || (code >= 0x2190 && code <= 0x2bff) ||
                      (code >= 0x3000 && code <= 0x3004) || (code >= 0x3008 && code <= 0x3020) ||
                      (code >= 0xe000 && code <= 0xf8ff) || (code >= 0xff00 && code <= 0xff20) ||
                      (code >= 0x1f000 && code <= 0x1faff);
  return !symbol;
}

std::string_view trim_blanks(std::string_view text) {
  while (!text.empty() && is_blank(text.front())) {
    text.remove_prefix(1);
  }
  while (!text.empty() && is_blank(text.back())) {
    text.remove_suffix(1);
  }
  return text;
}

std::vector<Word> split_blanks(std::string_view text) {
  std::vector<Word> words;
  for (size_t at = 0; at < text.size();) {
    if (is_field_blank(text[at])) {
      ++at;
      continue;
    }
    const size_t start = at;
    while (at < text.size() && !is_field_blank(text[at])) {
      ++at;
    }
    words.push_back({std::string(text.substr(start, at - start)), start});
  }
  return words;
}

std::vector<Word> split_quoted(std::string_view text, char escape) {
  std::vector<Word> words;
  Word word;
  bool in_word = false;
  bool was_quoted = false;
  char quote = 0;
  const auto finish = [&] {
    if (in_word && (was_quoted || !word.text.empty())) {
      words.push_back(std::move(word));
    }
    word = {};
    in_word = was_quoted = false;
  };
  for (size_t at = 0; at < text.size();) {
    const size_t length = character_length(text.substr(at));
    const std::string_view character = text.substr(at, length);
    if (quote == 0 && is_blank_character(character)) {
      finish();
      at += length;
      continue;
    }
    if (!in_word) {
      in_word = true;
      word.offset = at;
    }
    if (character[0] == escape && quote != '\'') {
      if (at + 1 >= text.size()) {
        break;  // an escape character at the very end stands for nothing
      }
      const size_t next = character_length(text.substr(at + 1));
      word.text.append(text.substr(at, 1 + next));
      at += 1 + next;
      continue;
    }
    if (quote == 0 && (character[0] == '\'' || character[0] == '"')) {
      quote = character[0];
      was_quoted = true;
    } else if (quote != 0 && character[0] == quote) {
      quote = 0;
    }
    word.text.append(character);
    at += length;
  }
  finish();
  return words;
}

std::optional<std::vector<std::string>> json_words(std::string_view text) {
  while (!text.empty() && is_blank(text.front())) {
    text.remove_prefix(1);
  }
  if (!text.starts_with('[')) {
    return std::nullopt;
  }
  json::Value array;
  try {
    array = json::parse(text, "array");
  } catch (const Error&) {
    return std::nullopt;  // then it is the shell's: [ is also a command
  }
  std::vector<std::string> words;
  for (const json::Value& element : array) {
    if (!element.is_string()) {
      throw std::invalid_argument("an array of strings");
    }
    words.push_back(element.get<std::string>());
  }
  return words;
}

std::string_view take_flags(std::string_view text, char escape, std::vector<Flag>& flags) {
  size_t at = 0;
  while (true) {
    while (at < text.size() && is_blank(text[at])) {
      ++at;
    }
    if (at + 1 >= text.size() || text[at] != '-' || text[at + 1] != '-') {
      return text.substr(std::min(at, text.size()));
    }
    Flag flag{.text = {}, .offset = at};
    char quote = 0;
    for (; at < text.size() && (quote != 0 || !is_blank(text[at])); ++at) {
      if (quote == 0 && (text[at] == '\'' || text[at] == '"')) {
        quote = text[at];
      } else if (quote != 0 && text[at] == quote) {
        quote = 0;
      } else if (text[at] == escape) {
        if (++at < text.size()) {
          flag.text += text[at];
        } else {
          break;
        }
      } else {
        flag.text += text[at];
      }
    }
    if (flag.text == "--") {
      return text.substr(std::min(at, text.size()));
    }
    flags.push_back(std::move(flag));
  }
}

std::optional<Heredoc> as_heredoc(std::string_view word) {
  size_t at = 0;
  while (at < word.size() && word[at] >= '0' && word[at] <= '9') {
    ++at;
  }
  if (word.substr(at, 2) != "<<") {
    return std::nullopt;
  }
  at += 2;
  Heredoc heredoc;
  if (at < word.size() && word[at] == '-') {
    heredoc.chomp = true;
    ++at;
  }
  while (at < word.size() && (is_blank(word[at]))) {
    ++at;
  }
  const std::string_view rest = word.substr(at);
  if (rest.empty() || rest.find('<') != std::string_view::npos) {
    return std::nullopt;
  }
  const Expansion bare = expand(rest, {}, {.keep_unset = true});
  const Expansion quoted = expand(rest, {}, {.keep_quotes = true, .keep_unset = true});
  if (bare.words.size() != 1) {
    return std::nullopt;
  }
  const auto quotes = [](std::string_view text) {
    return std::count_if(text.begin(), text.end(), [](char c) { return c == '\'' || c == '"'; });
  };
  heredoc.name = bare.words[0];
  heredoc.expand = quoted.words.size() == 1 && quotes(heredoc.name) == quotes(quoted.words[0]);
  return heredoc;
}

std::vector<Heredoc> announced_heredocs(std::string_view line) {
  std::vector<Heredoc> heredocs;
  if (line.find("<<") == std::string_view::npos) {
    return heredocs;
  }
  Expansion words;
  try {
    words = expand(line, {}, {.keep_quotes = true, .keep_escapes = true, .keep_unset = true});
  } catch (const Error&) {
    return heredocs;  // quotes that only the shell understands: then there is none for us
  }
  for (const std::string& word : words.words) {
    if (std::optional<Heredoc> heredoc = as_heredoc(word)) {
      heredocs.push_back(std::move(*heredoc));
    }
  }
  return heredocs;
}

std::string without_leading_tabs(std::string_view text) {
  std::string result;
  result.reserve(text.size());
  bool at_start = true;
  for (const char c : text) {
    if (at_start && c == '\t') {
      continue;
    }
    at_start = c == '\n';
    result += c;
  }
  return result;
}

}  // namespace jigsaw::build

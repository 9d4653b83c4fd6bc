#include "build/dockerfile.h"

#include <algorithm>
#include <set>

#include "base/text.h"
#include "build/words.h"

namespace jigsaw::build {
namespace {

std::string_view trim_left(std::string_view text) {
  while (!text.empty() && is_blank(text.front())) {
    text.remove_prefix(1);
  }
  return text;
}

bool is_comment(std::string_view line) {
  line = trim_left(line);
  return line.starts_with('#');
}

// Takes the escape character off the end of a line that goes on. Blanks may follow it; a doubled one is text.
bool take_continuation(std::string_view& line, char escape) {
  std::string_view rest = line;
  while (!rest.empty() && (rest.back() == ' ' || rest.back() == '\t')) {
    rest.remove_suffix(1);
  }
  if (rest.empty() || rest.back() != escape) {
    return false;
  }
  rest.remove_suffix(1);
  if (!rest.empty() && rest.back() == escape) {
    return false;
  }
  line = rest;
  return true;
}

// Only ADD, COPY and RUN in their shell form take here-documents, also behind ONBUILD.
bool takes_heredocs(const Statement& statement) {
  const std::string keyword = text::upper(statement.keyword);
  if (keyword == "ONBUILD") {
    return !statement.arguments.empty() && takes_heredocs(sub_statement(statement));
  }
  if (keyword != "ADD" && keyword != "COPY" && keyword != "RUN") {
    return false;
  }
  try {
    return !json_words(statement.arguments).has_value();
  } catch (const std::invalid_argument&) {
    return false;
  }
}

// Fills keyword, flags and arguments from `text`.
void split(Statement& statement) {
  const std::string_view text = statement.text;
  const std::string_view trimmed = trim_blanks(text);
  size_t end = 0;
  while (end < trimmed.size() && !is_blank(trimmed[end])) {
    end += 1;
  }
  statement.keyword = trimmed.substr(0, end);
  std::string_view rest = take_flags(trimmed.substr(end), statement.escape, statement.flags);
  const auto base = static_cast<size_t>(trimmed.data() + end - text.data());
  for (Flag& flag : statement.flags) {
    flag.offset += base;
  }
  rest = trim_blanks(rest);
  statement.arguments = rest;
  statement.arguments_offset = rest.empty() ? text.size() : static_cast<size_t>(rest.data() - text.data());
}

class Parser {
 public:
  explicit Parser(const Source& source) : source_(source) { file_.source = source; }

  Dockerfile run() {
    if (source_->text.size() > kDockerfileLimit) {
      throw Error(fmt::format("{}: larger than {}", source_->name, text::human_size(kDockerfileLimit)),
                  "a Dockerfile this size is a mistake or an attack; move data into files of the context");
    }
    while (next_ <= source_->starts.size()) {
      statement();
    }
    if (file_.statements.empty()) {
      const bool blank = source_->text.find_first_not_of(" \t\r\n") == std::string::npos;
      throw Error(fmt::format("{}: {}", source_->name,
                              blank ? "the Dockerfile cannot be empty: file with no instructions" : "file with no instructions, only comments"),
                  "a Dockerfile starts with FROM: FROM scratch, or FROM and the name of an image");
    }
    return std::move(file_);
  }

 private:
  // The next line with its line end. Only the first one can start with a byte order mark.
  std::string_view take_raw() {
    const size_t start = source_->starts[next_ - 1];
    const size_t end = next_ < source_->starts.size() ? source_->starts[next_] : source_->text.size();
    ++next_;
    std::string_view line = std::string_view(source_->text).substr(start, end - start);
    if (next_ == 2 && line.starts_with("\xef\xbb\xbf")) {
      line.remove_prefix(3);
    }
    return line;
  }
  std::string_view take() {
    std::string_view line = take_raw();
    while (!line.empty() && (line.back() == '\n' || line.back() == '\r')) {
      line.remove_suffix(1);
    }
    return line;
  }
  bool more() const { return next_ <= source_->starts.size(); }
  size_t column_of(std::string_view piece, size_t line) const {
    return static_cast<size_t>(piece.data() - source_->text.data()) - source_->starts[line - 1] + 1;
  }

  void statement() {
    std::string_view line = trim_left(take());
    const size_t first = next_ - 1;
    if (line.starts_with('#')) {
      if (directives_open_ && directive(line, first)) {
        return;
      }
      comment(line);
      return;
    }
    directives_open_ = false;
    Statement statement;
    statement.source = source_;
    statement.escape = file_.escape;
    statement.first_line = first;
    bool goes_on = take_continuation(line, file_.escape);
    if (!goes_on && line.empty()) {
      return;
    }
    append(statement, line, first);
    while (goes_on && more()) {
      goes_on = continuation(statement);
    }
    statement.last_line = next_ - 1;
    split(statement);
    if (statement.text.find("<<") != std::string::npos && takes_heredocs(statement)) {
      heredocs(statement);
    }
    statement.comments = std::move(comments_);
    comments_.clear();
    file_.statements.push_back(std::move(statement));
  }

  void append(Statement& statement, std::string_view line, size_t number) {
    statement.pieces.push_back(
        {.offset = statement.text.size(), .line = number, .column = column_of(line, number)});
    statement.text.append(line);
  }

  // One more line of a statement; true if it goes on after that.
  bool continuation(Statement& statement) {
    std::string_view line = take();
    const size_t number = next_ - 1;
    if (is_comment(line)) {
      return true;
    }
    if (trim_left(line).empty()) {
      if (blank_statement_ != statement.first_line) {
        blank_statement_ = statement.first_line;
        file_.empty_continuations.push_back({.source = source_, .line = number, .last_line = number});
      }
      return true;
    }
    const bool goes_on = take_continuation(line, file_.escape);
    append(statement, line, number);
    return goes_on;
  }

  void comment(std::string_view line) {
    const std::string_view words = trim_blanks(line.substr(1));
    if (words.empty()) {
      comments_.clear();
    } else {
      comments_.emplace_back(words);
    }
  }

  // "# name=value" before anything else in the file. Any other line ends the directives.
  bool directive(std::string_view line, size_t number) {
    const std::string_view body = trim_left(line.substr(1));
    size_t end = 0;
    while (end < body.size() && (std::isalnum(static_cast<unsigned char>(body[end])) != 0)) {
      ++end;
    }
    const std::string name = text::lower(body.substr(0, end));
    std::string_view value = trim_left(body.substr(end));
    if (!value.starts_with('=') || trim_blanks(value.substr(1)).empty() ||
        (name != "syntax" && name != "escape" && name != "check")) {
      directives_open_ = false;
      return false;
    }
    value = trim_blanks(value.substr(1));
    const Place place{.source = source_,
                      .line = number,
                      .column = column_of(line, number),
                      .length = line.size(),
                      .last_line = number};
    if (file_.directive(name)) {
      throw place.error(fmt::format("only one {} parser directive can be used: this one is given twice", name), "keep one of them");
    }
    if (name == "escape") {
      if (value != "\\" && value != "`") {
        throw place.error(fmt::format("invalid escape token '{}'", value),
                          "it is \\ (the default) or `");
      }
      file_.escape = value[0];
    }
    file_.directives.push_back({name, std::string(value), place});
    return true;
  }

  void heredocs(Statement& statement) {
    for (Heredoc& heredoc : announced_heredocs(statement.text)) {
      heredoc.line = next_;
      bool closed = false;
      while (more() && !closed) {
        const std::string_view raw = take_raw();
        std::string_view line = raw;
        while (!line.empty() && (line.back() == '\n' || line.back() == '\r')) {
          line.remove_suffix(1);
        }
        while (heredoc.chomp && line.starts_with('\t')) {
          line.remove_prefix(1);
        }
        closed = line == heredoc.name;
        if (!closed) {
          heredoc.content.append(raw);
        }
      }
      if (!closed) {
        const size_t offset = statement.text.find("<<");
        throw statement.place(offset, statement.text.find_first_of(" \t", offset) - offset)
            .error(fmt::format("unterminated heredoc: no line holds just {}", text::quoted(heredoc.name)),
                   fmt::format("end the text with {} on a line of its own, without blanks around it",
                               heredoc.name));
      }
      statement.last_line = next_ - 1;
      statement.heredocs.push_back(std::move(heredoc));
    }
  }

  Source source_;
  Dockerfile file_;
  size_t next_ = 1;  // number of the next line
  bool directives_open_ = true;
  size_t blank_statement_ = 0;  // first line of the statement last seen with a blank line in it
  std::vector<std::string> comments_;
};

}  // namespace

Place Statement::place(size_t offset, size_t length) const {
  const auto after = std::upper_bound(pieces.begin(), pieces.end(), offset,
                                      [](size_t at, const Piece& piece) { return at < piece.offset; });
  if (after == pieces.begin()) {
    return {.source = source, .line = first_line, .last_line = last_line};
  }
  const Piece& piece = *std::prev(after);
  const size_t end = after == pieces.end() ? text.size() : after->offset;
  const size_t room = end > offset ? end - offset : 1;
  return {.source = source,
          .line = piece.line,
          .column = piece.column + (offset - piece.offset),
          .length = std::max<size_t>(1, std::min(length, room)),
          .last_line = last_line};
}

Place Statement::arguments_place() const {
  return arguments.empty() ? keyword_place() : place(arguments_offset, arguments.size());
}

std::optional<std::string> Dockerfile::directive(std::string_view name) const {
  for (const Directive& directive : directives) {
    if (directive.name == name) {
      return directive.value;
    }
  }
  return std::nullopt;
}

Statement sub_statement(const Statement& outer) {
  Statement inner;
  inner.source = outer.source;
  inner.escape = outer.escape;
  inner.first_line = outer.first_line;
  inner.last_line = outer.last_line;
  inner.text = outer.arguments;
  inner.heredocs = outer.heredocs;
  inner.comments = outer.comments;
  const size_t start = outer.arguments_offset;
  for (const Statement::Piece& piece : outer.pieces) {
    if (piece.offset >= start) {
      inner.pieces.push_back({piece.offset - start, piece.line, piece.column});
    } else {
      inner.pieces.assign(1, {0, piece.line, piece.column + (start - piece.offset)});
    }
  }
  split(inner);
  return inner;
}

Dockerfile parse_dockerfile(const Source& source) { return Parser(source).run(); }

}  // namespace jigsaw::build

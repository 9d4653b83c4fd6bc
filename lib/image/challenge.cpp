#include "image/challenge.h"

#include <optional>

#include "base/text.h"

namespace jigsaw::image {
namespace {

constexpr size_t kMaxChallenges = 16;
constexpr size_t kMaxParameters = 32;

bool is_token_char(char c) {
  return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9') ||
         std::string_view("!#$%&'*+-.^_`|~").find(c) != std::string_view::npos;
}

// Reads forward through the header; every method returns nothing rather than going past the end.
class Scanner {
 public:
  explicit Scanner(std::string_view text) : text_(text) {}
  bool done() const { return at_ >= text_.size(); }
  size_t position() const { return at_; }
  void rewind(size_t position) { at_ = position; }

  void skip(std::string_view characters) {
    while (!done() && characters.find(text_[at_]) != std::string_view::npos) {
      ++at_;
    }
  }
  bool take(char wanted) {
    if (done() || text_[at_] != wanted) {
      return false;
    }
    ++at_;
    return true;
  }
  std::string token() {
    const size_t start = at_;
    while (!done() && is_token_char(text_[at_])) {
      ++at_;
    }
    return std::string(text_.substr(start, at_ - start));
  }
  std::optional<std::string> value() {
    if (!take('"')) {
      const std::string plain = token();
      return plain.empty() ? std::nullopt : std::optional(plain);
    }
    std::string unquoted;
    while (!done()) {
      const char c = text_[at_++];
      if (c == '"') {
        return unquoted;
      }
      if (c == '\\' && !done()) {
        unquoted += text_[at_++];
      } else {
        unquoted += c;
      }
    }
    return std::nullopt;
  }
  void skip_to_comma() {
    while (!done() && text_[at_] != ',') {
      ++at_;
    }
  }

 private:
  std::string_view text_;
  size_t at_ = 0;
};

// name=value, or nothing with the scanner where it was: the next challenge starts here.
std::optional<std::pair<std::string, std::string>> read_parameter(Scanner& scanner) {
  const size_t start = scanner.position();
  const std::string name = scanner.token();
  scanner.skip(" \t");
  if (!name.empty() && scanner.take('=')) {
    scanner.skip(" \t");
    if (const auto value = scanner.value()) {
      return std::pair(text::lower(name), *value);
    }
  }
  scanner.rewind(start);
  return std::nullopt;
}

}  // namespace

std::vector<Challenge> parse_challenges(std::string_view header) {
  std::vector<Challenge> challenges;
  Scanner scanner(header);
  for (scanner.skip(" \t,"); !scanner.done() && challenges.size() < kMaxChallenges; scanner.skip(" \t,")) {
    const std::string scheme = scanner.token();
    if (scheme.empty()) {
      scanner.skip_to_comma();
      continue;
    }
    Challenge challenge{.scheme = text::lower(scheme), .parameters = {}};
    for (scanner.skip(" \t,"); challenge.parameters.size() < kMaxParameters; scanner.skip(" \t,")) {
      const auto parameter = read_parameter(scanner);
      if (!parameter) {
        break;
      }
      challenge.parameters.insert(*parameter);  // the first of a name counts
    }
    challenges.push_back(std::move(challenge));
  }
  return challenges;
}

}  // namespace jigsaw::image

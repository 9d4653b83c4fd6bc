// COPY and ADD.
#include <algorithm>
#include <cctype>

#include "base/text.h"
#include "build/chmod.h"
#include "build/instruction_parts.h"
#include "build/words.h"

namespace jigsaw::build {
namespace {

std::vector<std::string> words_of(const Statement& statement) {
  if (auto words = json_arguments(statement, statement.arguments)) {
    return std::move(*words);
  }
  std::vector<std::string> words;
  for (Word& word : split_blanks(statement.arguments)) {
    words.push_back(std::move(word.text));
  }
  return words;
}

Error too_few(const Statement& statement, const std::vector<std::string>& words) {
  const std::string name = text::upper(statement.keyword);
  if (words.empty()) {
    return statement.keyword_place().error(fmt::format("{} requires at least two arguments: what to copy, and where to",
                                                       name),
                                           fmt::format("for example: {} app.py /srv/", name));
  }
  const std::string& only = words.front();
  std::string base = only.substr(only.find_last_of('/') + 1);
  base = base.empty() || base == "." || base == ".." ? "app" : base;
  return statement.arguments_place().error(
      fmt::format("{} requires at least two arguments, but {} is the only one: is it what to copy, or where to?", name,
                  text::quoted(only)),
      fmt::format("the last argument is the destination in the image: {0} {1} . puts it into the working directory, "
                  "{0} {1} /{2} gives it a name",
                  name, only, base));
}

// What is wrong with a --checksum of a file; nothing if it is a digest.
std::string_view fault_of_digest(std::string_view text) {
  const size_t colon = text.find(':');
  if (colon == std::string_view::npos) {
    return "invalid checksum digest format";
  }
  const std::string_view algorithm = text.substr(0, colon);
  const std::string_view hex = text.substr(colon + 1);
  const size_t length = algorithm == "sha256" ? 64 : algorithm == "sha384" ? 96 : algorithm == "sha512" ? 128 : 0;
  const bool is_hex =
      std::all_of(hex.begin(), hex.end(), [](char c) { return (c >= '0' && c <= '9') || (c >= 'a' && c <= 'f'); });
  return length == 0             ? "unsupported digest algorithm of --checksum"
         : hex.size() != length  ? "invalid checksum digest length"
         : is_hex                ? ""
                                 : "invalid checksum digest format";
}

void check_checksum(const Copy& copy, const Place& place) {
  if (copy.sources.size() != 1) {
    throw place.error("--checksum can't be specified for multiple sources", "split the ADD, one line for each source");
  }
  const SourceKind kind = source_kind(copy.sources.front());
  if (kind == SourceKind::kLocal) {
    throw place.error("--checksum requires HTTP(S) or Git sources, not files of the context",
                      "leave --checksum out: the context's files are compared by content anyway");
  }
  const std::string_view fault = kind == SourceKind::kHttp ? fault_of_digest(copy.checksum) : "";
  if (!fault.empty()) {
    throw place.error(fmt::format("{}: {}", fault, text::quoted(copy.checksum)),
                      "write --checksum=sha256: and 64 lower-case hex digits, as sha256sum prints them");
  }
}

}  // namespace

Copy parse_copy(const Statement& statement, CopyKind kind) {
  Copy copy{.add = kind == CopyKind::kAdd};
  std::vector<std::string> words = words_of(statement);
  const FlagValues flags =
      copy.add ? FlagValues(statement, {{"chown", FlagKind::kText},
                                   {"chmod", FlagKind::kText},
                                   {"link", FlagKind::kSwitch},
                                   {"keep-git-dir", FlagKind::kSwitch},
                                   {"checksum", FlagKind::kText},
                                   {"unpack", FlagKind::kSwitch},
                                   {"exclude", FlagKind::kList}})
          : FlagValues(statement, {{"chown", FlagKind::kText},
                                   {"from", FlagKind::kText},
                                   {"chmod", FlagKind::kText},
                                   {"link", FlagKind::kSwitch},
                                   {"exclude", FlagKind::kList},
                                   {"parents", FlagKind::kSwitch}});
  if (words.size() < 2) {
    throw too_few(statement, words);
  }
  copy.destination = std::move(words.back());
  words.pop_back();
  if (as_heredoc(copy.destination)) {
    throw statement.arguments_place().error(text::upper(statement.keyword) + " cannot accept a heredoc as a destination",
                                            "put the destination last: COPY <<EOF /etc/motd");
  }
  for (std::string& word : words) {
    const std::optional<Heredoc> mark = as_heredoc(word);
    if (!mark) {
      copy.sources.push_back(std::move(word));
      continue;
    }
    const auto found = std::find_if(statement.heredocs.rbegin(), statement.heredocs.rend(),
                                    [&](const Heredoc& heredoc) { return heredoc.name == mark->name; });
    const std::string content = found == statement.heredocs.rend() ? "" : found->content;
    copy.files.push_back({.name = mark->name,
                          .content = mark->chomp ? without_leading_tabs(content) : content,
                          .expand = mark->expand,
                          .chomp = mark->chomp});
  }
  copy.from = flags.text("from");
  copy.chown = flags.text("chown");
  copy.chmod = flags.text("chmod");
  copy.checksum = flags.text("checksum");
  copy.link = flags.is_on("link");
  copy.parents = flags.is_on("parents");
  copy.excludes = flags.list("exclude");
  copy.keep_git_dir = flags.if_given("keep-git-dir");
  copy.unpack = flags.if_given("unpack");
  return copy;
}

void check_copy(const Copy& copy, const Place& place) {
  if (!copy.chmod.empty()) {
    try {
      ModeChange::parse(copy.chmod);
    } catch (const Error& error) {
      throw place.error("--chmod: " + error.message(), error.hint());
    }
  }
  if (!copy.checksum.empty()) {
    check_checksum(copy, place);
  }
  for (const std::string& source : copy.sources) {
    if (!copy.add && source_kind(source) != SourceKind::kLocal) {
      throw place.error(fmt::format("the source of COPY can't be a {}: {}", source_kind(source) == SourceKind::kGit ? "git ref or URL" : "URL", text::quoted(source)),
                        fmt::format("ADD fetches: ADD {} {}", source, copy.destination));
    }
  }
}

SourceKind source_kind(std::string_view text) {
  const std::string lower = text::lower(text.substr(0, 8));
  if (lower.starts_with("http://") || lower.starts_with("https://")) {
    const std::string_view path = text.substr(0, text.find_first_of("?#"));
    return path.ends_with(".git") ? SourceKind::kGit : SourceKind::kHttp;
  }
  if (lower.starts_with("git://") || lower.starts_with("ssh://")) {
    return SourceKind::kGit;
  }
  // user@host:path, as ssh and scp take it.
  const size_t at = text.find('@');
  const size_t colon = text.find(':');
  if (at == 0 || at == std::string_view::npos || colon == std::string_view::npos || colon < at + 2) {
    return SourceKind::kLocal;
  }
  const auto is_word = [](char c) { return std::isalnum(static_cast<unsigned char>(c)) != 0 || c == '-' || c == '_'; };
  const std::string_view user = text.substr(0, at);
  const std::string_view host = text.substr(at + 1, colon - at - 1);
  const bool remote = std::all_of(user.begin(), user.end(), is_word) &&
                      std::all_of(host.begin(), host.end(), [&](char c) { return is_word(c) || c == '.'; });
  return remote ? SourceKind::kGit : SourceKind::kLocal;
}

}  // namespace jigsaw::build

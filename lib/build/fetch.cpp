#include "build/fetch.h"

#include <fcntl.h>
#include <poll.h>
#include <sys/stat.h>
#include <unistd.h>

#include <filesystem>

#include "base/error.h"
#include "base/interruption.h"
#include "base/text.h"
#include "build/archive.h"
#include "build/glob.h"
#include "build/tree.h"
#include "image/decompress.h"
#include "process/exec.h"
#include "process/own_program.h"
#include "process/spawn.h"

namespace jigsaw::build {
namespace {

struct Helper {
  std::vector<std::string> arguments;
  std::vector<std::string> environment = process::current_environment();
  std::string directory;
  int input = -1;   // nothing: /dev/null
  int output = 2;   // what it prints is progress
  int errors = 2;
};

process::ExitStatus run_helper(const Helper& helper) {
  const Fd nothing = files::open("/dev/null", O_RDWR);
  process::Child child = process::spawn(
      {.why = "a program of its own fetches what comes from elsewhere"}, [&](process::Gate&) -> int {
        check(::dup2(helper.input < 0 ? nothing.get() : helper.input, 0), "give a helper its standard input");
        const Fd errors = duplicate(helper.errors < 0 ? nothing.get() : helper.errors);
        check(::dup2(helper.output < 0 ? nothing.get() : helper.output, 1), "give a helper its standard output");
        check(::dup2(errors.get(), 2), "give a helper its standard error");
        if (!helper.directory.empty()) {
          check(::chdir(helper.directory.c_str()), "enter {}", helper.directory);
        }
        process::exec({.arguments = helper.arguments, .environment = helper.environment});
      });
  child.release();
  child.wait_started();
  pollfd end{child.pidfd(), POLLIN, 0};
  while (::poll(&end, 1, -1) < 0) {
    Interruption::check();
  }
  const process::ExitStatus status = child.wait();
  Interruption::check();  // a Ctrl-C ended it too, before we saw it
  return status;
}

enum class Failure { kThrow, kTell };

bool git(const std::string& directory, const std::vector<std::string>& words, Failure failure = Failure::kThrow) {
  Helper helper{.directory = directory, .errors = failure == Failure::kTell ? -1 : 2};
  helper.arguments = {"git", "-c", "protocol.ext.allow=never", "-c", "core.hooksPath=/dev/null", "-c",
                      "advice.detachedHead=false"};
  helper.arguments.insert(helper.arguments.end(), words.begin(), words.end());
  helper.environment.emplace_back("GIT_TERMINAL_PROMPT=0");
  const process::ExitStatus status = run_helper(helper);
  if (status.exit_code() != 0 && failure == Failure::kThrow) {
    throw fail("git {} failed with {}", words.front(), status.text());
  }
  return status.exit_code() == 0;
}

struct GitAddress {
  std::string remote, reference, directory, commit;
  bool keep_git_dir = false;
  bool submodules = true;
};

std::optional<std::string> percent_decoded(std::string_view text);

// The newer form: REPOSITORY.git?branch=NAME&subdir=PATH
void parse_git_query(GitAddress& result, std::string_view query, const std::string& address) {
  const auto set = [&](std::string& what, const std::string& value) {
    if (value.empty() || (!what.empty() && what != value)) {
      throw fail("'{}' names no single {} of a git repository", address, &what == &result.directory ? "directory" : "revision");
    }
    what = value;
  };
  for (const std::string_view part : text::split(query, '&')) {
    const size_t equals = part.find('=');
    const std::string key(part.substr(0, equals));
    const std::string value =
        equals == std::string_view::npos ? "" : percent_decoded(part.substr(equals + 1)).value_or("");
    const bool flag = value.empty() || value == "1" || value == "true";
    if (key == "ref") {
      set(result.reference, value);
    } else if (key == "branch" || key == "tag") {
      const std::string start = key == "tag" ? "refs/tags/" : "refs/heads/";
      set(result.reference, value.starts_with(start) ? value : start + value);
    } else if (key == "subdir") {
      set(result.directory, value);
    } else if (key == "commit" || key == "checksum") {
      set(result.commit, value);
    } else if (key == "keep-git-dir") {
      result.keep_git_dir = flag;
    } else if (key == "submodules") {
      result.submodules = flag;
    } else {
      throw fail("'{}': unexpected query {}", address, text::quoted(key))
          .with_hint("a git address knows ref, branch, tag, subdir, commit, keep-git-dir and submodules");
    }
  }
}

GitAddress parse_git_address(const std::string& address) {
  GitAddress result;
  const size_t hash = address.find('#');
  result.remote = address.substr(0, hash);
  if (result.remote.starts_with("github.com/")) {
    result.remote = "https://" + result.remote;
  }
  if (hash != std::string::npos) {
    const std::string fragment = address.substr(hash + 1);
    const size_t colon = fragment.find(':');
    result.reference = fragment.substr(0, colon);
    result.directory = colon == std::string::npos ? "" : fragment.substr(colon + 1);
  }
  if (const size_t query = result.remote.find('?'); query != std::string::npos) {
    const std::string text = result.remote.substr(query + 1);
    result.remote.resize(query);
    parse_git_query(result, text, address);
  }
  if (result.reference.starts_with('-') || result.remote.starts_with('-')) {
    throw fail("'{}' is no git repository's address", address);
  }
  return result;
}

// What `where` names, and what lies behind it. Quickest is the one commit; a server that does not give that, a server of
// plain files and a shortened commit need the whole history.
void check_out(const std::string& tree, const GitAddress& where) {
  const std::string wanted = !where.reference.empty() ? where.reference : !where.commit.empty() ? where.commit : "HEAD";
  if (git(tree, {"fetch", "-q", "--depth", "1", "origin", wanted}, Failure::kTell)) {
    git(tree, {"checkout", "-q", "FETCH_HEAD"});
    return;
  }
  git(tree, {"fetch", "-q", "--tags", "origin", "+refs/heads/*:refs/remotes/origin/*", "HEAD"});
  if (wanted == "HEAD") {
    git(tree, {"checkout", "-q", "FETCH_HEAD"});
    return;
  }
  const std::string branch = wanted.starts_with("refs/heads/") ? wanted.substr(11) : wanted;
  if (!git(tree, {"checkout", "-q", "--detach", "origin/" + branch}, Failure::kTell)) {
    git(tree, {"checkout", "-q", "--detach", wanted});
  }
}

// %41 -> A; nothing for a percent sign without two hex digits.
std::optional<std::string> percent_decoded(std::string_view text) {
  std::string result;
  for (size_t at = 0; at < text.size(); ++at) {
    if (text[at] != '%') {
      result += text[at];
      continue;
    }
    if (at + 2 >= text.size() || std::isxdigit(static_cast<unsigned char>(text[at + 1])) == 0 ||
        std::isxdigit(static_cast<unsigned char>(text[at + 2])) == 0) {
      return std::nullopt;
    }
    result += static_cast<char>(std::stoi(std::string(text.substr(at + 1, 2)), nullptr, 16));
    at += 2;
  }
  return result;
}

// What the file behind an address is called: the last name of its path.
std::string name_of_address(const std::string& address) {
  const size_t host = address.find("://") + 3;
  const std::string whole = address.substr(0, address.find_first_of("?#", host));
  const size_t slash = whole.find('/', host);
  const auto path = percent_decoded(slash == std::string::npos ? "/" : whole.substr(slash));
  // ".." and a zero byte have no place in a name; a name that the file system can't take stands for none either.
  const std::string name = path && path->find('\0') == std::string::npos ? base_name(*path) : "/";
  return name == "/" || name.size() > 255 ? "__unnamed__" : name;
}

}  // namespace

bool is_git_address(std::string_view text) {
  if (text.starts_with("git://") || text.starts_with("git@") || text.starts_with("ssh://") ||
      text.starts_with("github.com/")) {
    return true;
  }
  const std::string_view path = text.substr(0, text.find_first_of("?#"));
  return (text.starts_with("http://") || text.starts_with("https://")) && path.ends_with(".git");
}

bool is_web_address(std::string_view text) {
  return (text.starts_with("http://") || text.starts_with("https://")) && !is_git_address(text);
}

std::unique_ptr<files::TemporaryDirectory> fetch_file(const image::Store& store, const std::string& address,
                                                      const std::string& checksum) {
  auto directory = std::make_unique<files::TemporaryDirectory>(store.temporary_directory(), "fetch-");
  const std::string file = directory->path() + "/" + name_of_address(address);
  const process::ExitStatus status =
      run_helper({.arguments = {process::companion("jigsaw-transfer"), "fetch", "--output", file, address}});
  if (status.exit_code() != 0) {
    throw fail("{} can't be fetched", address);
  }
  check(::chmod(file.c_str(), 0600), "change the mode of {}", file);
  if (!checksum.empty()) {
    const image::Digest wanted = image::Digest::parse(checksum, "--checksum");
    image::Hasher hasher(wanted.algorithm());
    hasher.update(files::read(file, size_t{1} << 40));
    if (const image::Digest got = hasher.finish(); got != wanted) {
      throw fail("digest mismatch: {} has {}, not {}", address, got.text(), wanted.text());
    }
  }
  return directory;
}

std::unique_ptr<files::TemporaryDirectory> fetch_git(const image::Store& store, const std::string& address,
                                                     const Copy& copy) {
  const GitAddress where = parse_git_address(address);
  auto directory = std::make_unique<files::TemporaryDirectory>(store.temporary_directory(), "git-");
  const std::string tree = directory->path() + "/tree";
  files::make_directories(tree, 0755);
  git(tree, {"init", "-q"});
  git(tree, {"remote", "add", "origin", where.remote});
  try {
    check_out(tree, where);
  } catch (const Error& error) {
    throw Error(fmt::format("the git repository {} can't be fetched: {}", address, error.message()), error.hint());
  }
  if (where.submodules && files::exists(tree + "/.gitmodules")) {
    git(tree, {"submodule", "update", "-q", "--init", "--recursive", "--depth", "1"});
  }
  for (const std::string& commit : {copy.checksum, where.commit}) {
    const std::string head = files::read_if_exists(tree + "/.git/HEAD").value_or("");
    if (!commit.empty() && !head.starts_with(commit)) {
      throw fail("checksum mismatch: {} is at the commit {}, not {}", address, text::trim(head), commit);
    }
  }
  if (!copy.keep_git_dir.value_or(where.keep_git_dir)) {
    files::remove_tree(tree + "/.git");
  }
  Tree files_of_repository({tree});
  const std::string chosen = files_of_repository.resolve(clean_path(where.directory));
  auto result = std::make_unique<files::TemporaryDirectory>(store.temporary_directory(), "git-");
  if (!files::is_directory(tree + chosen)) {
    throw fail("{} holds no directory {}", where.remote, where.directory);
  }
  check(::rmdir(result->path().c_str()), "make room for {}", address);
  check(::rename((tree + chosen).c_str(), result->path().c_str()), "move the files of {}", address);
  check(::chmod(result->path().c_str(), 0755), "change the mode of {}", result->path());
  return result;
}

std::optional<Fd> decompress(const image::Store& store, int file) {
  Fd plain = files::open(store.temporary_directory(), O_TMPFILE | O_RDWR, 0600);
  check(::lseek(file, 0, SEEK_SET), "rewind a file");
  try {
    image::read_decompressed(file, "an archive",
                             [&](std::string_view bytes) { files::write_all(plain.get(), bytes, "an archive"); });
  } catch (const Error&) {
    return std::nullopt;  // it only looked like one: it is copied as it is
  }
  if (archive_kind(plain.get()) != ArchiveKind::kPlain) {
    return std::nullopt;
  }
  check(::lseek(plain.get(), 0, SEEK_SET), "rewind a file");
  return plain;
}

void run_transfer(const engine::Paths& paths, const std::vector<std::string>& words, const std::string& failure,
                  int output) {
  Helper helper{.arguments = {process::companion("jigsaw-transfer"), "--root", paths.root, "--run-root", paths.run_root}, .output = output};
  helper.arguments.insert(helper.arguments.end(), words.begin(), words.end());
  if (run_helper(helper).exit_code() != 0) {
    throw fail("{}", failure).with_hint("the last lines above say why; `jigsaw images` lists the images that are here");
  }
}

void pull_image(const engine::Paths& paths, const std::string& reference, const std::string& platform) {
  std::vector<std::string> words = {"pull", reference};
  if (!platform.empty()) {
    words.insert(words.begin() + 1, {"--platform", platform});
  }
  run_transfer(paths, words, fmt::format("the image {} can't be pulled", reference));
}

}  // namespace jigsaw::build

#include "base/journal.h"

#include <fcntl.h>
#include <signal.h>
#include <sys/file.h>
#include <sys/mount.h>
#include <sys/stat.h>
#include <unistd.h>

#include <algorithm>
#include <charconv>
#include <cstdlib>
#include <filesystem>

#include "base/error.h"
#include "base/explain.h"
#include "base/files.h"
#include "base/log.h"
#include "base/sys.h"
#include "base/text.h"

namespace jigsaw::journal {
namespace {

constexpr std::string_view kSuffix = ".record";
constexpr int kWaitForDeath = 2000;  // milliseconds

// One line: + or -, kind, and what with blanks and control bytes as %XX: a path may hold any byte.
std::string encode(std::string_view text) {
  std::string result;
  for (const char c : text) {
    const bool plain = c > ' ' && c != '%' && c != 127;
    result += plain ? std::string(1, c) : fmt::format("%{:02x}", static_cast<unsigned char>(c));
  }
  return result;
}

std::string decode(std::string_view text) {
  std::string result;
  for (size_t at = 0; at < text.size(); ++at) {
    const char* digits = text.data() + at + 1;
    unsigned byte = 0;
    if (text[at] == '%' && at + 2 < text.size() && std::from_chars(digits, digits + 2, byte, 16).ptr == digits + 2) {
      result += static_cast<char>(byte);
      at += 2;
    } else {
      result += text[at];  // in a record that somebody else wrote
    }
  }
  return result;
}

bool same(const Found& entry, std::string_view kind, std::string_view what) {
  return entry.kind == kind && entry.what == what;
}

void remove_entry(std::vector<Found>& entries, std::string_view kind, std::string_view what) {
  const auto at = std::find_if(entries.rbegin(), entries.rend(), [&](const Found& e) { return same(e, kind, what); });
  if (at != entries.rend()) {
    entries.erase(std::next(at).base());
  }
}

std::vector<Found> parse(std::string_view record) {
  std::vector<Found> result;
  // A last line without its newline was cut short by a full disk: what it would have said was never made.
  for (const std::string_view line : text::lines(record.substr(0, record.rfind('\n') + 1))) {
    const auto fields = text::split(line, ' ');
    if (fields.size() != 3) {
      continue;
    }
    const std::string what = decode(fields[2]);
    if (fields[0] == "+") {
      result.push_back({std::string(fields[1]), what, ""});
    } else {
      remove_entry(result, fields[1], what);
    }
  }
  return result;
}

// The last first: a mount goes before the directory it is on.
std::vector<Found> undo_all(const std::vector<Found>& noted, const Kinds& kinds) {
  std::vector<Found> result;
  for (auto entry = noted.rbegin(); entry != noted.rend(); ++entry) {
    result.push_back(*entry);
    const auto undo = kinds.find(entry->kind);
    try {
      if (undo == kinds.end()) {
        throw fail("this program does not know how to undo a {}", entry->kind);
      }
      explain::note(fmt::format("undo {} {}", entry->kind, entry->what), "the record of the run says that it was made");
      undo->second(entry->what);
    } catch (const Error& error) {
      result.back().problem = error.message();
    }
  }
  return result;
}

bool all_undone(const std::vector<Found>& entries) {
  return std::all_of(entries.begin(), entries.end(), [](const Found& entry) { return entry.problem.empty(); });
}

void warn_of_problems(const std::vector<Found>& entries) {
  for (const Found& entry : entries) {
    if (!entry.problem.empty()) {
      log::warning("{} {} is left: {}", entry.kind, entry.what, entry.problem);
    }
  }
}

void kill_process(const std::string& name) {
  const std::string_view pid_text = std::string_view(name).substr(0, name.find(':'));
  const auto pid = static_cast<pid_t>(text::parse_u64(pid_text, "pid", INT32_MAX));
  for (int waited = 0; process_name(pid) == name; waited += 5) {
    if (waited >= kWaitForDeath) {
      throw fail("process {} does not die", pid);
    }
    if (waited == 0) {
      sys::kill(pid, SIGKILL, "its run is gone");
    }
    ::usleep(5000);
  }
}

void detach_mount(const std::string& path) {
  if (::umount2(path.c_str(), MNT_DETACH | UMOUNT_NOFOLLOW) != 0 && errno != EINVAL && errno != ENOENT) {
    throw system_error(errno, fmt::format("unmount {}", path));
  }
}

void remove_file(const std::string& path) {
  if (::unlink(path.c_str()) != 0 && errno != ENOENT) {
    throw system_error(errno, fmt::format("remove {}", path));
  }
}

}  // namespace

std::string process_name(pid_t pid) {
  const auto stat = files::read_if_exists(fmt::format("/proc/{}/stat", pid));
  if (!stat) {
    return "";
  }
  // Fields after the name in parentheses, which may hold anything; [0] is the state, [19] the start time.
  const auto fields = text::words(std::string_view(*stat).substr(stat->rfind(')') + 1));
  if (fields.size() < 20 || fields[0] == "Z" || fields[0] == "X") {
    return "";
  }
  return fmt::format("{}:{}", pid, fields[19]);
}

std::string directory_for(const std::string& run_root) {
  if (!run_root.empty()) {
    return std::filesystem::absolute(run_root).lexically_normal().string() + "/records";
  }
  if (::geteuid() == 0) {
    return "/run/jigsaw/records";
  }
  const char* runtime = ::getenv("XDG_RUNTIME_DIR");
  return runtime != nullptr && runtime[0] == '/' ? fmt::format("{}/jigsaw/records", runtime)
                                                 : fmt::format("/tmp/jigsaw-{}/records", ::geteuid());
}

Kinds common_kinds() {
  return {{"directory", files::remove_tree}, {"file", remove_file}, {"mount", detach_mount}, {"process", kill_process}};
}

Record::Record(const std::string& directory, Kinds kinds) : kinds_(std::move(kinds)), owner_(::getpid()) {
  try {
    files::make_directories(directory, 0700);
  } catch (Error& error) {
    throw std::move(error).with_hint("choose another place for what runs note down, with --run-root");
  }
  struct stat place {};
  check(::stat(directory.c_str(), &place), "stat {}", directory);
  if (place.st_uid != ::geteuid()) {
    throw fail("{} belongs to another user", directory).with_hint("choose a place of your own with --run-root");
  }
  warn_of_problems(sweep(directory, kinds_));
  while (true) {
    path_ = fmt::format("{}/{}-{}{}", directory, owner_, files::random_hex(4), kSuffix);
    file_ = files::open(path_, O_WRONLY | O_APPEND | O_CREAT | O_EXCL);
    check(::flock(file_.get(), LOCK_EX), "lock {}", path_);
    struct stat status {};
    check(::fstat(file_.get(), &status), "stat {}", path_);
    if (status.st_nlink > 0) {
      return;  // else a sweep came in between and took the empty record for a dead one
    }
  }
}

Record::~Record() {
  if (::getpid() != owner_) {
    return;  // a clone's copy
  }
  try {
    warn_of_problems(undo());
  } catch (const std::exception& problem) {
    log::warning("cleaning up: {}", problem.what());
  }
}

void Record::write(char sign, std::string_view kind, std::string_view what) {
  files::write_all(file_.get(), fmt::format("{} {} {}\n", sign, kind, encode(what)), path_);
}

void Record::note(std::string_view kind, std::string_view what) {
  if (explain::on()) {
    explain::note(fmt::format("record {} {}", kind, what), "written down before it is made: the next run undoes it if we are killed");
  }
  write('+', kind, what);
  noted_.push_back({std::string(kind), std::string(what), ""});
}

void Record::forget(std::string_view kind, std::string_view what) {
  write('-', kind, what);
  remove_entry(noted_, kind, what);
}

void Record::leave_to_parent() {
  noted_.clear();
  file_.reset();
}

std::vector<Found> Record::undo() {
  std::vector<Found> result = undo_all(noted_, kinds_);
  noted_.clear();
  if (file_ && all_undone(result)) {
    remove_file(path_);
  }
  file_.reset();
  return result;
}

std::vector<Found> sweep(const std::string& directory, const Kinds& kinds) {
  std::vector<Found> result;
  if (!files::is_directory(directory)) {
    return result;
  }
  for (const std::string& name : files::list(directory)) {
    if (!name.ends_with(kSuffix)) {
      continue;
    }
    const std::string path = directory + "/" + name;
    const auto file = files::open_if_exists(path, O_RDONLY | O_NOFOLLOW);
    if (!file || ::flock(file->get(), LOCK_EX | LOCK_NB) != 0) {
      continue;  // its run lives, or another sweep is at work
    }
    const std::vector<Found> undone = undo_all(parse(files::read_fd(file->get(), path)), kinds);
    if (all_undone(undone)) {
      remove_file(path);
    }
    result.insert(result.end(), undone.begin(), undone.end());
  }
  return result;
}

std::string report(const std::vector<Found>& found) {
  std::string result;
  for (const Found& entry : found) {
    result += fmt::format("{} {}: {}\n", entry.kind, text::printable_line(entry.what),
                          entry.problem.empty() ? "undone" : entry.problem);
  }
  return result;
}

}  // namespace jigsaw::journal

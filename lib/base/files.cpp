#include "base/files.h"

#include <dirent.h>
#include <fcntl.h>
#include <sys/file.h>
#include <sys/random.h>
#include <sys/stat.h>
#include <unistd.h>

#include <algorithm>
#include <memory>

#include "base/error.h"
#include "base/interruption.h"
#include "base/text.h"

namespace jigsaw::files {
namespace {

struct CloseDirectory {
  void operator()(DIR* directory) const { ::closedir(directory); }
};
using Directory = std::unique_ptr<DIR, CloseDirectory>;

Directory directory_stream(Fd fd, std::string_view name) {
  DIR* stream = ::fdopendir(fd.get());
  if (stream == nullptr) {
    throw system_error(errno, fmt::format("list {}", name));
  }
  fd.release();
  return Directory(stream);
}

bool is_directory(DIR* directory, const dirent& entry) {
  struct stat status {};
  return entry.d_type == DT_DIR || (entry.d_type == DT_UNKNOWN &&
                                    ::fstatat(::dirfd(directory), entry.d_name, &status, AT_SYMLINK_NOFOLLOW) == 0 &&
                                    S_ISDIR(status.st_mode));
}

enum class Wanted { kAll, kDirectories };
std::vector<std::string> names_in(DIR* directory, Wanted wanted = Wanted::kAll) {
  std::vector<std::string> names;
  while (const dirent* entry = ::readdir(directory)) {
    const std::string_view name = entry->d_name;
    if (name != "." && name != ".." && (wanted == Wanted::kAll || is_directory(directory, *entry))) {
      names.emplace_back(name);
    }
  }
  std::sort(names.begin(), names.end());
  return names;
}

std::string read_to_end(int fd, std::string_view name, size_t limit, size_t expected) {
  std::string text;
  // Kernel files say size 0: start with a page and grow.
  text.resize(std::min(limit, std::max<size_t>(expected, 4095)) + 1);
  size_t used = 0;
  while (true) {
    const ssize_t got = ::read(fd, text.data() + used, text.size() - used);
    if (got < 0 && errno == EINTR) {
      continue;
    }
    check(got, "read {}", name);
    used += static_cast<size_t>(got);
    if (used > limit) {
      throw fail("{} is larger than {} bytes", name, limit);
    }
    if (got == 0) {
      text.resize(used);
      return text;
    }
    if (used == text.size()) {
      text.resize(std::min(limit + 1, text.size() * 2));
    }
  }
}

std::string read_regular(int fd, const std::string& path, size_t limit) {
  struct stat status {};
  check(::fstat(fd, &status), "stat {}", path);
  if (!S_ISREG(status.st_mode)) {
    throw fail("read {}: {}", path, S_ISDIR(status.st_mode) ? "it is a directory" : "it is not a regular file");
  }
  return read_to_end(fd, path, limit, static_cast<size_t>(status.st_size));
}

}  // namespace

Fd open(const std::string& path, int flags, mode_t mode) { return open_at(AT_FDCWD, path, flags, mode); }

Fd open_at(int directory, const std::string& path, int flags, mode_t mode) {
  return Fd(check(::openat(directory, path.c_str(), flags | O_CLOEXEC, mode), "open {}", path));
}

std::optional<Fd> open_if_exists(const std::string& path, int flags) {
  const int fd = ::open(path.c_str(), flags | O_CLOEXEC);
  if (fd < 0 && (errno == ENOENT || errno == ENOTDIR)) {
    return std::nullopt;
  }
  return Fd(check(fd, "open {}", path));
}

std::string read_fd(int fd, std::string_view name, size_t limit) {
  struct stat status {};
  check(::fstat(fd, &status), "stat {}", name);
  return read_to_end(fd, name, limit, static_cast<size_t>(status.st_size));
}

std::string read(const std::string& path, size_t limit) {
  const Fd fd = open(path, O_RDONLY | O_NONBLOCK | O_NOCTTY);
  return read_regular(fd.get(), path, limit);
}

std::optional<std::string> read_if_exists(const std::string& path, size_t limit) {
  const auto fd = open_if_exists(path, O_RDONLY | O_NONBLOCK | O_NOCTTY);
  if (!fd) {
    return std::nullopt;
  }
  try {
    return read_regular(fd->get(), path, limit);
  } catch (const Error& error) {
    if (error.error_number() == ESRCH) {  // a file of /proc whose process ended between open(2) and read(2)
      return std::nullopt;
    }
    throw;
  }
}

void write_all(int fd, std::string_view data, std::string_view name) {
  while (!data.empty()) {
    const ssize_t written = ::write(fd, data.data(), data.size());
    if (written < 0 && errno == EINTR) {
      continue;
    }
    check(written, "write {}", name);
    data.remove_prefix(static_cast<size_t>(written));
  }
}

void replace(const std::string& path, std::string_view text, ReplaceOptions options) {
  const std::string temporary = fmt::format("{}.tmp-{}", path, random_hex(6));
  try {
    const Fd fd = open(temporary, O_WRONLY | O_CREAT | O_EXCL | O_NOFOLLOW, options.mode);
    write_all(fd.get(), text, temporary);
    check(::fchmod(fd.get(), options.mode), "change the mode of {}", temporary);  // past the umask
    if (options.sync) {
      check(::fsync(fd.get()), "sync {}", temporary);
    }
    check(::rename(temporary.c_str(), path.c_str()), "rename {} to {}", temporary, path);
  } catch (...) {
    ::unlink(temporary.c_str());
    throw;
  }
  if (options.sync) {
    const size_t slash = path.rfind('/');
    const Fd directory = open(slash == std::string::npos ? "." : path.substr(0, slash + 1), O_RDONLY | O_DIRECTORY);
    ::fsync(directory.get());
  }
}

bool exists(const std::string& path) { return ::access(path.c_str(), F_OK) == 0; }

bool is_directory(const std::string& path) {
  struct stat status {};
  return ::stat(path.c_str(), &status) == 0 && S_ISDIR(status.st_mode);
}

void make_directories(const std::string& path, mode_t mode) {
  if (::mkdir(path.c_str(), mode) == 0 || (errno == EEXIST && is_directory(path))) {
    return;
  }
  if (errno == EEXIST) {
    throw system_error(ENOTDIR, fmt::format("make directory {}", path));  // "File exists" would be no help
  }
  const size_t slash = path.find_last_not_of('/') == std::string::npos
                           ? std::string::npos
                           : path.rfind('/', path.find_last_not_of('/'));
  if (errno != ENOENT || slash == std::string::npos || slash == 0) {
    throw system_error(errno, fmt::format("make directory {}", path));
  }
  make_directories(path.substr(0, slash), mode);
  if (::mkdir(path.c_str(), mode) != 0 && errno != EEXIST) {
    throw system_error(errno, fmt::format("make directory {}", path));
  }
}

std::vector<std::string> list(const std::string& directory) {
  return names_in(directory_stream(open(directory, O_RDONLY | O_DIRECTORY), directory).get());
}

std::vector<std::string> list_directories(const std::string& directory) {
  return names_in(directory_stream(open(directory, O_RDONLY | O_DIRECTORY), directory).get(), Wanted::kDirectories);
}

std::vector<std::string> list_fd(int directory) {
  return names_in(directory_stream(open_at(directory, ".", O_RDONLY | O_DIRECTORY), "a directory").get());
}

Lock Lock::take(const std::string& path, Mode mode) {
  Fd fd = files::open(path, O_RDWR | O_CREAT | O_NOFOLLOW, 0600);
  while (::flock(fd.get(), mode == Mode::kShared ? LOCK_SH : LOCK_EX) != 0) {
    if (errno != EINTR) {
      throw system_error(errno, fmt::format("lock {}", path));
    }
    Interruption::check();
  }
  return Lock(std::move(fd));
}

std::optional<Lock> Lock::try_take(const std::string& path, Mode mode) {
  Fd fd = files::open(path, O_RDWR | O_CREAT | O_NOFOLLOW, 0600);
  if (::flock(fd.get(), (mode == Mode::kShared ? LOCK_SH : LOCK_EX) | LOCK_NB) != 0) {
    if (errno == EWOULDBLOCK) {
      return std::nullopt;
    }
    throw system_error(errno, fmt::format("lock {}", path));
  }
  return Lock(std::move(fd));
}

TemporaryDirectory::TemporaryDirectory(const std::string& parent, std::string_view prefix)
    : path_(fmt::format("{}/{}{}", parent, prefix, random_hex(6))) {
  check(::mkdir(path_.c_str(), 0700), "make directory {}", path_);
}

TemporaryDirectory::~TemporaryDirectory() {
  try {
    remove_tree(path_);
  } catch (const Error&) {
    // A destructor can't report; what is left lies in a temporary directory and has our prefix.
  }
}

std::string random_hex(size_t bytes) {
  std::vector<unsigned char> data(bytes);
  size_t have = 0;
  while (have < bytes) {
    const ssize_t got = ::getrandom(data.data() + have, bytes - have, 0);
    have += static_cast<size_t>(check(got, "read random bytes"));
  }
  return text::hex(data);
}

}  // namespace jigsaw::files

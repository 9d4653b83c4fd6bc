// Files: whole reads with a limit, atomic writes, locks, and trees made and removed by descriptor.
//
// Anything that a learner would call "a kernel call worth seeing" is in sys.h; this is the plain traffic of a
// program with its own files.
#pragma once

#include <sys/types.h>

#include <cstdint>
#include <filesystem>
#include <functional>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "base/fd.h"

namespace jigsaw::files {

inline constexpr size_t kReadLimit = 64U << 20;  // bytes; larger files are refused, not read

// The whole file. Only regular files and, below /proc and /sys, their kernel files: never blocks on a FIFO.
// Throws if it can't be read or is larger than `limit` bytes.
std::string read(const std::string& path, size_t limit = kReadLimit);
std::optional<std::string> read_if_exists(const std::string& path, size_t limit = kReadLimit);
std::string read_fd(int fd, std::string_view name, size_t limit = kReadLimit);

// Opens with O_CLOEXEC; throws "open <path>: …".
Fd open(const std::string& path, int flags, mode_t mode = 0600);
Fd open_at(int directory, const std::string& path, int flags, mode_t mode = 0600);
std::optional<Fd> open_if_exists(const std::string& path, int flags);
// Writes all of it, whatever write(2) takes at a time. Throws.
void write_all(int fd, std::string_view data, std::string_view name);

struct ReplaceOptions {
  mode_t mode = 0600;  // whatever the umask
  bool sync = true;  // fsync the file and its directory: it survives a power cut
};
// Writes a temporary file beside `path` and renames it: readers see the old or the new text, never a part.
void replace(const std::string& path, std::string_view text, ReplaceOptions options = {});

bool exists(const std::string& path);  // follows links
bool is_directory(const std::string& path);
// mkdir -p; the ones that are made get `mode`.
void make_directories(const std::string& path, mode_t mode = 0755);
// Names in a directory, without . and .., sorted by byte.
std::vector<std::string> list(const std::string& directory);
// Only the directories in it; a link to one is none.
std::vector<std::string> list_directories(const std::string& directory);
std::vector<std::string> list_fd(int directory);

// Removes `name` below the directory descriptor with all it holds, following no link and crossing no mount.
// Directories without permissions are opened up first. What is gone already is no error.
void remove_tree_at(int directory, const std::string& name);
void remove_tree(const std::string& path);

// An advisory lock on a file, held until destruction (flock(2): the kernel lets go of it when the process dies).
class Lock {
 public:
  enum class Mode { kShared, kExclusive };
  static Lock take(const std::string& path, Mode mode = Mode::kExclusive);
  static std::optional<Lock> try_take(const std::string& path, Mode mode = Mode::kExclusive);
  int fd() const { return fd_.get(); }

 private:
  explicit Lock(Fd fd) : fd_(std::move(fd)) {}
  Fd fd_;
};

// A directory with a random name below `parent`, removed with its contents on destruction.
class TemporaryDirectory {
 public:
  explicit TemporaryDirectory(const std::string& parent = "/tmp", std::string_view prefix = "jigsaw-");
  ~TemporaryDirectory();
  TemporaryDirectory(const TemporaryDirectory&) = delete;
  TemporaryDirectory& operator=(const TemporaryDirectory&) = delete;
  const std::string& path() const { return path_; }

 private:
  std::string path_;
};

// `bytes` random bytes from the kernel, in lower-case hex.
std::string random_hex(size_t bytes);

}  // namespace jigsaw::files

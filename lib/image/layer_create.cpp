#include "image/layer_create.h"

#include <fcntl.h>
#include <sys/stat.h>
#include <sys/sysmacros.h>
#include <unistd.h>

#include <map>

#include "base/error.h"
#include "base/files.h"
#include "base/log.h"
#include "base/text.h"
#include "image/layer_parents.h"
#include "image/tar_writer.h"

namespace jigsaw::image {
namespace {

constexpr size_t kPiece = 256U << 10;  // bytes read at once

class Creator {
 public:
  Creator(const CreateOptions& options, const ByteSink& sink)
      : options_(options),
        xattrs_(options.privilege == Privilege::kRoot ? unionfs::Xattrs::kTrusted : unionfs::Xattrs::kUser),
        writer_(sink),
        buffer_(kPiece, '\0') {}

  void directory(int fd, const std::string& path);
  void root(int fd);
  LayerFacts finish() {
    writer_.finish();
    return facts_;
  }

 private:
  void entry(int parent, const std::string& name, const std::string& path);
  void file(int parent, const std::string& name, TarEntry entry);
  void marker(const std::string& path);
  TarEntry describe(const struct stat& status, const std::string& path) const;
  bool is_link_to_earlier(const struct stat& status, TarEntry& entry);
  void begin(const TarEntry& entry) {
    ++facts_.entries;
    writer_.begin(entry);
  }

  const CreateOptions& options_;
  unionfs::Xattrs xattrs_;
  TarWriter writer_;
  std::string buffer_;
  LayerFacts facts_{.implicit_root = true};
  std::map<std::pair<dev_t, ino_t>, std::string> linked_;  // files with several names: the first one seen
};

TarEntry Creator::describe(const struct stat& status, const std::string& path) const {
  TarEntry entry{.name = path,
                 .mode = status.st_mode & 07777U,
                 .uid = status.st_uid,
                 .gid = status.st_gid,
                 .mtime = {.tv_sec = status.st_mtim.tv_sec, .tv_nsec = 0}};
  if (options_.newest && entry.mtime.tv_sec > *options_.newest) {
    entry.mtime.tv_sec = *options_.newest;
  }
  return entry;
}

void Creator::marker(const std::string& path) {
  begin(TarEntry{.name = path, .mode = 0600, .mtime = {.tv_sec = options_.newest.value_or(0), .tv_nsec = 0}});
}

void Creator::root(int fd) {
  struct stat status {};
  check(::fstat(fd, &status), "stat the root of the layer");
  TarEntry entry = describe(status, "./");
  entry.type = TarType::kDirectory;
  entry.xattrs = read_xattrs(fd);
  begin(entry);
  facts_.implicit_root = false;
}

void Creator::directory(int fd, const std::string& path) {
  if (options_.form == LayerForm::kOverlay && !path.empty() && unionfs::is_opaque(fd, xattrs_)) {
    marker(path + ".wh..wh..opq");
  }
  for (const std::string& name : files::list_fd(fd)) {
    entry(fd, name, path + name);
  }
}

bool Creator::is_link_to_earlier(const struct stat& status, TarEntry& entry) {
  if (status.st_nlink < 2) {
    return false;
  }
  const auto [first, is_new] = linked_.try_emplace({status.st_dev, status.st_ino}, entry.name);
  if (!is_new) {
    entry.type = TarType::kHardLink;
    entry.link = first->second;
  }
  return !is_new;
}

void Creator::entry(int parent, const std::string& name, const std::string& path) {
  struct stat status {};
  check(::fstatat(parent, name.c_str(), &status, AT_SYMLINK_NOFOLLOW), "stat {}", text::quoted(path));
  if (options_.form == LayerForm::kOverlay && unionfs::is_whiteout(status)) {
    const std::string above = path.substr(0, path.size() - name.size());
    return marker(fmt::format("{}.wh.{}", above, name));
  }
  if (name.starts_with(".wh.")) {
    throw Error(fmt::format("{} can't be part of a layer", text::quoted(path)),
                "names that start with .wh. say in layers that something is gone");
  }
  TarEntry header = describe(status, path);
  if (S_ISDIR(status.st_mode)) {
    const Fd fd = files::open_at(parent, name, O_RDONLY | O_DIRECTORY | O_NOFOLLOW);
    header.type = TarType::kDirectory;
    header.name += "/";
    header.xattrs = read_xattrs(fd.get());
    begin(header);
    return directory(fd.get(), path + "/");
  }
  if (is_link_to_earlier(status, header)) {
    return begin(header);
  }
  if (S_ISREG(status.st_mode)) {
    return file(parent, name, std::move(header));
  }
  if (S_ISSOCK(status.st_mode)) {
    return log::debug("{} is a socket and left out of the layer", text::quoted(path));
  }
  header.xattrs = read_xattrs_of(fmt::format("/proc/self/fd/{}/{}", parent, name));
  if (S_ISLNK(status.st_mode)) {
    header.type = TarType::kSymlink;
    header.mode = 0777;
    std::string target(4096, '\0');
    target.resize(static_cast<size_t>(check(::readlinkat(parent, name.c_str(), target.data(), target.size()), "read the link {}", path)));
    header.link = std::move(target);
  } else {
    header.type = S_ISFIFO(status.st_mode)  ? TarType::kFifo
                  : S_ISCHR(status.st_mode) ? TarType::kCharacterDevice
                                            : TarType::kBlockDevice;
    header.device_major = S_ISFIFO(status.st_mode) ? 0 : major(status.st_rdev);
    header.device_minor = S_ISFIFO(status.st_mode) ? 0 : minor(status.st_rdev);
  }
  begin(header);
}

void Creator::file(int parent, const std::string& name, TarEntry entry) {
  const Fd fd = files::open_at(parent, name, O_RDONLY | O_NOFOLLOW | O_NONBLOCK);
  struct stat status {};
  check(::fstat(fd.get(), &status), "stat {}", text::quoted(entry.name));
  entry.size = static_cast<uint64_t>(status.st_size);
  entry.xattrs = read_xattrs(fd.get());
  begin(entry);
  uint64_t left = entry.size;
  while (left > 0) {
    const ssize_t got = check(::read(fd.get(), buffer_.data(), std::min<uint64_t>(left, buffer_.size())), "read {}", entry.name);
    if (got == 0) {
      throw fail("{} became shorter while it was read", text::quoted(entry.name));
    }
    writer_.data(std::string_view(buffer_).substr(0, static_cast<size_t>(got)));
    left -= static_cast<uint64_t>(got);
  }
  facts_.bytes += entry.size;
}

}  // namespace

LayerFacts create_layer_at(int directory, const CreateOptions& options, const ByteSink& sink) {
  Creator creator(options, sink);
  if (options.root_entry == CreateOptions::RootEntry::kInclude) {
    creator.root(directory);
  }
  creator.directory(directory, "");
  return creator.finish();
}

LayerFacts create_layer(const std::string& directory, const CreateOptions& options, const ByteSink& sink) {
  return create_layer_at(files::open(directory, O_RDONLY | O_DIRECTORY).get(), options, sink);
}

}  // namespace jigsaw::image

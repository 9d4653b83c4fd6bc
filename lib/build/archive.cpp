#include "build/archive.h"

#include <fcntl.h>
#include <sys/sysmacros.h>
#include <sys/xattr.h>
#include <unistd.h>

#include <array>

#include "base/error.h"
#include "base/files.h"
#include "build/glob.h"
#include "image/tar_fields.h"
#include "image/tar_reader.h"
#include "unionfs/whiteout.h"

namespace jigsaw::build {
namespace {

using image::TarEntry;
using image::TarType;

class Unpacker : public image::TarSink {
 public:
  Unpacker(LayerWriter& layer, std::string destination, const CopyOptions& options)
      : layer_(layer), destination_(std::move(destination)), options_(options) {}

  void begin(const TarEntry& entry) override {
    entry_ = entry;
    path_ = place_of(entry.name);
    if (path_ == destination_) {
      path_.clear();  // the archive's "./": the destination has its own owner and mode
      return;
    }
    layer_.make_directories(parent_path(path_), {.mode = 0755, .time = options_.time});
    clear_the_way();
    switch (entry.type) {
      case TarType::kFile: file_ = layer_.create_file(path_); return;
      case TarType::kDirectory: return make_directory();
      case TarType::kSymlink: return layer_.make_link(path_, entry.link, attributes());
      case TarType::kHardLink: return hard_link();
      case TarType::kCharacterDevice: return node(S_IFCHR);
      case TarType::kBlockDevice: return node(S_IFBLK);
      case TarType::kFifo: return node(S_IFIFO);
    }
  }

  void data(uint64_t offset, std::string_view bytes) override {
    while (file_ && !bytes.empty()) {
      const ssize_t written =
          check(::pwrite(file_.get(), bytes.data(), bytes.size(), static_cast<off_t>(offset)), "write {}", path_);
      offset += static_cast<uint64_t>(written);
      bytes.remove_prefix(static_cast<size_t>(written));
    }
  }

  void end() override {
    if (file_) {
      check(::ftruncate(file_.get(), static_cast<off_t>(entry_.size)), "set the size of {}", path_);
      finish(file_.get());
      file_.reset();
    }
  }

 private:
  // Where a name of the archive belongs; links in its directories are followed as if the destination were the root.
  std::string place_of(const std::string& name) {
    size_t depth = 0;
    for (size_t at = 0; at <= name.size();) {
      const size_t slash = std::min(name.find('/', at), name.size());
      const std::string_view part = std::string_view(name).substr(at, slash - at);
      if (part == ".." && depth-- == 0) {
        throw fail("the archive holds '{}', which leads out of the destination", name);
      }
      depth += !part.empty() && part != "." && part != ".." ? 1 : 0;
      at = slash + 1;
    }
    return layer_.tree().resolve(name, Tree::LastLink::kKeep, destination_);
  }

  void clear_the_way() {
    const std::optional<Tree::Node> there = layer_.tree().find(path_);
    if (there && !(S_ISDIR(there->status.st_mode) && entry_.type == TarType::kDirectory)) {
      layer_.remove(path_);
    }
  }

  Attributes attributes() const {
    const Owner own{static_cast<uid_t>(entry_.uid), static_cast<gid_t>(entry_.gid)};
    return {options_.owner.value_or(own), entry_.mode & 07777, options_.time.value_or(entry_.mtime)};
  }

  void finish(int fd) {
    for (const auto& [name, value] : entry_.xattrs) {
      if (!unionfs::is_overlay_attribute(name)) {
        ::fsetxattr(fd, name.c_str(), value.data(), value.size(), 0);  // as far as the file system takes them
      }
    }
    layer_.set_attributes(fd, path_, attributes());
  }

  void make_directory() {
    if (!layer_.tree().find(path_)) {
      layer_.make_directory(path_, attributes());
    }
    const Fd made = files::open_at(layer_.directory(path_), ".", O_RDONLY | O_DIRECTORY);
    finish(made.get());
  }

  void hard_link() {
    const std::string target = place_of(entry_.link);
    const std::optional<Tree::Node> node = layer_.tree().find(target);
    if (!node || S_ISDIR(node->status.st_mode)) {
      throw fail("the archive links '{}' to '{}', which is no file in it", entry_.name, entry_.link);
    }
    if (node->layer != 0) {
      throw fail("the archive links '{}' to '{}', which is not in the archive", entry_.name, entry_.link);
    }
    layer_.make_hard_link(path_, target);
  }

  void node(mode_t type) {
    layer_.make_node(path_, type, makedev(entry_.device_major, entry_.device_minor), attributes());
  }

  LayerWriter& layer_;
  std::string destination_;
  const CopyOptions& options_;
  TarEntry entry_;
  std::string path_;
  Fd file_;
};

}  // namespace

ArchiveKind archive_kind(int fd) {
  std::array<char, image::kTarBlock> block{};
  const ssize_t got = ::pread(fd, block.data(), block.size(), 0);
  const std::string_view start(block.data(), got > 0 ? static_cast<size_t>(got) : 0);
  using namespace std::string_view_literals;
  for (const std::string_view magic : {"\x1F\x8B\x08"sv, "BZh"sv, "\xFD" "7zXZ\0"sv, "\x28\xB5\x2F\xFD"sv}) {
    if (start.starts_with(magic)) {
      return ArchiveKind::kCompressed;
    }
  }
  if (start.size() < block.size()) {
    return ArchiveKind::kNone;
  }
  const auto* header = reinterpret_cast<const image::TarHeaderBlock*>(block.data());
  return image::tar_checksum_fits(*header) ? ArchiveKind::kPlain : ArchiveKind::kNone;
}

void unpack_archive(LayerWriter& layer, int fd, const std::string& name, const std::string& destination,
                    const CopyOptions& options) {
  const std::string target = layer.tree().resolve(clean_path(destination));
  layer.make_directories(target, {.owner = options.owner.value_or(Owner{}), .mode = 0755, .time = options.time});
  Unpacker unpacker(layer, target, options);
  image::TarReader reader(unpacker);
  std::vector<char> buffer(1 << 20);
  while (true) {
    const ssize_t got = ::read(fd, buffer.data(), buffer.size());
    if (got < 0 && errno == EINTR) {
      continue;
    }
    if (check(got, "read {}", name) == 0) {
      break;
    }
    reader.feed({buffer.data(), static_cast<size_t>(got)});
  }
  reader.finish();
}

}  // namespace jigsaw::build

#include "image/layer_entry.h"

#include <fcntl.h>
#include <sys/stat.h>
#include <sys/sysmacros.h>
#include <unistd.h>

#include "base/error.h"
#include "base/files.h"
#include "base/log.h"
#include "base/text.h"

namespace jigsaw::image {

using Missing = LayerTree::Missing;

EntryAttributes attributes_of_entry(const TarEntry& entry) {
  return EntryAttributes{
      .mode = entry.mode, .uid = entry.uid, .gid = entry.gid, .mtime = entry.mtime, .xattrs = entry.xattrs};
}

std::string clean_path(std::string_view name) {
  std::string result;
  result.reserve(name.size());
  size_t depth = 0;
  while (!name.empty()) {
    const size_t slash = name.find('/');
    const std::string_view part = name.substr(0, slash);
    name = slash == std::string_view::npos ? std::string_view() : name.substr(slash + 1);
    if (part.empty() || part == ".") {
      continue;
    }
    if (part == "..") {
      const size_t last = result.rfind('/');
      result.resize(last == std::string::npos ? 0 : last);
      depth -= depth > 0 ? 1 : 0;
      continue;
    }
    if (++depth > kDepthLimit) {
      throw fail("more than {} directories within one another", kDepthLimit);
    }
    result += result.empty() ? "" : "/";
    result += part;
  }
  return result;
}

void EntryMaker::begin(const TarEntry& entry) {
  ++facts_.entries;
  try {
    name_ = clean_path(entry.name);
    const size_t slash = name_.rfind('/');
    parent_ = slash == std::string::npos ? "" : name_.substr(0, slash);
    base_ = slash == std::string::npos ? name_ : name_.substr(slash + 1);
    make(entry);
  } catch (Error& error) {
    throw std::move(error).in(fmt::format("entry {} of the layer", text::quoted(entry.name)));
  }
}

void EntryMaker::make(const TarEntry& entry) {
  constexpr std::string_view kWhiteout = ".wh.";
  constexpr std::string_view kOpaque = ".wh..wh..opq";
  constexpr std::string_view kMetadata = ".wh..wh.";
  if (name_.empty()) {
    return make_root(entry);
  }
  if (base_ == kOpaque) {
    return clear_opaque(parent_);
  }
  if (base_.starts_with(kMetadata) || name_.starts_with(kMetadata)) {
    if (parent_ == kPseudoLinks && entry.type == TarType::kFile) {
      make_pseudo_link(entry);
    }
    return;  // aufs kept its own books under such names
  }
  if (base_.starts_with(kWhiteout)) {
    return white_out(parent_, base_.substr(kWhiteout.size()));
  }
  switch (entry.type) {
    case TarType::kFile:
      return make_file(entry);
    case TarType::kDirectory:
      return make_directory(entry);
    case TarType::kHardLink:
      return make_hard_link(entry);
    case TarType::kSymlink:
      return make_symlink(entry);
    default:
      return make_special(entry);
  }
}

void EntryMaker::make_root(const TarEntry& entry) {
  if (entry.type != TarType::kDirectory) {
    throw fail("the root of a layer can only be a directory");
  }
  facts_.implicit_root = false;
  tree_.set_pending("", {.origin = PendingDirectory::Origin::kArchive,
                         .attributes = attributes_of_entry(entry),
                         .existed = form_ == LayerForm::kPlain});
}

void EntryMaker::make_directory(const TarEntry& entry) {
  const int directory = *tree_.enter(parent_, Missing::kMake);
  PendingDirectory pending{.origin = PendingDirectory::Origin::kArchive, .attributes = attributes_of_entry(entry)};
  const std::string path = tree_.path_of(base_);
  if (::mkdirat(directory, base_.c_str(), 0700) != 0) {
    struct stat status {};
    if (errno != EEXIST || ::fstatat(directory, base_.c_str(), &status, AT_SYMLINK_NOFOLLOW) != 0) {
      throw system_error(errno, "make directory");
    }
    if (S_ISDIR(status.st_mode)) {
      pending.existed = true;
    } else {
      tree_.remove(base_);
      check(::mkdirat(directory, base_.c_str(), 0700), "make directory");
      if (form_ == LayerForm::kOverlay) {
        tree_.make_opaque_directory(base_);  // a whiteout or a file of this layer had hidden what is below
      }
    }
  }
  tree_.set_pending(path, std::move(pending));
  tree_.forget_whiteout_only(path);
  touch(path);
}

void EntryMaker::make_file(const TarEntry& entry) {
  const int directory = *tree_.enter(parent_, Missing::kMake);
  in_setgid_ = tree_.here_is_setgid();
  attributes_ = attributes_of_entry(entry);
  // Setuid bits come after the owner.
  file_ = Fd(make_or_replace(tree_, base_, "file", [&] {
    return ::openat(directory, base_.c_str(), O_WRONLY | O_CREAT | O_EXCL | O_NOFOLLOW | O_CLOEXEC, entry.mode & 0777);
  }));
  position_ = 0;
  size_ = entry.size;
  facts_.bytes += entry.size;
  touch(tree_.path_of(base_));
}

void EntryMaker::data(uint64_t offset, std::string_view bytes) {
  if (!file_) {
    return;  // what a whiteout or a book of aufs holds is of no interest
  }
  if (offset != position_) {
    check(::lseek(file_.get(), static_cast<off_t>(offset), SEEK_SET), "seek in {}", text::quoted(name_));
  }
  files::write_all(file_.get(), bytes, name_);
  position_ = offset + bytes.size();
}

void EntryMaker::end() {
  if (file_) {
    try {
      finish_file();
    } catch (Error& error) {
      throw std::move(error).in(fmt::format("entry {} of the layer", text::quoted(name_)));
    }
  }
}

void EntryMaker::finish_file() {
  if (position_ != size_) {
    check(::ftruncate(file_.get(), static_cast<off_t>(size_)), "make it {} bytes long", size_);
  }
  tree_.setter().set(file_.get(), attributes_, {.fresh = true, .in_setgid_directory = in_setgid_}, name_);
  file_.reset();
}

void EntryMaker::make_symlink(const TarEntry& entry) {
  const int directory = *tree_.enter(parent_, Missing::kMake);
  make_or_replace(tree_, base_, "link", [&] { return ::symlinkat(entry.link.c_str(), directory, base_.c_str()); });
  tree_.setter().set_at(directory, base_, attributes_of_entry(entry), AttributeSetter::HasMode::kNo,
                        {.fresh = true, .in_setgid_directory = tree_.here_is_setgid()});
  touch(tree_.path_of(base_));
}

void EntryMaker::make_special(const TarEntry& entry) {
  const int directory = *tree_.enter(parent_, Missing::kMake);
  const mode_t kind = entry.type == TarType::kFifo              ? S_IFIFO
                      : entry.type == TarType::kCharacterDevice ? S_IFCHR
                                                                : S_IFBLK;
  const dev_t device = kind == S_IFIFO ? 0 : ::makedev(entry.device_major, entry.device_minor);
  if (form_ == LayerForm::kOverlay && kind == S_IFCHR && device == 0) {
    return white_out(parent_, base_);  // to overlayfs the device 0:0 is nothing else
  }
  const auto call = [&] { return ::mknodat(directory, base_.c_str(), kind | 0600, device); };
  int rc = call();
  if (rc < 0 && errno == EEXIST) {
    tree_.remove(base_);
    rc = call();
  }
  if (rc < 0 && errno == EPERM && kind != S_IFIFO) {
    log::warning("{}: devices can't be made here; it is left out", text::quoted(name_));
    left_out_.insert(name_);
    return;
  }
  check(rc, "make a special file");
  tree_.setter().set_at(directory, base_, attributes_of_entry(entry), AttributeSetter::HasMode::kYes,
                        {.fresh = true, .in_setgid_directory = tree_.here_is_setgid()});
  touch(tree_.path_of(base_));
}

}  // namespace jigsaw::image

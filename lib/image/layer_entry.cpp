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
namespace {

using Missing = LayerTree::Missing;

EntryAttributes attributes_of_entry(const TarEntry& entry) {
  return EntryAttributes{
      .mode = entry.mode, .uid = entry.uid, .gid = entry.gid, .mtime = entry.mtime, .xattrs = entry.xattrs};
}

// Makes something under a name that should be free. If it is not, what is there goes first. `call` returns < 0 with
// errno set when it fails.
template <class Call>
auto make_or_replace(LayerTree& tree, const std::string& name, std::string_view what, Call call) {
  auto rc = call();
  if (rc < 0 && errno == EEXIST) {
    tree.remove(name);
    rc = call();
  }
  return check(rc, "make {}", what);
}

}  // namespace

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
  tree_.setter().set_at(directory, base_, attributes_of_entry(entry), AttributeSetter::HasMode::kNo);
  touch(tree_.path_of(base_));
}

void EntryMaker::make_hard_link(const TarEntry& entry) {
  const std::string target = clean_path(entry.link);
  const size_t slash = target.rfind('/');
  const std::string target_parent = slash == std::string::npos ? "" : target.substr(0, slash);
  const std::string target_name = slash == std::string::npos ? target : target.substr(slash + 1);
  if (left_out_.contains(target)) {
    left_out_.insert(name_);
    return;
  }
  if (target.empty()) {
    throw fail("a hard link to the root directory can't be made");
  }
  Fd source;
  const auto look = [&] {
    struct stat status {};
    const auto found = tree_.enter(target_parent, Missing::kLeave);
    if (found && ::fstatat(*found, target_name.c_str(), &status, AT_SYMLINK_NOFOLLOW) == 0 &&
        !(form_ == LayerForm::kOverlay && unionfs::is_whiteout(status))) {
      source = duplicate(*found);
    }
    return static_cast<bool>(source);
  };
  if (!look()) {
    const bool isolated = form_ == LayerForm::kOverlay && tree_.parents().empty();
    if (isolated) {
      waits_for_ = target;
      tree_.set_depends();
      return;
    }
    if (form_ == LayerForm::kPlain || !copy_up(target) || !look()) {
      throw fail("hard link to {}, which does not exist", text::quoted(entry.link));
    }
  }
  const int directory = *tree_.enter(parent_, Missing::kMake);
  make_or_replace(tree_, base_, "hard link", [&] {
    return ::linkat(source.get(), target_name.c_str(), directory, base_.c_str(), 0);
  });
  touch(tree_.path_of(base_));
}

// Brings a file of the parents into this layer, as overlayfs does on the first write: a link needs something to link to.
bool EntryMaker::copy_up(const std::string& target) {
  const size_t slash = target.rfind('/');
  const auto directory = tree_.enter(slash == std::string::npos ? "" : target.substr(0, slash), Missing::kMakeForWhiteout);
  const std::string name = slash == std::string::npos ? target : target.substr(slash + 1);
  struct stat own {};
  if (!directory || tree_.here_is_detached() || ::fstatat(*directory, name.c_str(), &own, AT_SYMLINK_NOFOLLOW) == 0) {
    return false;
  }
  const Below below = tree_.parents().find(tree_.path_of(name));
  if (below.kind != Below::Kind::kOther && below.kind != Below::Kind::kSymlink) {
    return false;
  }
  EntryAttributes attributes = attributes_of(below.status);
  if (below.kind == Below::Kind::kSymlink) {
    check(::symlinkat(below.target.c_str(), *directory, name.c_str()), "copy a link");
    tree_.setter().set_at(*directory, name, attributes, AttributeSetter::HasMode::kNo);
    return true;
  }
  if (!S_ISREG(below.status.st_mode)) {
    check(::mknodat(*directory, name.c_str(), below.status.st_mode, below.status.st_rdev), "copy a special file");
    tree_.setter().set_at(*directory, name, attributes, AttributeSetter::HasMode::kYes);
    return true;
  }
  const Fd from = files::open(fmt::format("/proc/self/fd/{}", below.entry.get()), O_RDONLY);
  const Fd to = files::open_at(*directory, name, O_WRONLY | O_CREAT | O_EXCL | O_NOFOLLOW, 0600);
  std::string buffer(1U << 16, '\0');
  for (ssize_t got = 0; (got = check(::read(from.get(), buffer.data(), buffer.size()), "read {}", name)) > 0;) {
    files::write_all(to.get(), std::string_view(buffer).substr(0, static_cast<size_t>(got)), name);
  }
  attributes.xattrs = read_xattrs(from.get());
  tree_.setter().set(to.get(), attributes, {}, name);
  return true;
}

void EntryMaker::make_special(const TarEntry& entry) {
  const int directory = *tree_.enter(parent_, Missing::kMake);
  const mode_t kind = entry.type == TarType::kFifo              ? S_IFIFO
                      : entry.type == TarType::kCharacterDevice ? S_IFCHR
                                                                : S_IFBLK;
  const dev_t device = kind == S_IFIFO ? 0 : ::makedev(entry.device_major, entry.device_minor);
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
  tree_.setter().set_at(directory, base_, attributes_of_entry(entry), AttributeSetter::HasMode::kYes);
  touch(tree_.path_of(base_));
}

}  // namespace jigsaw::image

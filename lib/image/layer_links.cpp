// Hard links: within the layer, to a file of the layers below, and to those that aufs kept apart.
#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/error.h"
#include "base/files.h"
#include "base/text.h"
#include "image/layer_entry.h"

namespace jigsaw::image {

using Missing = LayerTree::Missing;

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
    if (target_parent == kPseudoLinks && pseudo_links_) {
      source = duplicate(pseudo_links_.get());
    } else if (found && ::fstatat(*found, target_name.c_str(), &status, AT_SYMLINK_NOFOLLOW) == 0 &&
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
  make_or_replace(tree_, base_, "hard link",
                  [&] { return ::linkat(source.get(), target_name.c_str(), directory, base_.c_str(), 0); });
  describe_link(directory, entry);
  touch(tree_.path_of(base_));
}

// A link's header describes the file again, nearly always in the same words. Where they differ the later ones count, as
// they do for containerd, Docker and podman. What is the same is not set: a chown takes file capabilities away.
void EntryMaker::describe_link(int directory, const TarEntry& entry) {
  struct stat status {};
  check(::fstatat(directory, base_.c_str(), &status, AT_SYMLINK_NOFOLLOW), "stat {}", text::quoted(name_));
  const bool is_link = S_ISLNK(status.st_mode);
  const bool same_owner = status.st_uid == entry.uid && status.st_gid == entry.gid;
  const bool same = same_owner &&
                    (is_link || (status.st_mode & 07777U) == entry.mode) && status.st_mtim.tv_sec == entry.mtime.tv_sec &&
                    status.st_mtim.tv_nsec == entry.mtime.tv_nsec && entry.xattrs.empty();
  if (!same) {
    tree_.setter().set_at(directory, base_, attributes_of_entry(entry),
                          is_link ? AttributeSetter::HasMode::kNo : AttributeSetter::HasMode::kYes,
                          {.owner_is_right = same_owner});
  }
}

// Brings a file of the parents into this layer, as overlayfs does on the first write: a link needs something
// to link to.
bool EntryMaker::copy_up(const std::string& target) {
  const size_t slash = target.rfind('/');
  const auto directory =
      tree_.enter(slash == std::string::npos ? "" : target.substr(0, slash), Missing::kMakeForWhiteout);
  const std::string name = slash == std::string::npos ? target : target.substr(slash + 1);
  struct stat own {};
  if (!directory || tree_.here_is_detached() ||
      ::fstatat(*directory, name.c_str(), &own, AT_SYMLINK_NOFOLLOW) == 0) {
    return false;
  }
  const Below below = tree_.parents().find(tree_.path_of(name));
  if (below.kind != Below::Kind::kOther && below.kind != Below::Kind::kSymlink) {
    return false;
  }
  copied_up_.insert(tree_.path_of(name));
  EntryAttributes attributes = attributes_of(below.status);
  if (below.kind == Below::Kind::kSymlink) {
    check(::symlinkat(below.target.c_str(), *directory, name.c_str()), "copy a link");
    tree_.setter().set_at(*directory, name, attributes, AttributeSetter::HasMode::kNo, {});
    return true;
  }
  if (!S_ISREG(below.status.st_mode)) {
    check(::mknodat(*directory, name.c_str(), below.status.st_mode, below.status.st_rdev),
          "copy a special file");
    tree_.setter().set_at(*directory, name, attributes, AttributeSetter::HasMode::kYes, {});
    return true;
  }
  const Fd from = files::open(fmt::format("/proc/self/fd/{}", below.entry.get()), O_RDONLY);
  const Fd to = files::open_at(*directory, name, O_WRONLY | O_CREAT | O_EXCL | O_NOFOLLOW, 0600);
  std::string buffer(1U << 16, '\0');
  for (ssize_t got = 0;
       (got = check(::read(from.get(), buffer.data(), buffer.size()), "read {}", name)) > 0;) {
    files::write_all(to.get(), std::string_view(buffer).substr(0, static_cast<size_t>(got)), name);
  }
  attributes.xattrs = read_xattrs(from.get());
  tree_.setter().set(to.get(), attributes, {}, name);
  return true;
}

void EntryMaker::make_pseudo_link(const TarEntry& entry) {
  const int root = *tree_.enter("", Missing::kMake);
  if (!pseudo_links_) {
    check(::mkdirat(root, kPseudoLinks, 0700), "make directory {}", kPseudoLinks);
    pseudo_links_ = files::open_at(root, kPseudoLinks, O_PATH | O_DIRECTORY | O_NOFOLLOW);
  }
  ::unlinkat(pseudo_links_.get(), base_.c_str(), 0);
  in_setgid_ = tree_.here_is_setgid();
  attributes_ = attributes_of_entry(entry);
  file_ =
      files::open_at(pseudo_links_.get(), base_, O_WRONLY | O_CREAT | O_EXCL | O_NOFOLLOW, entry.mode & 0777);
  position_ = 0;
  size_ = entry.size;
}

void EntryMaker::drop_pseudo_links() {
  if (pseudo_links_) {
    tree_.enter("", Missing::kMake);
    tree_.remove(kPseudoLinks);
    pseudo_links_.reset();
  }
}

}  // namespace jigsaw::image

// Whiteouts in a layer's tar form: .wh.NAME says that NAME of the lower layers is gone, .wh..wh..opq that all of the
// lower layers' directory is. They never touch what the same layer brings, in whatever order the entries come.
#include <fcntl.h>
#include <sys/stat.h>

#include "base/error.h"
#include "base/files.h"
#include "base/text.h"
#include "image/layer_entry.h"

namespace jigsaw::image {

using Missing = LayerTree::Missing;

void EntryMaker::touch(const std::string& path) {
  copied_up_.erase(path);
  if (form_ != LayerForm::kPlain) {
    return;
  }
  std::string at = path;
  while (!at.empty() && touched_.insert(at).second) {
    const size_t slash = at.rfind('/');
    at.resize(slash == std::string::npos ? 0 : slash);
  }
}

void EntryMaker::white_out(const std::string& parent, const std::string& name) {
  if (name.empty() || name == "." || name == "..") {
    throw Error(fmt::format("a whiteout of {} is none", text::quoted(name)),
                "an archive like this was made to delete what lies outside of the layer");
  }
  form_ == LayerForm::kPlain ? white_out_plain(parent, name) : white_out_overlay(parent, name);
}

// What was copied up from the layers below is theirs still: a whiteout takes it away.
void EntryMaker::drop_copies(const std::string& path) {
  for (auto copy = copied_up_.lower_bound(path); copy != copied_up_.end() && copy->starts_with(path);) {
    if (!path.empty() && copy->size() > path.size() && (*copy)[path.size()] != '/') {
      ++copy;
      continue;
    }
    const size_t slash = copy->rfind('/');
    if (tree_.enter(slash == std::string::npos ? "" : copy->substr(0, slash), Missing::kLeave)) {
      tree_.remove(slash == std::string::npos ? *copy : copy->substr(slash + 1));
    }
    copy = copied_up_.erase(copy);
  }
}

void EntryMaker::white_out_overlay(const std::string& parent, const std::string& name) {
  auto directory = tree_.enter(parent, Missing::kMakeForWhiteout);
  if (!directory || tree_.here_is_detached()) {
    return;
  }
  if (!copied_up_.empty()) {
    drop_copies(tree_.path_of(name));
    directory = tree_.enter(parent, Missing::kMakeForWhiteout);
  }
  const std::string path = tree_.path_of(name);
  if (tree_.only_for_whiteouts(path)) {
    tree_.remove(name);  // it was made for whiteouts in it, and is gone itself
  }
  struct stat status {};
  if (::fstatat(*directory, name.c_str(), &status, AT_SYMLINK_NOFOLLOW) != 0) {
    unionfs::make_whiteout(*directory, name);
    tree_.note_whiteout(path);
  } else if (S_ISDIR(status.st_mode)) {
    tree_.make_opaque_directory(name);
  }
}

// A directory that is merged with nothing shows its whiteouts as names that can't be opened: those go.
void EntryMaker::drop_idle_whiteouts(const LayerParents& parents) {
  for (const std::string& path : tree_.whiteouts()) {
    const size_t slash = path.rfind('/');
    const std::string above = slash == std::string::npos ? "" : path.substr(0, slash);
    const std::string name = slash == std::string::npos ? path : path.substr(slash + 1);
    const auto directory = tree_.enter(above, Missing::kLeave);
    struct stat status {};
    if (!directory || ::fstatat(*directory, name.c_str(), &status, AT_SYMLINK_NOFOLLOW) != 0 || !unionfs::is_whiteout(status)) {
      continue;
    }
    if (tree_.here_is_detached() || parents.find(above).kind != Below::Kind::kDirectory) {
      tree_.remove(name);
      tree_.restore_attributes(above);
      facts_.depends = true;
    }
  }
}

void EntryMaker::white_out_plain(const std::string& parent, const std::string& name) {
  const auto directory = tree_.enter(parent, Missing::kLeave);
  struct stat status {};
  if (!directory || ::fstatat(*directory, name.c_str(), &status, AT_SYMLINK_NOFOLLOW) != 0) {
    return;
  }
  const std::string path = tree_.path_of(name);
  if (!touched(path)) {
    tree_.remove(name);
  } else if (S_ISDIR(status.st_mode)) {
    clear_untouched(path);
  }
}

void EntryMaker::clear_opaque(const std::string& parent) {
  if (form_ == LayerForm::kPlain) {
    if (tree_.enter(parent, Missing::kLeave)) {
      clear_untouched(tree_.path());
    }
    return;
  }
  if (parent.empty()) {
    facts_.opaque_root = true;
  }
  if (tree_.enter(parent, Missing::kMakeForWhiteout)) {
    drop_copies(tree_.path());
    if (tree_.enter(parent, Missing::kMakeForWhiteout)) {
      tree_.make_opaque_directory("");
    }
  }
}

void EntryMaker::clear_untouched(const std::string& directory) {
  const auto fd = tree_.enter(directory, Missing::kLeave);
  if (!fd) {
    return;
  }
  for (const std::string& name : files::list_fd(*fd)) {
    const auto here = tree_.enter(directory, Missing::kLeave);
    struct stat status {};
    if (!here || ::fstatat(*here, name.c_str(), &status, AT_SYMLINK_NOFOLLOW) != 0) {
      continue;
    }
    const std::string path = tree_.path_of(name);
    if (!touched(path)) {
      tree_.remove(name);
    } else if (S_ISDIR(status.st_mode)) {
      clear_untouched(path);
    }
  }
}

}  // namespace jigsaw::image

#include "build/copy.h"

#include <fcntl.h>
#include <unistd.h>

#include <map>

#include "base/error.h"
#include "base/files.h"
#include "base/text.h"
#include "build/glob.h"

namespace jigsaw::build {
namespace {

class Copier : public SourceVisitor {
 public:
  Copier(LayerWriter& layer, const CopySource& source, std::string target, const CopyOptions& options)
      : layer_(layer), source_(source), target_(std::move(target)), options_(options) {}

  void enter_directory(const Visit& visit) override {
    const std::string target = target_of(visit);
    const std::optional<Tree::Node> there = layer_.tree().find(target);
    const int from = visit.self->fd();
    if (!there) {
      layer_.make_directory(target, attributes_of(visit.node.status));
      if (from >= 0) {
        copy_attributes(from, layer_.directory(target));
      }
      changed_.push_back(true);
      return;
    }
    if (!S_ISDIR(there->status.st_mode)) {
      throw fail("cannot copy to non-directory: {} is no directory, and {} is one", target, source_.shown);
    }
    const bool take_over = !visit.relative.empty() && visit.choice == Visit::Choice::kChosen;
    if (take_over) {
      const Fd made = files::open_at(layer_.directory(target), ".", O_RDONLY | O_DIRECTORY);
      layer_.set_attributes(made.get(), target, attributes_of(visit.node.status));
      copy_attributes(from, made.get());
    }
    changed_.push_back(take_over);
  }

  void leave_directory(const Visit& visit) override {
    if (changed_.back()) {
      // What was written into it has changed its times.
      const Attributes attributes = attributes_of(visit.node.status);
      const timespec times[2] = {*attributes.time, *attributes.time};
      ::futimens(layer_.directory(target_of(visit)), times);
    }
    changed_.pop_back();
  }

  void visit(const Visit& visit) override {
    const struct stat& status = visit.node.status;
    const std::string target = target_of(visit);
    switch (status.st_mode & S_IFMT) {
      case S_IFREG: return copy_file(visit, target);
      case S_IFLNK:
        return layer_.make_link(target, source_.tree->read_link(visit.parent, visit.name), attributes_of(status));
      case S_IFCHR:
      case S_IFBLK:
      case S_IFIFO:
        return layer_.make_node(target, status.st_mode & S_IFMT, status.st_rdev, attributes_of(status));
      case S_IFSOCK:
        // It means nothing without the process behind it: of the context it becomes an empty file, as with BuildKit.
        return source_.seen_as ? make_empty_file(target, attributes_of(status)) : void();
      default: return;
    }
  }

 private:
  std::string target_of(const Visit& visit) const {
    if (visit.relative.empty()) {
      return target_;
    }
    return target_ == "/" ? "/" + visit.relative : target_ + "/" + visit.relative;
  }

  Attributes attributes_of(const struct stat& status) const {
    Attributes result;
    result.owner = options_.owner ? *options_.owner : source_.seen_as.value_or(Owner{status.st_uid, status.st_gid});
    result.mode = options_.mode ? options_.mode->apply(status.st_mode) : status.st_mode & 07777;
    result.time = options_.time.value_or(status.st_mtim);
    return result;
  }

  void make_empty_file(const std::string& target, const Attributes& attributes) {
    const Fd file = layer_.create_file(target);
    layer_.set_attributes(file.get(), target, attributes);
  }

  void copy_file(const Visit& visit, const std::string& target) {
    const struct stat& status = visit.node.status;
    if (status.st_nlink > 1) {
      const auto [first, is_new] = links_.try_emplace({status.st_dev, status.st_ino}, target);
      if (!is_new) {
        return layer_.make_hard_link(target, first->second);
      }
    }
    const Fd from = source_.tree->open_file(visit.parent, visit.name);
    const Fd to = layer_.create_file(target);
    copy_content(from.get(), to.get(), target);
    copy_attributes(from.get(), to.get());
    layer_.set_attributes(to.get(), target, attributes_of(status));
  }

  LayerWriter& layer_;
  const CopySource& source_;
  std::string target_;
  const CopyOptions& options_;
  std::vector<bool> changed_;  // for each directory entered
  std::map<std::pair<dev_t, ino_t>, std::string> links_;
};

}  // namespace

Attributes directory_attributes(const CopyOptions& options) {
  Attributes result{.owner = options.owner.value_or(Owner{}), .mode = 0755, .time = options.time};
  if (options.mode && options.mode->absolute()) {
    result.mode = *options.mode->absolute() & 0777;
  }
  return result;
}

void prepare_destination(LayerWriter& layer, const std::string& destination, const CopyOptions& options) {
  const bool is_directory = destination.ends_with('/');
  const std::string path = is_directory ? clean_path(destination) : parent_path(destination);
  layer.make_directories(layer.tree().resolve(path), directory_attributes(options));
}

void copy_source(LayerWriter& layer, const CopySource& source, const SourceMatch& match,
                 const std::string& destination, const CopyOptions& options) {
  Tree& tree = layer.tree();
  prepare_destination(layer, destination.ends_with("/.") ? destination.substr(0, destination.size() - 1) : destination,
                      options);
  std::string target = tree.resolve(clean_path(destination));
  const std::optional<Tree::Node> node = source.tree->find(match.path);
  if (!node) {
    throw system_error(ENOENT, fmt::format("{}: not found", text::quoted(clean_path(source.shown))));
  }
  const bool from_directory = S_ISDIR(node->status.st_mode);
  const std::optional<Tree::Node> there = tree.find(target);
  if (!from_directory && there && S_ISDIR(there->status.st_mode)) {
    target = join_path(target, match.name);
  }
  layer.make_directories(from_directory && !there ? target : parent_path(target), directory_attributes(options));
  Copier copier(layer, source, target, options);
  walk_source(source, match, copier);
}

}  // namespace jigsaw::build

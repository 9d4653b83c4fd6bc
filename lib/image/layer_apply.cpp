#include "image/layer_apply.h"

#include <sys/stat.h>
#include <unistd.h>

#include <cstdlib>

#include "base/error.h"
#include "base/files.h"
#include "base/text.h"
#include "image/layer_entry.h"
#include "image/layer_tree.h"

namespace jigsaw::image {
namespace {

bool same_owner_and_mode(const EntryAttributes& a, const EntryAttributes& b) {
  return a.mode == b.mode && a.uid == b.uid && a.gid == b.gid && a.xattrs == b.xattrs;
}

}  // namespace

uint64_t layer_limit(uint64_t compressed) {
  if (const char* given = std::getenv("JIGSAW_MAX_LAYER_BYTES"); given != nullptr && *given != '\0') {
    return text::parse_size(given, "JIGSAW_MAX_LAYER_BYTES");
  }
  return compressed > UINT64_MAX / kBombRatio ? UINT64_MAX : std::max(kBombFloor, kBombRatio * compressed);
}

struct LayerApplier::State {
  State(std::string given, const ApplyOptions& given_options)
      : directory(std::move(given)),
        options(given_options),
        tree(directory, options),
        maker(tree, options.form, facts),
        reader(maker) {
    facts.implicit_root = true;
  }

  std::string directory;
  ApplyOptions options;
  LayerFacts facts;
  LayerTree tree;
  EntryMaker maker;
  TarReader reader;
  uint64_t taken = 0;

  void copy_root_from(const LayerParents& parents);
  void remove(const std::string& path);
};

LayerApplier::LayerApplier(std::string directory, ApplyOptions options)
    : state_(std::make_unique<State>(std::move(directory), options)) {}
LayerApplier::~LayerApplier() = default;
LayerApplier::LayerApplier(LayerApplier&&) noexcept = default;
LayerApplier& LayerApplier::operator=(LayerApplier&&) noexcept = default;

const LayerFacts& LayerApplier::facts() const { return state_->facts; }
const std::string& LayerApplier::directory() const { return state_->directory; }

void LayerApplier::write(std::string_view bytes) {
  state_->taken += bytes.size();
  if (state_->taken > state_->options.max_bytes) {
    throw Error(fmt::format("the layer unpacks to more than {}", text::human_size(state_->options.max_bytes)),
                "if that is no attack, raise the limit: JIGSAW_MAX_LAYER_BYTES=20g");
  }
  state_->reader.feed(bytes);
}

// The layer's own root takes owner and mode of the root below, when its archive does not say.
void LayerApplier::State::copy_root_from(const LayerParents& parents) {
  const Below below = parents.find("");
  struct stat own {};
  check(::stat(directory.c_str(), &own), "stat {}", directory);
  EntryAttributes wanted = attributes_of(below.status);
  wanted.xattrs = read_xattrs(below.entry.get());
  if (!same_owner_and_mode(wanted, attributes_of(own))) {
    tree.set_directory("", {.origin = PendingDirectory::Origin::kArchive, .attributes = std::move(wanted)});
    facts.depends = true;
  }
}

void LayerApplier::State::remove(const std::string& path) {
  const size_t slash = path.rfind('/');
  if (tree.enter(slash == std::string::npos ? "" : path.substr(0, slash), LayerTree::Missing::kLeave)) {
    tree.remove(slash == std::string::npos ? path : path.substr(slash + 1));
    tree.restore_attributes(slash == std::string::npos ? "" : path.substr(0, slash));
  }
}

void LayerApplier::end() {
  state_->reader.finish();
  state_->maker.drop_pseudo_links();
  state_->tree.set_attributes();
  state_->facts.depends = state_->tree.depends();
  if (state_->facts.implicit_root && !state_->tree.parents().empty()) {
    state_->copy_root_from(state_->tree.parents());
  }
}

LayerApplier::Finish LayerApplier::finish(const std::vector<std::string>& directories) {
  State& state = *state_;
  const std::string& target = state.maker.waits_for();
  if (!target.empty()) {
    if (directories.empty()) {
      throw fail("the layer holds a hard link to {}, which does not exist", text::quoted(target));
    }
    return Finish::kApplyAgain;
  }
  const LayerParents parents(directories, state.tree.xattrs());
  state.maker.drop_idle_whiteouts(parents);
  if (!state.options.parents.empty()) {
    return Finish::kDone;
  }
  for (const std::string& path : state.tree.implicit_directories()) {
    const Below::Kind below = parents.find(path).kind;
    if (state.tree.only_for_whiteouts(path) && (below == Below::Kind::kNothing || below == Below::Kind::kOther)) {
      state.remove(path);
    }
  }
  for (const std::string& path : state.tree.implicit_directories()) {
    const Below below = parents.find(path);
    if (below.kind == Below::Kind::kSymlink) {
      return Finish::kApplyAgain;
    }
    if (below.kind == Below::Kind::kOther) {
      throw fail("the layer puts files into {}, which is no directory in the layers below", text::quoted(path));
    }
    if (below.kind == Below::Kind::kDirectory && state.tree.is_still_implicit(path)) {
      PendingDirectory pending{.origin = PendingDirectory::Origin::kArchive, .attributes = attributes_of(below.status)};
      pending.attributes.xattrs = read_xattrs(below.entry.get());
      state.tree.set_directory(path, pending);
    }
  }
  if (state.facts.implicit_root && !parents.empty()) {
    state.copy_root_from(parents);
  }
  return Finish::kDone;
}

}  // namespace jigsaw::image

// COPY and ADD as steps of a stage: where the files come from, the key of the step, and the layer it makes.
#include <fcntl.h>
#include <unistd.h>

#include "base/error.h"
#include "base/files.h"
#include "base/text.h"
#include "build/archive.h"
#include "build/fetch.h"
#include "build/glob.h"
#include "build/owner.h"
#include "build/stage_runner.h"

namespace jigsaw::build {
namespace {

// One source, with the tree it is in and what of it matches.
struct Prepared {
  CopySource source;
  std::vector<SourceMatch> matches;
  enum class Unpack { kNo, kYes } unpack = Unpack::kNo;
};

// Everything that a COPY reads, found before anything is written.
struct Sources {
  std::vector<std::unique_ptr<Tree>> trees;
  std::vector<std::unique_ptr<files::TemporaryDirectory>> temporary;
  std::vector<Prepared> list;
};

// "COPY --parents a/./b/c": what follows "/./" keeps its directories, what is before it does not.
void split_parents(CopySource& source, const std::string& written) {
  const size_t pivot = written.find("/./");
  const std::string before = pivot == std::string::npos ? "/" : written.substr(0, pivot);
  const std::string pattern = clean_path(pivot == std::string::npos ? written : written.substr(pivot + 3));
  source.path = clean_path(before);
  source.includes = {pattern.substr(1)};
  if (pattern == "/") {
    source.includes = {"**"};
  }
  if (!has_wildcards(before) && !has_wildcards(pattern)) {
    source.required = {pattern};
  }
}

std::string destination_of(const std::string& written, const std::string& directory) {
  std::string path = written.empty() || written == "." ? "./" : written;
  if (!path.starts_with('/')) {
    path = (directory.empty() ? "/" : directory) + "/" + path;
  }
  return clean_path_keeping_end(path);
}

class Gatherer {
 public:
  Gatherer(StageRunner& runner, const Copy& copy) : runner_(runner), workshop_(runner.workshop()), copy_(copy) {}

  Sources gather() {
    const Origin& origin = runner_.step().origins.empty() ? Origin{Origin::Kind::kContext} : runner_.step().origins[0];
    for (const std::string& written : copy_.sources) {
      if (copy_.add && is_git_address(written)) {
        add_fetched(fetch_git(workshop_.store, written, copy_), "/", written);
      } else if (copy_.add && is_web_address(written)) {
        add_fetched(fetch_file(workshop_.store, written, copy_.checksum), "", written);
      } else {
        add_local(origin, written);
      }
    }
    for (const InlineFile& file : copy_.files) {
      add_inline(file);
    }
    return std::move(sources_);
  }

 private:
  void add_local(const Origin& origin, const std::string& written) {
    if (tree_ == nullptr) {
      sources_.trees.push_back(std::make_unique<Tree>(workshop_.tree_of(origin)));
      tree_ = sources_.trees.back().get();
    }
    Prepared prepared;
    prepared.source = {.tree = tree_, .path = clean_path(written), .shown = written, .excludes = copy_.excludes};
    if (workshop_.result_of(origin) == nullptr) {
      prepared.source.seen_as = Owner{};
    }
    if (copy_.parents) {
      split_parents(prepared.source, written);
    }
    prepared.unpack = copy_.unpack.value_or(copy_.add) ? Prepared::Unpack::kYes : Prepared::Unpack::kNo;
    prepared.matches = find_sources(prepared.source);
    sources_.list.push_back(std::move(prepared));
  }

  // A directory of our own that holds just what is to be copied.
  void add_fetched(std::unique_ptr<files::TemporaryDirectory> directory, std::string path, const std::string& written) {
    if (path.empty()) {
      path = "/" + files::list(directory->path()).at(0);
    }
    sources_.trees.push_back(std::make_unique<Tree>(std::vector<std::string>{directory->path()}));
    sources_.temporary.push_back(std::move(directory));
    Prepared prepared;
    prepared.source = {.tree = sources_.trees.back().get(),
                       .path = path,
                       .shown = written,
                       .excludes = copy_.excludes,
                       .seen_as = Owner{},
                       .names = CopySource::Names::kLiteral};
    prepared.unpack = copy_.unpack.value_or(false) ? Prepared::Unpack::kYes : Prepared::Unpack::kNo;
    prepared.matches = find_sources(prepared.source);
    sources_.list.push_back(std::move(prepared));
  }

  void add_inline(const InlineFile& file) {
    auto directory = std::make_unique<files::TemporaryDirectory>(workshop_.store.temporary_directory(), "inline-");
    const std::string name = base_name(file.name);
    const Fd fd = files::open(directory->path() + "/" + name, O_WRONLY | O_CREAT | O_EXCL | O_NOFOLLOW, 0644);
    files::write_all(fd.get(), file.content, name);
    check(::fchmod(fd.get(), 0644), "change the mode of {}", name);
    if (workshop_.epoch) {
      const timespec times[2] = {*workshop_.epoch, *workshop_.epoch};
      ::futimens(fd.get(), times);
    }
    add_fetched(std::move(directory), "/" + name, "<<" + file.name);
  }

  StageRunner& runner_;
  Workshop& workshop_;
  const Copy& copy_;
  Sources sources_;
  Tree* tree_ = nullptr;
};

void copy_one(LayerWriter& layer, const Workshop& workshop, const Prepared& prepared, const SourceMatch& match,
              const std::string& destination, const CopyOptions& options) {
  Tree& tree = *prepared.source.tree;
  if (prepared.unpack == Prepared::Unpack::kYes && match.path != "/") {
    const Tree::DirectoryHandle parent = tree.directory(parent_path(match.path));
    const std::optional<Tree::Node> node = tree.find(parent, base_name(match.path));
    if (node && S_ISREG(node->status.st_mode)) {
      const Fd file = tree.open_file(parent, base_name(match.path));
      const ArchiveKind kind = archive_kind(file.get());
      if (kind == ArchiveKind::kPlain) {
        return unpack_archive(layer, file.get(), prepared.source.shown, destination, options);
      }
      if (kind == ArchiveKind::kCompressed) {
        if (const std::optional<Fd> plain = decompress(workshop.store, file.get())) {
          return unpack_archive(layer, plain->get(), prepared.source.shown, destination, options);
        }
      }
    }
  }
  copy_source(layer, prepared.source, match, destination, options);
}

}  // namespace

namespace {

// The key says what was copied: a file of the context that changed between the two would stand for another one for ever.
void refuse_change(Workshop& workshop, const Prepared& prepared, const SourceMatch& match, const std::string& digest) {
  if (prepared.source.seen_as && content_digest(prepared.source, match, workshop.context_hashes).text() != digest) {
    throw fail("{} changed while it was copied", text::quoted(prepared.source.shown)).with_hint("build again when nobody writes there");
  }
}

}  // namespace

bool StageRunner::copy_step(const Copy& copy, Mode mode) {
  if (!copy.add) {
    for (const std::string& source : copy.sources) {
      if (is_web_address(source) || is_git_address(source)) {
        throw fail("COPY takes no address: '{}'", source).with_hint("ADD fetches from the network");
      }
    }
  }
  const std::string destination = destination_of(copy.destination, result_.config.config.working_dir);
  std::optional<ModeChange> change;
  if (!copy.chmod.empty()) {
    change = ModeChange::parse(copy.chmod);
  }
  Sources sources = Gatherer(*this, copy).gather();
  const bool apart = copy.link && copy.chmod.empty();
  StepInputs inputs;
  inputs.add("the layers below", apart ? "none: --link" : result_.chain());
  inputs.add("the instruction", fmt::format("{} to {} --chown={} --chmod={} {}", copy.add ? "ADD" : "COPY", destination,
                                            copy.chown, copy.chmod, copy.unpack ? (*copy.unpack ? "unpack" : "plain") : ""));
  if (apart && !copy.chown.empty()) {
    Tree below = tree();
    const Owner owner = resolve_owner(below, copy.chown);
    inputs.add("the owner", fmt::format("{}:{}", owner.uid, owner.gid));
  }
  std::vector<std::string> digests;  // of each match
  for (const Prepared& prepared : sources.list) {
    FileHashes& hashes = prepared.source.seen_as ? workshop_.context_hashes : workshop_.layer_hashes;
    for (const SourceMatch& match : prepared.matches) {
      digests.push_back(content_digest(prepared.source, match, hashes).text());
      // Its own name alone: the same file from another directory is the same step.
      inputs.add("the content of " + base_name(clean_path(prepared.source.shown)), match.name + " " + digests.back());
    }
  }
  return layer_step(std::move(inputs), copy_history(copy), mode, apart ? Below::kNothing : Below::kParents,
                    [&](const std::string& upper, const std::vector<std::string>& below) {
                      LayerWriter layer(upper, below);
                      CopyOptions options{.mode = change, .time = workshop_.epoch};
                      if (!copy.chown.empty()) {
                        Tree users = tree();
                        options.owner = resolve_owner(users, copy.chown);
                      }
                      auto digest = digests.begin();
                      for (const Prepared& prepared : sources.list) {
                        for (const SourceMatch& match : prepared.matches) {
                          copy_one(layer, workshop_, prepared, match, destination, options);
                          refuse_change(workshop_, prepared, match, *digest++);
                        }
                      }
                    });
}

}  // namespace jigsaw::build

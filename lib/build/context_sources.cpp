#include "build/context_sources.h"

#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/error.h"
#include "base/text.h"
#include "build/archive.h"
#include "build/fetch.h"
#include "build/glob.h"

namespace jigsaw::build {
namespace {

// Standard input in a file without a name: an archive has to be looked at before it is read.
Fd spool_input(const image::Store& store) {
  Fd file = files::open(store.temporary_directory(), O_TMPFILE | O_RDWR, 0600);
  std::vector<char> buffer(1 << 20);
  while (true) {
    const ssize_t got = ::read(0, buffer.data(), buffer.size());
    if (got < 0 && errno == EINTR) {
      continue;
    }
    if (check(got, "read the standard input") == 0) {
      break;
    }
    files::write_all(file.get(), {buffer.data(), static_cast<size_t>(got)}, "the build context");
  }
  check(::lseek(file.get(), 0, SEEK_SET), "rewind the standard input");
  return file;
}

// An archive's files as a context.
Context unpack_context(const image::Store& store, int file, ArchiveKind kind, const std::string& shown) {
  Context context;
  context.temporary = std::make_shared<files::TemporaryDirectory>(store.temporary_directory(), "context-");
  check(::chmod(context.temporary->path().c_str(), 0755), "change the mode of {}", context.temporary->path());
  std::optional<Fd> plain;
  if (kind == ArchiveKind::kCompressed) {
    plain = decompress(store, file);
    if (!plain) {
      throw fail("the build context {} is damaged: it can't be decompressed", shown);
    }
  }
  LayerWriter files_of_context(context.temporary->path(), {});
  unpack_archive(files_of_context, plain ? plain->get() : file, shown, "/", {.owner = Owner{::geteuid(), ::getegid()}});
  context.directory = context.temporary->path();
  context.shown = shown;
  return context;
}

void read_ignore_file_of(Context& context, const std::string& dockerfile) {
  Tree tree({context.directory});
  for (const std::string& name : {dockerfile + ".dockerignore", std::string(".dockerignore")}) {
    if (const std::optional<std::string> text = tree.read_file(clean_path(name), 16 << 20)) {
      context.ignore = std::make_shared<IgnoreMatcher>(parse_ignore_file(make_source(name, *text)));
      return;
    }
  }
}

// The Dockerfile of a context that was fetched: links in it stay within it.
Source dockerfile_within(const Context& context, const std::string& name) {
  const std::optional<std::string> text = Tree({context.directory}).read_file(clean_path(name), kDockerfileLimit);
  if (!text) {
    throw fail("failed to read dockerfile: there is no {} in the build context {}", name, context.shown)
        .with_hint("name another one with -f");
  }
  return make_source(name, *text);
}

std::string default_dockerfile(const std::string& directory) {
  for (const char* name : {"/Dockerfile", "/dockerfile", "/Containerfile"}) {
    if (files::exists(directory + name)) {
      return directory + name;
    }
  }
  throw fail("failed to read dockerfile: there is no Dockerfile in {}", directory)
      .with_hint("write one, name another file with -f, or give another directory");
}

Source read_dockerfile(const std::string& path) {
  const size_t slash = path.rfind('/');
  return make_source(slash == std::string::npos ? path : path.substr(slash + 1), files::read(path, kDockerfileLimit));
}

ContextAndFile from_directory(const image::Store& store, const BuildOptions& options) {
  if (options.dockerfile == "-") {
    const Fd file = spool_input(store);
    return {directory_context(options.context, ""),
            make_source("Dockerfile", files::read_fd(file.get(), "the standard input", kDockerfileLimit))};
  }
  std::string path = options.dockerfile;
  if (path.empty()) {
    path = default_dockerfile(options.context);
  } else if (!files::exists(path) && files::exists(options.context + "/" + path)) {
    path = options.context + "/" + path;
  }
  return {directory_context(options.context, path), read_dockerfile(path)};
}

ContextAndFile from_archive(const image::Store& store, const BuildOptions& options, int file, const std::string& shown) {
  const ArchiveKind kind = archive_kind(file);
  const std::string name = options.dockerfile.empty() ? "Dockerfile" : options.dockerfile;
  if (kind == ArchiveKind::kNone) {
    if (!options.dockerfile.empty() && options.dockerfile != "-") {
      throw fail("{} holds no archive, so -f names nothing in it", shown);
    }
    std::string text = files::read_fd(file, shown, kDockerfileLimit);
    if (text::trim(text).empty()) {
      throw fail("{} is empty: it should be a Dockerfile or a tar archive", shown);
    }
    return {empty_context(), make_source("Dockerfile", std::move(text))};
  }
  Context context = unpack_context(store, file, kind, shown);
  read_ignore_file_of(context, name);
  Source dockerfile = dockerfile_within(context, name);
  return {std::move(context), std::move(dockerfile)};
}

}  // namespace

ContextAndFile open_context(const image::Store& store, const BuildOptions& options) {
  if (options.context == "-") {
    if (options.dockerfile == "-") {
      throw fail("the context and the Dockerfile can't both come from the standard input");
    }
    const Fd file = spool_input(store);
    return from_archive(store, options, file.get(), "the standard input");
  }
  if (is_git_address(options.context)) {
    Context context;
    Copy whole;
    if (const std::string keep = text::lower(built_in_argument(options, "BUILDKIT_CONTEXT_KEEP_GIT_DIR"));
        keep == "1" || keep == "true") {
      whole.keep_git_dir = true;
    }
    context.temporary = fetch_git(store, options.context, whole);
    context.directory = context.temporary->path();
    context.shown = options.context;
    const std::string name = options.dockerfile.empty() ? "Dockerfile" : options.dockerfile;
    read_ignore_file_of(context, name);
    Source dockerfile = dockerfile_within(context, name);
    return {std::move(context), std::move(dockerfile)};
  }
  if (is_web_address(options.context)) {
    const auto directory = fetch_file(store, options.context, "");
    const Fd file = files::open(directory->path() + "/" + files::list(directory->path()).at(0), O_RDONLY);
    return from_archive(store, options, file.get(), options.context);
  }
  return from_directory(store, options);
}

Context fetched_context(const image::Store& store, const std::string& address) {
  Context context;
  context.shown = address;
  if (is_git_address(address)) {
    context.temporary = fetch_git(store, address, {});
  } else {
    context.temporary = fetch_file(store, address, "");
    const Fd file = files::open(context.temporary->path() + "/" + files::list(context.temporary->path()).at(0), O_RDONLY);
    if (const ArchiveKind kind = archive_kind(file.get()); kind != ArchiveKind::kNone) {
      return unpack_context(store, file.get(), kind, address);
    }
  }
  context.directory = context.temporary->path();
  return context;
}

}  // namespace jigsaw::build

#include "image/transport.h"

#include <fcntl.h>
#include <unistd.h>

#include <algorithm>
#include <array>

#include "base/error.h"
#include "base/files.h"
#include "base/log.h"
#include "base/text.h"
#include "image/docker_archive.h"
#include "image/embedded.h"
#include "image/layout.h"
#include "image/names.h"

namespace jigsaw::image {
namespace {

using Kind = Location::Kind;

constexpr std::array<std::pair<std::string_view, Kind>, 3> kPathTransports = {
    {{"oci", Kind::kLayout},
     {"oci-archive", Kind::kLayoutArchive},
     {"docker-archive", Kind::kDockerArchive}}};
constexpr std::string_view kImageNameAnnotation = "io.containerd.image.name";

std::shared_ptr<TarIndex> open_archive(const std::string& path, const Store& store) {
  Fd file = path == "-" ? duplicate(STDIN_FILENO) : files::open(path, O_RDONLY);
  const std::string name = path == "-" ? "standard input" : path;
  return std::make_shared<TarIndex>(plain_archive(std::move(file), name, store.temporary_directory()), name);
}

// "a:1" is a name on docker.io, "latest" alone is nobody's name.
std::vector<std::string> names_of(const Descriptor& entry) {
  for (const std::string_view key : {kImageNameAnnotation, kRefNameAnnotation}) {
    const auto found = entry.annotations.find(std::string(key));
    if (found != entry.annotations.end() && found->second.find_first_of("/:") != std::string::npos) {
      return {full_name(found->second)};
    }
  }
  return {};
}

DockerArchiveImage choose_image(const TarIndex& archive, const std::string& name) {
  const auto images = docker_archive_images(archive);
  const std::string wanted = name.empty() ? "" : full_name(name);
  const auto found = std::find_if(images.begin(), images.end(), [&](const DockerArchiveImage& image) {
    return wanted.empty() || std::find(image.names.begin(), image.names.end(), wanted) != image.names.end();
  });
  if (found == images.end() || (wanted.empty() && images.size() > 1)) {
    throw Error(fmt::format("{} holds {} images{}", archive.name(), images.size(),
                            wanted.empty() ? "" : ", none of them " + wanted),
                "say which one: docker-archive:FILE:NAME");
  }
  return *found;
}

}  // namespace

Location parse_location(std::string_view text) {
  if (text.starts_with("docker://")) {
    return {Kind::kRegistry, "", std::string(text.substr(9))};
  }
  for (const auto& [prefix, kind] : kPathTransports) {
    if (text.starts_with(prefix) && text.substr(prefix.size()).starts_with(':')) {
      const std::string_view rest = text.substr(prefix.size() + 1);
      const size_t colon = rest.find(':');
      Location location{kind, std::string(rest.substr(0, colon)),
                        colon == std::string_view::npos ? "" : std::string(rest.substr(colon + 1))};
      if (location.path.empty()) {
        throw Error(fmt::format("{} names no place", text::quoted(text)),
                    fmt::format("write {}:PATH[:NAME]", prefix));
      }
      return location;
    }
  }
  return {Kind::kPlain, "", std::string(text)};
}

std::unique_ptr<Source> open_source(const Location& location, const Store& store,
                                    const RegistryOptions& options) {
  const auto shown = [&](std::string_view transport) {
    return fmt::format("{}:{}{}{}", transport, location.path, location.name.empty() ? "" : ":",
                       location.name);
  };
  switch (location.kind) {
    case Kind::kRegistry:
      return std::make_unique<RegistrySource>(parse_reference(location.name), options);
    case Kind::kLayout:
      return std::make_unique<LayoutSource>(layout_directory(location.path), location.name, shown("oci"));
    case Kind::kLayoutArchive:
      return std::make_unique<LayoutSource>(layout_archive(open_archive(location.path, store)), location.name,
                                            shown("oci-archive"));
    case Kind::kDockerArchive: {
      auto archive = open_archive(location.path, store);
      return std::make_unique<DockerArchiveSource>(archive, choose_image(*archive, location.name));
    }
    case Kind::kPlain:
      break;
  }
  const std::string name = store.find(location.name) ? location.name : full_name(location.name);
  return std::make_unique<StoreSource>(store, store.image(name));
}

std::vector<NamedSource> open_all(const std::string& path, const Store& store) {
  std::vector<NamedSource> found;
  const bool directory = path != "-" && files::is_directory(path);
  std::shared_ptr<TarIndex> archive = directory ? nullptr : open_archive(path, store);
  if (archive && !archive->has("oci-layout") && !archive->has("index.json")) {
    if (!archive->has("manifest.json")) {
      throw Error(
          fmt::format("{} is no image archive: it has neither index.json nor manifest.json", archive->name()),
          "a root file system becomes an image with 'jigsaw import'");
    }
    for (const DockerArchiveImage& image : docker_archive_images(*archive)) {
      found.push_back({image.names, std::make_unique<DockerArchiveSource>(archive, image)});
    }
    return found;
  }
  const auto files = [&] { return directory ? layout_directory(path) : layout_archive(archive); };
  const auto first = files();
  for (const Descriptor& entry : LayoutSource::entries(*first, path).manifests) {
    if (!may_be_image(entry)) {  // a signature, a bill of materials
      log::warning("{}: {} is no container image and is passed over", path, entry.digest.short_id());
      continue;
    }
    found.push_back({names_of(entry), std::make_unique<LayoutSource>(files(), entry.digest.text(), path)});
  }
  if (found.empty()) {
    throw fail("{} holds no container image", path);
  }
  return found;
}

Digest copy_to(Source& source, const Location& to, const RegistryDestination::Options& registry,
               const Store& store, const CopyOptions& options) {
  switch (to.kind) {
    case Kind::kRegistry: {
      RegistryDestination destination(parse_reference(to.name), registry);
      return copy(source, destination, options);
    }
    case Kind::kLayout: {
      LayoutDestination destination(to.path, to.name);
      return copy(source, destination, options);
    }
    case Kind::kLayoutArchive: {
      LayoutArchiveDestination destination(to.path, store.temporary_directory());
      destination.set_tag(to.name);
      const Digest digest = copy(source, destination, options);
      destination.close();
      return digest;
    }
    case Kind::kDockerArchive: {
      DockerArchiveDestination destination(to.path, store.temporary_directory());
      if (!to.name.empty()) {
        destination.set_names({full_name(to.name)});
      }
      const Digest digest = copy(source, destination, options);
      destination.close();
      return digest;
    }
    case Kind::kPlain:
      break;
  }
  throw Error(fmt::format("{} is no place to copy to", text::quoted(to.name)),
              "docker://REF, oci:DIR:TAG, oci-archive:FILE:TAG or docker-archive:FILE:REF");
}

Image pull_by_name(const Store& store, const std::string& name, const PullOptions& options) {
  const Reference reference = with_default_tag(parse_reference(name));
  if (is_embedded(name)) {
    return named_image(store, name);  // no registry has this one
  }
  RegistryOptions registry;
  registry.credentials = credential_files();
  RegistrySource source(reference, registry);
  return pull(store, source, reference.text(), options);
}

Image find_or_pull(const Store& store, const std::string& name, const PullOptions& options) {
  const std::string full = as_identifier(name) ? name : full_name(name);
  if (full == kEmbeddedName && !store.find(full)) {
    add_embedded(store);
  }
  if (store.find(full)) {
    return store.image(full);
  }
  try {
    return pull_by_name(store, name, options);
  } catch (Error& error) {
    const auto near = error.code() == kExitFailure ? nearest_name(store, name) : std::nullopt;
    if (!near) {
      throw;
    }
    throw std::move(error).with_hint(fmt::format("{}{}{} is here: was that meant?", error.hint(), error.hint().empty() ? "" : "; ", *near));
  }
}

std::vector<std::string> command_of(const RunConfig& config, const std::vector<std::string>& words) {
  std::vector<std::string> command = config.entrypoint;
  const auto& rest = words.empty() ? config.cmd : words;
  command.insert(command.end(), rest.begin(), rest.end());
  if (command.empty()) {
    throw Error("the image names no program to run", "write one behind its name");
  }
  return command;
}

std::vector<std::string> variables_of(const RunConfig& config) {
  std::vector<std::string> result;
  std::copy_if(config.env.begin(), config.env.end(), std::back_inserter(result),
               [](const std::string& variable) { return variable.find('=') != std::string::npos; });
  return result;
}

}  // namespace jigsaw::image

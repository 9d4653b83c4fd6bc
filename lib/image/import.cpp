#include "image/import.h"

#include <fcntl.h>
#include <unistd.h>

#include <nlohmann/json.hpp>

#include "base/error.h"
#include "base/json.h"
#include "base/text.h"
#include "image/decompress.h"

namespace jigsaw::image {
namespace {

// A pipe can't be looked into and read again: its bytes go to a file first.
Fd open_archive(const Store& store, const std::string& file) {
  if (file != "-") {
    return files::open(file, O_RDONLY);
  }
  Fd copy(check(::open(store.temporary_directory().c_str(), O_TMPFILE | O_RDWR | O_CLOEXEC, 0600), "make a temporary file in {}",
                store.temporary_directory()));
  std::string buffer(256U << 10, '\0');
  for (ssize_t got = 0; (got = check(::read(STDIN_FILENO, buffer.data(), buffer.size()), "read standard input")) > 0;) {
    files::write_all(copy.get(), std::string_view(buffer).substr(0, static_cast<size_t>(got)), "a temporary file");
  }
  check(::lseek(copy.get(), 0, SEEK_SET), "seek");
  return copy;
}

// CMD and ENTRYPOINT: a JSON list, or a line for the shell.
std::vector<std::string> command_of(std::string_view text) {
  if (!text.starts_with('[')) {
    return {"/bin/sh", "-c", std::string(text)};
  }
  const json::Document document{std::string(text), "--change"};
  return document.root().strings();
}

void apply_change(RunConfig& config, std::string_view change) {
  change = text::trim(change);
  const size_t blank = change.find(' ');
  const std::string keyword = text::upper(change.substr(0, blank));
  const std::string value(text::trim(blank == std::string_view::npos ? "" : change.substr(blank)));
  const size_t equals = value.find('=');
  if (keyword == "CMD") {
    config.cmd = command_of(value);
  } else if (keyword == "ENTRYPOINT") {
    config.entrypoint = command_of(value);
  } else if (keyword == "ENV" && equals != std::string::npos && equals > 0) {
    config.env.push_back(value);
  } else if (keyword == "LABEL" && equals != std::string::npos && equals > 0) {
    config.labels[value.substr(0, equals)] = value.substr(equals + 1);
  } else if (keyword == "USER") {
    config.user = value;
  } else if (keyword == "WORKDIR") {
    config.working_dir = value;
  } else {
    throw Error(fmt::format("--change {} is not understood", text::quoted(change)),
                "it takes CMD, ENTRYPOINT, ENV NAME=value, LABEL name=value, USER and WORKDIR");
  }
}

}  // namespace

Image import_archive(const Store& store, const std::string& file, const ImportOptions& options) {
  ImageConfig config{.created = options.created, .author = {}, .platform = host_platform(), .config = {}, .diff_ids = {}, .history = {}};
  for (const std::string& change : options.changes) {
    apply_change(config.config, change);
  }
  const Fd archive = open_archive(store, file);
  BlobWriter writer = store.new_blob();
  read_decompressed(archive.get(), file, [&](std::string_view bytes) { writer.write(bytes); });
  const uint64_t size = writer.size();
  const Digest digest = writer.commit();
  const Descriptor layer{.media_type = std::string(media::kLayer), .digest = digest, .size = size};
  try {
    store.unpack_layer(layer, digest, {}, {});
  } catch (Error& error) {
    store.remove_blob(digest);
    throw std::move(error).in(fmt::format("import {}", file));
  }
  config.diff_ids = {digest};
  config.history = {History{.created = options.created, .created_by = "jigsaw import", .comment = options.message}};
  const Manifest manifest{.config = store.add_blob(write_config(config), media::kConfig), .layers = {layer}};
  Descriptor descriptor = store.add_blob(write_manifest(manifest), media::kManifest);
  descriptor.platform = config.platform;
  store.tag(options.name, descriptor);
  return store.read_image(descriptor, options.name);
}

}  // namespace jigsaw::image

#include "image/embedded.h"

#include "base/error.h"
#include "image/tar_writer.h"
#include "rootfs/base_tree.h"

namespace jigsaw::image {
namespace {

constexpr std::string_view kCreated = "2024-01-01T00:00:00Z";

constexpr time_t kCreatedTime = 1704067200;

void write_layer(const rootfs::BaseLayer& layer, const ByteSink& sink) {
  TarWriter writer(sink);
  for (const rootfs::BaseEntry& each : layer.entries) {
    TarEntry entry{.name = each.path, .mode = each.mode, .mtime = {.tv_sec = kCreatedTime, .tv_nsec = 0}};
    if (each.kind == rootfs::BaseEntry::Kind::kDirectory) {
      entry.type = TarType::kDirectory;
      entry.name += "/";
    } else if (each.kind == rootfs::BaseEntry::Kind::kSymlink) {
      entry.type = TarType::kSymlink;
      entry.link = each.content;
    } else {
      entry.size = each.content.size();
    }
    writer.begin(entry);
    if (entry.size > 0) {
      writer.data(each.content);
    }
  }
  writer.finish();
}

}  // namespace

Descriptor add_embedded(const Store& store) {
  const files::Lock lock = store.use();
  ImageConfig config{.created = std::string(kCreated),
                     .author = "jigsaw",
                     .platform = host_platform(),
                     .config = {.env = {"PATH=/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin"},
                                .cmd = {"/bin/sh"},
                                .working_dir = "/"},
                     .diff_ids = {},
                     .history = {}};
  std::vector<Descriptor> layers;
  for (const rootfs::BaseLayer& plan : rootfs::base_layers()) {
    BlobWriter writer = store.new_blob();
    write_layer(plan, [&](std::string_view bytes) { writer.write(bytes); });
    const uint64_t size = writer.size();
    const Digest digest = writer.commit();
    layers.push_back(Descriptor{.media_type = std::string(media::kLayer), .digest = digest, .size = size});
    config.diff_ids.push_back(digest);
    config.history.push_back(History{.created = std::string(kCreated), .created_by = fmt::format("jigsaw: {}", plan.comment)});
  }
  const Manifest manifest{.config = store.add_blob(write_config(config), media::kConfig), .layers = std::move(layers)};
  Descriptor descriptor = store.add_blob(write_manifest(manifest), media::kManifest);
  descriptor.platform = config.platform;
  store.tag(std::string(kEmbeddedName), descriptor);
  return descriptor;
}

}  // namespace jigsaw::image

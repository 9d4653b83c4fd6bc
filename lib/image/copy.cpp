#include "image/copy.h"

#include <fcntl.h>

#include <algorithm>
#include <atomic>
#include <filesystem>
#include <mutex>
#include <thread>

#include "base/error.h"
#include "base/files.h"
#include "base/interruption.h"
#include "base/text.h"

namespace jigsaw::image {
namespace {

std::string_view compressed_type(std::string_view type, Compression kind) {
  const bool docker = type == media::kDockerLayer || type == media::kDockerLayerGzip;
  if (kind == Compression::kGzip) {
    return docker ? media::kDockerLayerGzip : media::kLayerGzip;
  }
  return kind == Compression::kZstd ? media::kLayerZstd : docker ? media::kDockerLayer : media::kLayer;
}

// What a layer compressed to, kept beside the unpacked layer: "<digest> <size>".
std::optional<std::string> packed_note(const CopyOptions& options, const Digest& diff_id) {
  if (options.store == nullptr) {
    return std::nullopt;
  }
  const auto layer = options.store->find_layer(diff_id, {});
  if (!layer) {
    return std::nullopt;
  }
  return fmt::format("{}/packed-{}", std::filesystem::path(layer->path).parent_path().string(),
                     options.compression == Compression::kGzip ? "gzip" : "zstd");
}

std::optional<Descriptor> recall_packed(const std::optional<std::string>& note, std::string_view type) {
  const auto text = note ? files::read_if_exists(*note, 1024) : std::nullopt;
  const auto words = text ? text::words(*text) : std::vector<std::string_view>{};
  if (words.size() != 2) {
    return std::nullopt;
  }
  const auto digest = Digest::try_parse(words[0]);
  const auto size = text::to_u64(words[1]);
  return digest && size ? std::optional(Descriptor{.media_type = std::string(type), .digest = *digest, .size = *size})
                        : std::nullopt;
}

class Copying {
 public:
  Copying(Source& source, Destination& destination, const CopyOptions& options)
      : source_(source), destination_(destination), options_(options) {}

  Digest run() {
    FetchedManifest document = source_.root(std::nullopt).value();
    const std::string shown = source_.description();
    int depth = 0;
    while (classify(document.text, shown, document.media_type) == DocumentKind::kIndex) {
      if (options_.platforms == CopyOptions::Platforms::kAll) {
        return copy_index(document, Destination::Role::kRoot, 0);
      }
      const auto fitting = choose_platform(parse_index(document.text, shown, document.media_type),
                                           options_.platform.value_or(host_platform()));
      if (!fitting || ++depth > kMaxIndexDepth) {
        throw fail("{} has no image for {}", shown, platform_text(options_.platform.value_or(host_platform())));
      }
      document = source_.document(*fitting);
      document.media_type = fitting->media_type;
    }
    return copy_manifest(document, Destination::Role::kRoot).digest;
  }

 private:
  Digest copy_index(const FetchedManifest& document, Destination::Role role, int depth) {
    if (depth == kMaxIndexDepth) {
      throw fail("{}: more than {} indexes within one another", source_.description(), kMaxIndexDepth);
    }
    Index index = parse_index(document.text, source_.description(), document.media_type);
    bool changed = false;
    for (Descriptor& entry : index.manifests) {
      FetchedManifest child = source_.document(entry);
      child.media_type = entry.media_type;
      if (is_index_type(entry.media_type)) {
        copy_index(child, Destination::Role::kPart, depth + 1);
        continue;
      }
      const Descriptor copied = copy_manifest(child, Destination::Role::kPart);
      changed = changed || copied.digest != entry.digest;
      entry.digest = copied.digest;
      entry.size = copied.size;
    }
    const std::string text = changed ? write_index(index) : document.text;
    const Descriptor descriptor{.media_type = index.media_type, .digest = digest_of(text), .size = text.size()};
    destination_.put_document(text, descriptor, role);
    return descriptor.digest;
  }

  Descriptor copy_manifest(const FetchedManifest& document, Destination::Role role) {
    Manifest manifest = parse_manifest(document.text, source_.description(), document.media_type);
    const std::string config = fetch_text(source_, manifest.config, kConfigLimit);
    std::vector<Digest> diff_ids;
    if (manifest.config.media_type == media::kConfig || manifest.config.media_type == media::kDockerConfig) {
      const ImageConfig parsed = parse_config(config, "config of " + source_.description());
      check_agreement(manifest, parsed, source_.description());
      diff_ids = parsed.diff_ids;
    }
    const std::vector<Descriptor> before = manifest.layers;
    copy_layers(manifest.layers, diff_ids);
    if (!destination_.has(manifest.config)) {
      destination_.put(manifest.config, text_reader(config));
    }
    const bool same = std::equal(before.begin(), before.end(), manifest.layers.begin(), manifest.layers.end(),
                                 [](const Descriptor& a, const Descriptor& b) { return a.digest == b.digest; });
    if (!same && std::any_of(manifest.layers.begin(), manifest.layers.end(),
                             [](const Descriptor& each) { return each.media_type == media::kLayerZstd; })) {
      manifest.media_type = media::kManifest;  // Docker's schema 2 knows no zstd
      manifest.config.media_type = media::kConfig;
    }
    const std::string text = same ? document.text : write_manifest(manifest);
    const Descriptor descriptor{.media_type = manifest.media_type, .digest = digest_of(text), .size = text.size()};
    destination_.put_document(text, descriptor, role);
    return descriptor;
  }

  static Destination::Open text_reader(const std::string& text) {
    return [&text]() -> Destination::Read {
      return [&text, at = size_t{0}](std::span<char> space) mutable {
        const size_t length = text.copy(space.data(), space.size(), at);
        at += length;
        return length;
      };
    };
  }

  void copy_layers(std::vector<Descriptor>& layers, const std::vector<Digest>& diff_ids) {
    std::atomic<size_t> next = 0;
    std::mutex mutex;
    std::exception_ptr error;
    const auto work = [&] {
      try {
        for (size_t i = next++; i < layers.size(); i = next++) {
          copy_layer(layers[i], i < diff_ids.size() ? std::optional(diff_ids[i]) : std::nullopt);
        }
      } catch (...) {
        next = layers.size();
        const std::lock_guard guard(mutex);
        error = error ? error : std::current_exception();
      }
    };
    std::vector<std::thread> threads;
    for (size_t i = 1; i < std::min(destination_.at_once(), layers.size()); ++i) {
      threads.emplace_back(work);
    }
    work();
    for (std::thread& thread : threads) {
      thread.join();
    }
    if (error) {
      std::rethrow_exception(error);
    }
  }

  void copy_layer(Descriptor& layer, const std::optional<Digest>& diff_id) {
    const std::string item = layer.digest.short_id();
    // One of a type that we can't unpack, an encrypted one say, is copied as it is.
    if (diff_id && known_compression(layer.media_type) == Compression::kNone && options_.compression != Compression::kNone && destination_.takes_compressed()) {
      return compress_layer(layer, *diff_id, item);
    }
    if (destination_.has(layer)) {
      return finish(item, "already there");
    }
    start(item, "copying", layer.size);
    destination_.put(layer, counted(open_from(source_, layer), item));
    finish(item, "copied");
  }

  void compress_layer(Descriptor& layer, const Digest& diff_id, const std::string& item) {
    const auto note = packed_note(options_, diff_id);
    const std::string_view type = compressed_type(layer.media_type, options_.compression);
    if (const auto packed = recall_packed(note, type); packed && destination_.has(*packed)) {
      layer = *packed;
      return finish(item, "already there");
    }
    start(item, "compressing", layer.size);
    Hasher hasher;
    uint64_t size = 0;
    const Destination::Open plain = counted(open_from(source_, layer), item);
    const auto open = [&]() -> Destination::Read {
      hasher = Hasher();
      size = 0;
      auto compressor = std::make_shared<Compressor>(options_.compression, plain());
      return [&, compressor](std::span<char> space) {
        const size_t got = compressor->read(space);
        hasher.update({space.data(), got});
        size += got;
        return got;
      };
    };
    Descriptor packed{.media_type = std::string(type), .digest = layer.digest};
    destination_.put_stream(open, [&] { return packed.digest = hasher.finish(); });
    packed.size = size;
    layer = packed;
    if (note) {
      files::replace(*note, fmt::format("{} {}\n", packed.digest.text(), size), {.mode = 0644, .sync = false});
    }
    finish(item, "copied");
  }

  Destination::Open counted(Destination::Open open, const std::string& item) {
    return [this, open = std::move(open), item]() -> Destination::Read {
      return [this, read = open(), item](std::span<char> space) {
        Interruption::check();
        const size_t got = read(space);
        if (options_.progress != nullptr && got > 0) {
          options_.progress->advance(item, got);
        }
        return got;
      };
    };
  }

  void start(const std::string& item, const char* what, uint64_t bytes) {
    if (options_.progress != nullptr) {
      options_.progress->start(item, what, bytes);
    }
  }
  void finish(const std::string& item, const char* result) {
    if (options_.progress != nullptr) {
      options_.progress->finish(item, result);
    }
  }

  Source& source_;
  Destination& destination_;
  const CopyOptions& options_;
};

}  // namespace

Digest copy(Source& source, Destination& destination, const CopyOptions& options) {
  const Digest digest = Copying(source, destination, options).run();
  destination.finish();
  return digest;
}

}  // namespace jigsaw::image

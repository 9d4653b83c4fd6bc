// The store: images on disk, by content.
//
//     <root>/oci-layout, index.json, blobs/sha256/<hex>    a valid OCI image layout: skopeo and umoci read it as it is
//     <root>/layers/<key>/diff                             a layer unpacked once, in overlay's form, shared by images
//     <root>/layers/<key>/layer.json                       what was noticed while it was unpacked
//     <root>/roots/<name>                                  what somebody still needs although no tag names it
//     <root>/partial/<algorithm>-<hex>                     the beginning of a blob whose pull was cut off
//     <root>/tmp/, locks/, jigsaw.json                     work in progress, lock files, the schema version
//
// Nothing half-done is ever seen: a blob or layer is made below tmp/ and renamed when it is whole and verified.
// Locks are flock(2), so that a killed process leaves none. Everyone who reads or adds holds `use()`; collect() takes
// the same lock alone. The key of a layer is its diff_id, or its chain_id if its content depends on what lies below.
#pragma once

#include <chrono>
#include <cstdint>
#include <functional>
#include <memory>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "base/fd.h"
#include "base/files.h"
#include "image/config.h"
#include "image/digest.h"
#include "image/layer_apply.h"
#include "image/manifest.h"

namespace jigsaw::image {

inline constexpr int kSchemaVersion = 1;

// A blob on its way into the store: hashed as it is written, gone unless committed.
class BlobWriter {
 public:
  BlobWriter(std::string directory, std::string blobs);
  enum class Begun { kAnew, kPerhaps };  // kPerhaps: a file that an earlier process may have left is gone on with
  BlobWriter(std::string path, std::string blobs, Begun begun);
  ~BlobWriter();
  BlobWriter(BlobWriter&&) noexcept;
  BlobWriter& operator=(BlobWriter&&) noexcept;

  void write(std::string_view bytes);
  uint64_t size() const;
  // What was there when it was opened, once, before the first write().
  void replay(const std::function<void(std::string_view)>& take);
  // If it is not committed, the file stays for the next one who begins.
  void keep();
  // Puts the blob in its place and returns its digest; throws if `expected` is another one. Existing blobs stay.
  Digest commit(const std::optional<Digest>& expected = std::nullopt);

 private:
  struct State;
  std::unique_ptr<State> state_;
};

// One unpacked layer of an image.
struct LayerDirectory {
  Digest diff_id;
  std::string key;   // folder name below layers/
  std::string path;  // <root>/layers/<key>/diff
  std::optional<bool> opaque_root = std::nullopt;  // nothing below it counts; unknown until its layer.json is read
};

// An image, read and checked: manifest and config agree.
struct Image {
  std::string name;      // the reference it was found by, or ""
  Descriptor descriptor; // of the manifest
  Manifest manifest;
  ImageConfig config;
  std::string config_text;

  const Digest& id() const { return manifest.config.digest; }
};

struct Tag {
  std::string name;  // "docker.io/library/alpine:latest"; "" for an image without a name
  Descriptor descriptor;
};

// Something kept by collect() although no tag names it: what a container runs on, what a build may use again.
struct Root {
  std::vector<Digest> images;       // manifests, with all that they name
  std::vector<Digest> blobs;
  std::vector<std::string> layers;  // keys
};

class Store {
 public:
  // Makes the directories on first use. Throws if the schema is of a newer version.
  static Store open(const std::string& root);

  const std::string& root() const { return root_; }
  std::string temporary_directory() const { return root_ + "/tmp"; }

  // --- locks. use() is held by everyone who reads or adds while he counts on what he saw.
  files::Lock use() const;
  // The same for who adds much: what killed processes have left below tmp/ goes first, unless somebody else is at work.
  files::Lock use_to_add() const;
  // One at a time for one piece of content ("ten pulls fetch a layer once"): the second waits and then finds it there.
  files::Lock lock_content(const Digest& digest) const;
  std::optional<files::Lock> try_lock_content(const Digest& digest) const;  // nothing while somebody else has it

  // --- blobs
  bool has_blob(const Digest& digest) const;
  std::string blob_path(const Digest& digest) const;
  Fd open_blob(const Digest& digest) const;                       // throws if it is not there
  std::string read_blob(const Descriptor& descriptor, size_t limit) const;  // verified: size and digest
  void verify_blob(const Descriptor& descriptor) const;  // reads it all: size and digest
  BlobWriter new_blob() const;
  // A blob that comes from far: goes on with what a pull that was cut off has left. Needs the content's lock.
  BlobWriter resume_blob(const Descriptor& descriptor) const;
  Descriptor add_blob(std::string_view bytes, std::string_view media_type) const;
  void remove_blob(const Digest& digest) const;

  // --- layers. Lists go from the bottom to the top.
  std::optional<LayerDirectory> find_layer(const Digest& diff_id, const std::vector<LayerDirectory>& parents) const;
  // A new directory to unpack into, below tmp/; feed it, then commit_layer().
  std::unique_ptr<LayerApplier> begin_layer(ApplyOptions options) const;
  // Finishes a fed layer on top of its parents and puts it in its place. `blob` is read once more in the rare case
  // that the layer has to be applied again with its parents at hand. The caller has verified `diff_id`.
  LayerDirectory commit_layer(std::unique_ptr<LayerApplier> applier, const Digest& diff_id, const Descriptor& blob,
                              const std::vector<LayerDirectory>& parents) const;
  // Puts a directory that was made elsewhere on the same file system (an overlay's upper) in place as a layer; it stays
  // where it is if the same layer is there already.
  LayerDirectory adopt_layer(const std::string& directory, const Digest& diff_id,
                             const std::vector<LayerDirectory>& parents) const;
  // Unpacks one blob of the store: verified against `diff_id`; finds what is there already.
  LayerDirectory unpack_layer(const Descriptor& blob, const Digest& diff_id,
                              const std::vector<LayerDirectory>& parents, const ApplyOptions& options) const;
  // All layers of an image, unpacked if need be.
  std::vector<LayerDirectory> unpack_image(const Image& image, const ApplyOptions& options) const;
  // What an overlay mount of these layers takes as its lowers, TOP FIRST: nothing below a layer whose root is opaque.
  std::vector<std::string> lower_directories(const std::vector<LayerDirectory>& layers) const;

  // Bytes of the files in each layer of an image; of its blob where a layer is not unpacked.
  std::vector<uint64_t> layer_sizes(const Image& image) const;
  uint64_t size(const Image& image) const;  // of all of them

  // --- images
  std::vector<Tag> tags() const;  // as in index.json
  // Gives the manifest (or index) the name, which moves away from what had it before. "" adds it without a name.
  void tag(const std::string& name, const Descriptor& descriptor) const;
  bool untag(const std::string& name) const;      // false if there is none
  void remove_image(const Digest& manifest) const;  // all its names
  // By full name, "name@digest", or (a prefix of) an image ID or manifest digest. Throws if a prefix is ambiguous.
  std::optional<Tag> find(std::string_view name_or_id) const;
  // The image behind a manifest or index descriptor, checked. Throws with `name` in the message.
  Image read_image(const Descriptor& descriptor, std::string_view name, const Platform& platform = host_platform()) const;
  Image image(std::string_view name_or_id) const;  // find() and read_image(); throws "no such image"

  // --- roots and clean-up
  void hold(const std::string& name, const Root& root) const;
  // The same by a link to a file below the root, a JSON object with "images", "blobs" and "layers" among its members.
  void hold_as(const std::string& name, const std::string& file) const;
  void release(const std::string& name) const;

  struct Collected {
    size_t blobs = 0;
    size_t layers = 0;
    uint64_t bytes = 0;
  };
  enum class Wait { kYes, kNo };
  // Removes what neither a tag nor a root needs, and the leftovers of killed processes. Needs the lock alone; with
  // Wait::kNo gives up and returns nothing if somebody uses the store. The caller must not hold use().
  std::optional<Collected> collect(Wait wait) const;

  struct Usage {
    uint64_t blob_bytes = 0;
    uint64_t layer_bytes = 0;
    uint64_t reclaimable = 0;
    size_t blobs = 0;
    size_t layers = 0;
  };
  Usage usage() const;

 private:
  explicit Store(std::string root) : root_(std::move(root)) {}
  struct Marked;
  Marked mark() const;
  void mark_image(const Descriptor& descriptor, Marked& marked, int depth) const;
  void mark_roots(Marked& marked) const;
  void remove_temporaries() const;  // needs the lock alone
  Collected sweep(const Marked& marked, bool remove) const;
  Index read_index() const;
  void update_index(const std::function<void(Index&)>& change) const;
  LayerDirectory place_layer(const std::string& directory, const Digest& diff_id, const std::string& key) const;

  std::string root_;
};

// Where images live for this user: /var/lib/jigsaw for root, else $XDG_DATA_HOME/jigsaw or ~/.local/share/jigsaw.
std::string default_root();

}  // namespace jigsaw::image

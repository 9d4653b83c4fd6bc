// LayerStream: one compressed layer, from its bytes as they come to files, each stage in a thread of its own.
//
//     write(bytes) ─▶ │queue│ ─▶ inflate, SHA-256 of the plain tar ─▶ │queue│ ─▶ LayerApplier
//     (the caller hashes and keeps the blob)
//
// So a layer uses two processors and more, and no stage waits longer than for the next block. Nothing is larger than
// the queues, whatever the layer's size.
#pragma once

#include <exception>
#include <string_view>
#include <thread>

#include "image/block_queue.h"
#include "image/digest.h"
#include "image/layer_apply.h"

namespace jigsaw::image {

class LayerStream {
 public:
  // Without an applier the layer is only verified. The applier must outlive the stream.
  LayerStream(LayerApplier* applier, Algorithm diff_algorithm, uint64_t max_plain_bytes);
  ~LayerStream();  // gives up if finish() was not reached
  LayerStream(const LayerStream&) = delete;
  LayerStream& operator=(const LayerStream&) = delete;

  // The next bytes of the blob. Throws what a later stage threw.
  void write(std::string_view bytes);
  // All bytes are written: waits for the stages, ends the applier, returns the diff_id. Throws what they threw.
  Digest finish();

 private:
  void inflate();
  void apply();
  void join();
  void rethrow();

  LayerApplier* applier_;
  uint64_t max_plain_bytes_;
  Hasher hasher_;
  BlockQueue packed_;
  BlockQueue plain_;
  std::exception_ptr inflate_error_;
  std::exception_ptr apply_error_;
  std::thread inflate_thread_;
  std::thread apply_thread_;
};

}  // namespace jigsaw::image

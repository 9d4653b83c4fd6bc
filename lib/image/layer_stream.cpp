#include "image/layer_stream.h"

#include "base/error.h"
#include "base/text.h"
#include "image/inflate.h"

namespace jigsaw::image {
namespace {

// Ends a stage whose reader has failed: the reader's error is the one that counts.
struct ReaderGone {};

}  // namespace

LayerStream::LayerStream(LayerApplier* applier, Algorithm diff_algorithm, uint64_t max_plain_bytes)
    : applier_(applier), max_plain_bytes_(max_plain_bytes), hasher_(diff_algorithm) {
  inflate_thread_ = std::thread([this] { inflate(); });
  if (applier_ != nullptr) {
    apply_thread_ = std::thread([this] { apply(); });
  }
}

LayerStream::~LayerStream() {
  packed_.abort();
  join();
}

void LayerStream::inflate() {
  try {
    uint64_t total = 0;
    Inflater inflater(fast_gunzip, [&](std::string_view plain) {
      total += plain.size();
      if (total > max_plain_bytes_) {
        throw Error(fmt::format("the layer unpacks to more than {}", text::human_size(max_plain_bytes_)),
                    "if it is no bomb, set JIGSAW_MAX_LAYER_BYTES");
      }
      hasher_.update(plain);
      if (applier_ != nullptr && !plain_.push(plain)) {
        throw ReaderGone();
      }
    });
    bool any = false;
    while (const auto bytes = packed_.pop()) {
      inflater.write(*bytes);
      any = true;
    }
    if (packed_.aborted()) {
      return plain_.abort();
    }
    if (any) {  // a layer of no bytes is an archive without entries
      inflater.finish();
    }
    plain_.finish();
  } catch (const ReaderGone&) {
    packed_.give_up();
  } catch (...) {
    inflate_error_ = std::current_exception();
    plain_.abort();
    packed_.give_up();
  }
}

void LayerStream::apply() {
  try {
    while (const auto bytes = plain_.pop()) {
      applier_->write(*bytes);
    }
    if (!plain_.aborted()) {
      applier_->end();
    }
  } catch (...) {
    apply_error_ = std::current_exception();
    plain_.give_up();
  }
}

void LayerStream::join() {
  for (std::thread* thread : {&inflate_thread_, &apply_thread_}) {
    if (thread->joinable()) {
      thread->join();
    }
  }
}

void LayerStream::rethrow() {
  for (const std::exception_ptr& error : {inflate_error_, apply_error_}) {
    if (error) {
      std::rethrow_exception(error);
    }
  }
}

void LayerStream::write(std::string_view bytes) {
  if (!packed_.push(bytes)) {
    join();
    rethrow();
    throw Error("the layer's reader has gone");
  }
}

Digest LayerStream::finish() {
  packed_.finish();
  join();
  rethrow();
  return hasher_.finish();
}

}  // namespace jigsaw::image

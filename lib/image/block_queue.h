// BlockQueue: bytes from one thread to another, in blocks, with bounded memory.
//
//     push ─▶ │ block │ block │ block │ block │ ─▶ pop
//
// The writer waits while all blocks are full, the reader while all are empty: the slower of the two sets the pace, all
// the way back to the registry's TCP window. Either side may give up; the other is told.
#pragma once

#include <condition_variable>
#include <cstddef>
#include <mutex>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

namespace jigsaw::image {

class BlockQueue {
 public:
  // The writer's side. push() returns false if the reader has given up.
  bool push(std::string_view bytes);
  void finish();  // there is no more
  void abort();   // there is more, but it will not come

  // The reader's side: the next bytes, good until the next call; nothing at the end. See aborted().
  std::optional<std::string_view> pop();
  bool aborted() const;
  void give_up();

 private:
  static constexpr size_t kBlocks = 4;
  static constexpr size_t kBlockSize = 256U << 10;  // bytes

  bool publish(std::unique_lock<std::mutex>& lock);
  mutable std::mutex mutex_;
  std::condition_variable changed_;
  std::string blocks_[kBlocks];
  size_t written_ = 0;  // blocks published
  size_t read_ = 0;     // blocks given back
  bool lent_ = false;   // the reader holds blocks_[read_ % kBlocks]
  bool finished_ = false;
  bool aborted_ = false;
  bool given_up_ = false;
};

}  // namespace jigsaw::image

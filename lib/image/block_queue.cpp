#include "image/block_queue.h"

#include <algorithm>

namespace jigsaw::image {

// The block being filled belongs to the writer alone: blocks_[written_ % kBlocks], empty after a publish().
bool BlockQueue::publish(std::unique_lock<std::mutex>& lock) {
  changed_.wait(lock, [&] { return given_up_ || written_ - read_ < kBlocks - 1; });
  if (given_up_) {
    return false;
  }
  ++written_;
  blocks_[written_ % kBlocks].clear();
  changed_.notify_all();
  return true;
}

bool BlockQueue::push(std::string_view bytes) {
  while (!bytes.empty()) {
    std::string& block = blocks_[written_ % kBlocks];
    block.reserve(kBlockSize);
    const size_t length = std::min(bytes.size(), kBlockSize - block.size());
    block.append(bytes.substr(0, length));
    bytes.remove_prefix(length);
    if (block.size() == kBlockSize) {
      std::unique_lock lock(mutex_);
      if (!publish(lock)) {
        return false;
      }
    }
  }
  return true;
}

void BlockQueue::finish() {
  std::unique_lock lock(mutex_);
  if (!blocks_[written_ % kBlocks].empty()) {
    publish(lock);
  }
  finished_ = true;
  changed_.notify_all();
}

void BlockQueue::abort() {
  const std::lock_guard lock(mutex_);
  if (!finished_) {
    aborted_ = true;
    finished_ = true;
  }
  changed_.notify_all();
}

std::optional<std::string_view> BlockQueue::pop() {
  std::unique_lock lock(mutex_);
  if (lent_) {
    ++read_;
    lent_ = false;
    changed_.notify_all();
  }
  changed_.wait(lock, [&] { return aborted_ || written_ > read_ || finished_; });
  if (aborted_ || written_ == read_) {
    return std::nullopt;
  }
  lent_ = true;
  return blocks_[read_ % kBlocks];
}

bool BlockQueue::aborted() const {
  const std::lock_guard lock(mutex_);
  return aborted_;
}

void BlockQueue::give_up() {
  const std::lock_guard lock(mutex_);
  given_up_ = true;
  changed_.notify_all();
}

}  // namespace jigsaw::image

#include <fcntl.h>
#include <unistd.h>

#include <cstring>
#include <exception>
#include <memory>
#include <thread>

#include "base/error.h"
#include "image/block_queue.h"
#include "image/copy.h"

namespace jigsaw::image {
namespace {

constexpr size_t kReadSize = 256U << 10;

void read_from_store(const Store& store, const Descriptor& descriptor, const Source::Take& take) {
  const Fd file = store.open_blob(descriptor.digest);
  std::string buffer(kReadSize, '\0');
  while (const auto got = check(::read(file.get(), buffer.data(), buffer.size()), "read {}", descriptor.digest.text())) {
    take(std::string_view(buffer).substr(0, static_cast<size_t>(got)));
  }
}

// Whether bytes are those of a descriptor: told before the last of them is handed on.
class Checked {
 public:
  explicit Checked(const Descriptor& descriptor) : descriptor_(descriptor), hasher_(descriptor.digest.algorithm()) {}

  void take(std::string_view bytes) {
    hasher_.update(bytes);
    size_ += bytes.size();
    if (size_ > descriptor_.size) {
      throw fail("{} has more than the {} bytes of its descriptor", descriptor_.digest.text(), descriptor_.size);
    }
    if (size_ < descriptor_.size) {
      return;
    }
    if (const Digest real = hasher_.finish(); real != descriptor_.digest) {
      throw fail("the content of {} has another digest: {}", descriptor_.digest.text(), real.text());
    }
  }
  void end() const {
    if (size_ != descriptor_.size) {
      throw fail("{} has {} bytes, not {} as its descriptor says", descriptor_.digest.text(), size_, descriptor_.size);
    }
  }

 private:
  Descriptor descriptor_;
  Hasher hasher_;
  uint64_t size_ = 0;
};

// A blob that lies in a file goes straight from there into the reader's space.
class Reading {
 public:
  Reading(Fd file, const Descriptor& descriptor) : file_(std::move(file)), name_(descriptor.digest.text()), checked_(descriptor) {}

  size_t read(std::span<char> space) {
    const auto got = static_cast<size_t>(check(::read(file_.get(), space.data(), space.size()), "read {}", name_));
    got > 0 ? checked_.take({space.data(), got}) : checked_.end();
    return got;
  }

 private:
  Fd file_;
  std::string name_;
  Checked checked_;
};

// One run of a fetch, read from the other end of a queue.
class Fetching {
 public:
  Fetching(Source& source, const Descriptor& descriptor) : descriptor_(descriptor), checked_(descriptor) {
    thread_ = std::thread([this, &source] {
      try {
        source.fetch(descriptor_, [this](std::string_view bytes) {
          if (!queue_.push(bytes)) {
            throw fail("the reader of {} has gone", descriptor_.digest.short_id());
          }
        });
        queue_.finish();
      } catch (...) {
        error_ = std::current_exception();
        queue_.abort();
      }
    });
  }
  ~Fetching() {
    queue_.give_up();
    thread_.join();
  }
  Fetching(const Fetching&) = delete;
  Fetching& operator=(const Fetching&) = delete;

  size_t read(std::span<char> space) {
    while (left_.empty()) {
      const auto bytes = queue_.pop();
      if (!bytes) {
        return end();
      }
      left_ = *bytes;
      checked_.take(left_);
    }
    const size_t length = std::min(space.size(), left_.size());
    std::memcpy(space.data(), left_.data(), length);
    left_.remove_prefix(length);
    return length;
  }

 private:
  size_t end() {
    if (queue_.aborted()) {
      std::rethrow_exception(error_);
    }
    checked_.end();
    return 0;
  }

  Descriptor descriptor_;
  Checked checked_;
  BlockQueue queue_;
  std::exception_ptr error_;
  std::string_view left_;
  std::thread thread_;
};

}  // namespace

Registry::Open open_from(Source& source, const Descriptor& descriptor) {
  return [&source, descriptor]() -> Registry::Read {
    if (Fd file = source.open(descriptor)) {
      auto reading = std::make_shared<Reading>(std::move(file), descriptor);
      return [reading](std::span<char> space) { return reading->read(space); };
    }
    auto fetching = std::make_shared<Fetching>(source, descriptor);
    return [fetching](std::span<char> space) { return fetching->read(space); };
  };
}

std::optional<FetchedManifest> StoreSource::root(const std::optional<Digest>&) { return document(image_.descriptor); }

FetchedManifest StoreSource::document(const Descriptor& descriptor) {
  return {store_.read_blob(descriptor, kManifestLimit), descriptor.media_type, descriptor.digest};
}

Fd StoreSource::open(const Descriptor& descriptor) { return store_.open_blob(descriptor.digest); }

void StoreSource::fetch(const Descriptor& descriptor, const Take& take) { read_from_store(store_, descriptor, take); }

IndexSource::IndexSource(const Store& store, const std::vector<Image>& images) : store_(store) {
  Index index;
  for (const Image& image : images) {
    Descriptor entry = image.descriptor;
    entry.annotations.clear();
    entry.platform = image.config.platform;
    index.manifests.push_back(std::move(entry));
  }
  text_ = write_index(index);
}

std::optional<FetchedManifest> IndexSource::root(const std::optional<Digest>&) {
  return FetchedManifest{text_, std::string(media::kIndex), digest_of(text_)};
}

FetchedManifest IndexSource::document(const Descriptor& descriptor) {
  return {store_.read_blob(descriptor, kManifestLimit), descriptor.media_type, descriptor.digest};
}

Fd IndexSource::open(const Descriptor& descriptor) { return store_.open_blob(descriptor.digest); }

void IndexSource::fetch(const Descriptor& descriptor, const Take& take) { read_from_store(store_, descriptor, take); }

}  // namespace jigsaw::image

// Pull, the work: layers in parallel, committed from the bottom up.
#include "image/pull.h"

#include <fcntl.h>
#include <unistd.h>

#include <algorithm>
#include <atomic>
#include <chrono>
#include <condition_variable>
#include <filesystem>
#include <mutex>
#include <thread>

#include "base/error.h"
#include "base/files.h"
#include "base/interruption.h"
#include "base/log.h"
#include "image/layer_stream.h"

namespace jigsaw::image {
namespace {

constexpr size_t kLayersAtOnce = 6;  // bounds threads and memory, not the number of layers
constexpr size_t kReadSize = 256U << 10;

// Ends a thread because another one has failed.
struct Stopped {};

// The source has failed in the middle of a blob: what came may be gone on with.
struct Interrupted {
  std::exception_ptr reason;
};

// A half-made layer, gone unless it has been moved to its place.
struct Scratch {
  std::string directory;
  ~Scratch() {
    try {
      if (!directory.empty()) {
        files::remove_tree(directory);
      }
    } catch (const Error&) {  // what is left is swept by the store's collect()
    }
  }
};

class Pulling {
 public:
  Pulling(const Store& store, Source& source, const PullPlan& plan, const PullOptions& options)
      : store_(store), source_(source), plan_(plan), options_(options) {}

  std::vector<LayerDirectory> run() {
    std::vector<std::thread> threads;
    const size_t count = std::min(kLayersAtOnce, plan_.layers.size());
    for (size_t i = 0; i < count; ++i) {
      threads.emplace_back([this] { work(); });
    }
    for (std::thread& thread : threads) {
      thread.join();
    }
    Interruption::check();
    if (error_) {
      std::rethrow_exception(error_);
    }
    return std::move(committed_);
  }

 private:
  // Takes one layer after the other, lower ones first: so whoever waits for a lower one waits for work under way.
  void work() {
    try {
      for (size_t index = next_++; index < plan_.layers.size(); index = next_++) {
        named_layer(index);
      }
    } catch (const Stopped&) {  // somebody else's error is the one to report
    } catch (const Error& error) {
      stop(std::make_exception_ptr(Error(error).in(source_.description())));
    } catch (...) {
      stop(std::current_exception());
    }
  }

  // What goes wrong with a layer says with which one.
  void named_layer(size_t index) {
    try {
      layer(index);
    } catch (Error& error) {
      throw std::move(error).in("layer " + plan_.layers[index].blob.digest.short_id());
    }
  }

  void stop(std::exception_ptr error) {
    const std::lock_guard guard(mutex_);
    if (!error_) {
      error_ = std::move(error);
    }
    stopped_ = true;
    changed_.notify_all();
  }

  void check_stopped() const {
    if (stopped_ || Interruption::came()) {
      throw Stopped();
    }
  }

  // The directories of all layers below, once they are there. Another process may hold the content lock of a lower layer
  // and wait for this one's: then we let go of ours, and it finds our blob instead of the unpacked layer.
  std::vector<LayerDirectory> wait_for_parents(size_t index, std::optional<files::Lock>& content) {
    std::unique_lock lock(mutex_);
    const auto ready = [&] { return stopped_ || committed_.size() == index; };
    while (!changed_.wait_for(lock, std::chrono::milliseconds(200), ready)) {
      if (blocked_ > 0) {
        content.reset();
      }
      check_stopped();
    }
    check_stopped();
    return committed_;
  }

  files::Lock lock_content(const Digest& digest) {
    ++blocked_;
    files::Lock lock = store_.lock_content(digest);
    --blocked_;
    return lock;
  }

  bool occurs_below(size_t index) const {
    return std::any_of(plan_.layers.begin(), plan_.layers.begin() + static_cast<ptrdiff_t>(index),
                       [&](const LayerPlan& each) { return each.blob.digest == plan_.layers[index].blob.digest; });
  }

  void commit(LayerDirectory directory) {
    const std::lock_guard guard(mutex_);
    committed_.push_back(std::move(directory));
    changed_.notify_all();
  }

  // A note beside the layer: this blob is known to unpack to it. A manifest may pair any blob with any diff_id.
  static std::string proof(const LayerDirectory& directory, const Digest& blob) {
    return fmt::format("{}/from-{}", std::filesystem::path(directory.path).parent_path().string(), blob.hex());
  }

  void layer(size_t index) {
    const LayerPlan& layer = plan_.layers[index];
    const std::string item = layer.blob.digest.short_id();
    std::optional<files::Lock> lock;
    if (occurs_below(index)) {  // our own other thread fetches it
      wait_for_parents(index, lock);
    }
    lock = lock_content(layer.blob.digest);  // another process may be fetching it
    check_stopped();
    const bool blob_here = store_.has_blob(layer.blob.digest);
    const bool perhaps_unpacked = blob_here || store_.find_layer(layer.diff_id, {});
    const auto unpacked = perhaps_unpacked ? store_.find_layer(layer.diff_id, wait_for_parents(index, lock)) : std::nullopt;
    if (blob_here && unpacked) {
      if (!files::exists(proof(*unpacked, layer.blob.digest))) {
        stream(layer, nullptr, nullptr);
        note_proof(*unpacked, layer.blob.digest);
      }
      commit(*unpacked);
      return report_finish(item, "already there");
    }
    report_start(item, blob_here ? "unpacking" : "pulling", layer.blob.size);
    Scratch scratch;
    std::unique_ptr<LayerApplier> applier;
    if (blob_here) {
      applier = unpacked ? nullptr : begin(layer, scratch);
      stream(layer, applier.get(), nullptr);
    } else if (!fetch(layer, applier, unpacked.has_value(), scratch)) {
      fetch(layer, applier, unpacked.has_value(), scratch);
    }
    const auto parents = wait_for_parents(index, lock);
    LayerDirectory directory =
        unpacked ? *unpacked : store_.commit_layer(std::move(applier), layer.diff_id, layer.blob, parents);
    note_proof(directory, layer.blob.digest);
    commit(std::move(directory));
    report_finish(item, blob_here ? "unpacked" : "pulled");
  }

  std::unique_ptr<LayerApplier> begin(const LayerPlan& layer, Scratch& scratch) {
    auto applier = store_.begin_layer({.max_bytes = layer_limit(layer.blob.size)});
    scratch.directory = std::filesystem::path(applier->directory()).parent_path().string();
    return applier;
  }

  // From the source into the store, and unpacked on the way. False if what an earlier pull had left of the blob was wrong;
  // it is gone then.
  bool fetch(const LayerPlan& layer, std::unique_ptr<LayerApplier>& applier, bool unpacked, Scratch& scratch) {
    BlobWriter writer = source_.is_far() ? store_.resume_blob(layer.blob) : store_.new_blob();
    const uint64_t before = writer.size();
    Scratch mine;
    std::unique_ptr<LayerApplier> first = unpacked ? nullptr : begin(layer, mine);
    try {
      stream(layer, first.get(), &writer);
      writer.commit(layer.blob.digest);
    } catch (const Interrupted& interrupted) {
      if (source_.is_far() && writer.size() > before) {  // no answer at all to a part's request: next time from the start
        writer.keep();
      }
      std::rethrow_exception(interrupted.reason);
    } catch (const Stopped&) {
      if (source_.is_far()) {
        writer.keep();
      }
      throw;
    } catch (const Error& error) {
      if (before == 0) {
        throw;
      }
      log::debug("{}: what was left of an earlier pull is of no use: {}", layer.blob.digest.short_id(), error.message());
      return false;
    }
    std::swap(scratch.directory, mine.directory);
    applier = std::move(first);
    return true;
  }

  void note_proof(const LayerDirectory& directory, const Digest& blob) {
    files::open(proof(directory, blob), O_WRONLY | O_CREAT, 0644);
  }

  // Runs one layer's bytes through all stages; on return its diff_id is verified, and the applier is ended.
  void stream(const LayerPlan& layer, LayerApplier* applier, BlobWriter* writer) {
    LayerStream stages(applier, layer.diff_id.algorithm(), layer_limit(layer.blob.size));
    const auto pass = [&](std::string_view bytes) {
      check_stopped();
      stages.write(bytes);
      if (options_.progress != nullptr) {
        options_.progress->advance(layer.blob.digest.short_id(), bytes.size());
      }
    };
    if (writer != nullptr) {
      fetch_bytes(layer, *writer, pass);
    } else {
      read_blob(layer.blob, pass);
    }
    if (const Digest diff_id = stages.finish(); diff_id != layer.diff_id) {
      throw fail("unpacks to {}, but the config says {}", diff_id.text(), layer.diff_id.text());
    }
  }

  // Throws Interrupted for what the source did, and other errors for what we did with its bytes.
  void fetch_bytes(const LayerPlan& layer, BlobWriter& writer, const Source::Take& pass) {
    writer.replay(pass);
    if (writer.size() == layer.blob.size) {
      return;
    }
    bool ours = false;
    try {
      source_.fetch_rest(layer.blob, writer.size(), [&](std::string_view bytes) {
        ours = true;
        writer.write(bytes);
        pass(bytes);
        ours = false;
      });
    } catch (...) {
      if (ours) {
        throw;
      }
      throw Interrupted{std::current_exception()};
    }
  }

  void read_blob(const Descriptor& blob, const Source::Take& take) {
    const Fd file = store_.open_blob(blob.digest);
    std::string buffer(kReadSize, '\0');
    Hasher hasher(blob.digest.algorithm());
    while (const auto got = check(::read(file.get(), buffer.data(), buffer.size()), "read {}", blob.digest.text())) {
      const std::string_view bytes = std::string_view(buffer).substr(0, static_cast<size_t>(got));
      hasher.update(bytes);
      take(bytes);
    }
    if (hasher.finish() != blob.digest) {
      throw Error(fmt::format("the blob {} in the store is damaged", blob.digest.text()),
                  "remove the image with 'jigsaw rmi' and pull it again");
    }
  }

  void report_start(const std::string& item, const char* what, uint64_t bytes) {
    if (options_.progress != nullptr) {
      options_.progress->start(item, what, bytes);
    }
  }
  void report_finish(const std::string& item, const char* result) {
    if (options_.progress != nullptr) {
      options_.progress->finish(item, result);
    }
  }

  const Store& store_;
  Source& source_;
  const PullPlan& plan_;
  const PullOptions& options_;
  std::atomic<size_t> next_ = 0;
  std::atomic<bool> stopped_ = false;
  std::atomic<int> blocked_ = 0;  // threads that wait for a content lock
  std::mutex mutex_;
  std::condition_variable changed_;
  std::vector<LayerDirectory> committed_;
  std::exception_ptr error_;
};

void add_text(const Store& store, const std::string& text, const Digest& digest) {
  if (!store.has_blob(digest)) {
    BlobWriter writer = store.new_blob();
    writer.write(text);
    writer.commit(digest);
  }
}

}  // namespace

Image carry_out(const Store& store, Source& source, const PullPlan& plan, const PullOptions& options) {
  if (plan.here) {
    return *plan.here;
  }
  Pulling(store, source, plan, options).run();
  add_text(store, plan.config_text, plan.manifest.config.digest);
  add_text(store, plan.manifest_text, plan.descriptor.digest);
  Descriptor entry = plan.descriptor;
  entry.annotations.clear();
  entry.platform = plan.config.platform;
  if (plan.source_digest) {
    entry.annotations[std::string(kSourceAnnotation)] = plan.source_digest->text();
  }
  store.tag(plan.name, entry);
  return Image{.name = plan.name, .descriptor = entry, .manifest = plan.manifest, .config = plan.config, .config_text = plan.config_text};
}

Image pull(const Store& store, Source& source, const std::string& name, const PullOptions& options) {
  const files::Lock lock = store.use_to_add();
  const PullPlan plan = plan_pull(store, source, name, options);
  return carry_out(store, source, plan, options);
}

}  // namespace jigsaw::image

#include "image/store.h"

#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cstdlib>
#include <filesystem>
#include <nlohmann/json.hpp>

#include "base/error.h"
#include "base/interruption.h"
#include "base/json.h"
#include "base/spread.h"
#include "base/text.h"

namespace jigsaw::image {
namespace {

constexpr std::chrono::milliseconds kLockPause(20);
constexpr const char* kFolders[] = {"blobs", "blobs/sha256", "blobs/sha512", "layers", "roots", "tmp", "locks"};

void check_schema(const std::string& text, const std::string& path) {
  const json::Document document(text, path);
  const int64_t version = document.root().at("schema").integer(0);
  if (version > kSchemaVersion) {
    throw Error(fmt::format("{} is of schema {}, and this program knows {} at most", path, version, kSchemaVersion),
                "a newer jigsaw has used this directory: use that one, or another --root");
  }
}

void make_store(const std::string& root) {
  files::make_directories(root, 0700);
  files::spread_below(root);
  for (const char* folder : kFolders) {
    files::make_directories(fmt::format("{}/{}", root, folder), 0755);
  }
  files::spread_below(root + "/tmp");  // where layers are unpacked: each begins far from what was removed a moment ago
  const files::Lock lock = files::Lock::take(root + "/locks/index");
  if (!files::exists(root + "/index.json")) {
    files::replace(root + "/index.json", write_index(Index{.manifests = {}}), {.mode = 0644});
  }
  files::replace(root + "/oci-layout", R"({"imageLayoutVersion":"1.0.0"})", {.mode = 0644});
  // Last, since its presence says that all the rest is there.
  files::replace(root + "/jigsaw.json", json::dump(json::Value{{"schema", kSchemaVersion}}) + "\n", {.mode = 0644});
}

}  // namespace

// --- a blob being written

struct BlobWriter::State {
  std::string path;
  std::string blobs;
  Fd file;
  Hasher hasher;
  uint64_t size = 0;
  bool done = false;
  bool kept = false;
};

BlobWriter::BlobWriter(std::string directory, std::string blobs)
    : BlobWriter(fmt::format("{}/blob-{}", directory, files::random_hex(8)), std::move(blobs), Begun::kAnew) {}

BlobWriter::BlobWriter(std::string path, std::string blobs, Begun begun) : state_(std::make_unique<State>()) {
  state_->path = std::move(path);
  state_->blobs = std::move(blobs);
  const int how = begun == Begun::kAnew ? O_EXCL : 0;
  state_->file = files::open(state_->path, O_RDWR | O_CREAT | O_NOFOLLOW | how, 0644);
  struct stat status {};
  check(::fstat(state_->file.get(), &status), "stat {}", state_->path);
  state_->size = static_cast<uint64_t>(status.st_size);
}

BlobWriter::~BlobWriter() {
  if (state_ && !state_->done && !state_->kept) {
    ::unlink(state_->path.c_str());
  }
}

BlobWriter::BlobWriter(BlobWriter&&) noexcept = default;
BlobWriter& BlobWriter::operator=(BlobWriter&& other) noexcept {
  std::swap(state_, other.state_);
  return *this;
}

void BlobWriter::write(std::string_view bytes) {
  files::write_all(state_->file.get(), bytes, state_->path);
  state_->hasher.update(bytes);
  state_->size += bytes.size();
}

uint64_t BlobWriter::size() const { return state_->size; }

void BlobWriter::replay(const std::function<void(std::string_view)>& take) {
  std::string buffer(256U << 10, '\0');
  for (ssize_t got = 0; (got = check(::read(state_->file.get(), buffer.data(), buffer.size()), "read {}", state_->path)) > 0;) {
    const std::string_view bytes = std::string_view(buffer).substr(0, static_cast<size_t>(got));
    state_->hasher.update(bytes);
    take(bytes);
  }
}

void BlobWriter::keep() { state_->kept = true; }

Digest BlobWriter::commit(const std::optional<Digest>& expected) {
  Digest digest = state_->hasher.finish();
  if (expected && expected->algorithm() != digest.algorithm()) {
    Hasher other(expected->algorithm());
    const Fd again = files::open(state_->path, O_RDONLY);
    std::string buffer(1U << 20, '\0');
    for (ssize_t got = 0; (got = check(::read(again.get(), buffer.data(), buffer.size()), "read {}", state_->path)) > 0;) {
      other.update(std::string_view(buffer).substr(0, static_cast<size_t>(got)));
    }
    digest = other.finish();
  }
  if (expected && *expected != digest) {
    throw fail("the content has the digest {}, not {} as announced", digest.text(), expected->text());
  }
  const std::string place = fmt::format("{}/{}/{}", state_->blobs, digest.algorithm_name(), digest.hex());
  check(::rename(state_->path.c_str(), place.c_str()), "rename {} to {}", state_->path, place);
  state_->done = true;
  return digest;
}

// --- the store itself

Store Store::open(const std::string& given) {
  const std::string root = std::filesystem::absolute(given).lexically_normal().string();
  const std::string marker = root + "/jigsaw.json";
  try {
    if (const auto text = files::read_if_exists(marker)) {
      check_schema(*text, marker);
    } else {
      make_store(root);
    }
  } catch (Error& error) {
    const int number = error.error_number();
    if (number == EACCES || number == EPERM || number == EROFS || number == ENOTDIR) {
      throw std::move(error).with_hint("choose another place for images, with --root DIR");
    }
    throw;
  }
  return Store(root);
}

files::Lock Store::use() const { return files::Lock::take(root_ + "/locks/use", files::Lock::Mode::kShared); }

files::Lock Store::lock_content(const Digest& digest) const {
  const std::string path = fmt::format("{}/locks/content-{}", root_, digest.hex());
  for (;; Interruption::sleep(kLockPause)) {  // not flock(2): a signal that another thread takes would not end it
    if (auto lock = files::Lock::try_take(path)) {
      return std::move(*lock);
    }
  }
}

std::optional<files::Lock> Store::try_lock_content(const Digest& digest) const {
  return files::Lock::try_take(fmt::format("{}/locks/content-{}", root_, digest.hex()));
}

std::string Store::blob_path(const Digest& digest) const {
  return fmt::format("{}/blobs/{}/{}", root_, digest.algorithm_name(), digest.hex());
}

bool Store::has_blob(const Digest& digest) const { return ::access(blob_path(digest).c_str(), F_OK) == 0; }

Fd Store::open_blob(const Digest& digest) const {
  auto file = files::open_if_exists(blob_path(digest), O_RDONLY | O_NOFOLLOW);
  if (!file) {
    throw Error(fmt::format("the blob {} is not in the store", digest.text()),
                "pull the image again to fetch what is missing");
  }
  return std::move(*file);
}

std::string Store::read_blob(const Descriptor& descriptor, size_t limit) const {
  if (descriptor.size > limit) {
    throw fail("{} says it has {} bytes; at most {} are read", descriptor.digest.text(), descriptor.size, limit);
  }
  std::string text = files::read_fd(open_blob(descriptor.digest).get(), descriptor.digest.text(), limit);
  if (text.size() != descriptor.size) {
    throw fail("{} has {} bytes, not {} as its descriptor says", descriptor.digest.text(), text.size(), descriptor.size);
  }
  if (const Digest real = digest_of(text, descriptor.digest.algorithm()); real != descriptor.digest) {
    throw fail("the content of {} has another digest: {}", descriptor.digest.text(), real.text());
  }
  return text;
}

BlobWriter Store::new_blob() const { return BlobWriter(temporary_directory(), root_ + "/blobs"); }

BlobWriter Store::resume_blob(const Descriptor& descriptor) const {
  files::make_directories(root_ + "/partial", 0755);
  const std::string path = fmt::format("{}/partial/{}-{}", root_, descriptor.digest.algorithm_name(), descriptor.digest.hex());
  struct stat status {};
  if (::lstat(path.c_str(), &status) == 0 && (!S_ISREG(status.st_mode) || static_cast<uint64_t>(status.st_size) > descriptor.size)) {
    files::remove_tree(path);
  }
  return BlobWriter(path, root_ + "/blobs", BlobWriter::Begun::kPerhaps);
}

Descriptor Store::add_blob(std::string_view bytes, std::string_view media_type) const {
  const Digest digest = digest_of(bytes);
  if (!has_blob(digest)) {
    BlobWriter writer = new_blob();
    writer.write(bytes);
    writer.commit(digest);
  }
  return Descriptor{.media_type = std::string(media_type), .digest = digest, .size = bytes.size()};
}

void Store::remove_blob(const Digest& digest) const {
  if (::unlink(blob_path(digest).c_str()) != 0 && errno != ENOENT) {
    throw system_error(errno, fmt::format("remove {}", blob_path(digest)));
  }
}

std::string default_root() {
  if (::geteuid() == 0) {
    return "/var/lib/jigsaw";
  }
  if (const char* data = std::getenv("XDG_DATA_HOME"); data != nullptr && *data == '/') {
    return fmt::format("{}/jigsaw", data);
  }
  const char* home = std::getenv("HOME");
  if (home == nullptr || *home != '/') {
    throw Error("HOME is not set, so there is no place for images", "give one with --root DIR");
  }
  return fmt::format("{}/.local/share/jigsaw", home);
}

}  // namespace jigsaw::image

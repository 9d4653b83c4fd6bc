#include "build/content_hash.h"

#include <unistd.h>

#include <array>
#include <chrono>
#include <cstring>
#include <map>
#include <memory>

#include "base/error.h"
#include "base/files.h"
#include "base/interruption.h"

namespace jigsaw::build {
namespace {

constexpr std::string_view kMagic = "jigsaw file hashes 1\n";
constexpr int64_t kSettled = 20'000'000;  // nanoseconds: longer than a tick of the kernel's file clock
constexpr size_t kTableLimit = 512U << 20;

int64_t nanoseconds(const timespec& time) { return time.tv_sec * 1'000'000'000 + time.tv_nsec; }

FileHashes::Hash bytes_of(const image::Digest& digest) {
  FileHashes::Hash result{};
  const std::string& hex = digest.hex();
  const auto value = [](char digit) { return digit <= '9' ? digit - '0' : digit - 'a' + 10; };
  for (size_t i = 0; i < result.size(); ++i) {
    result[i] = static_cast<unsigned char>(value(hex[2 * i]) << 4 | value(hex[2 * i + 1]));
  }
  return result;
}

std::string_view as_text(const FileHashes::Hash& hash) {
  return {reinterpret_cast<const char*>(hash.data()), hash.size()};
}

FileHashes::Hash hash_file(int fd) {
  image::Hasher hasher;
  constexpr size_t kAtOnce = 256 << 10;
  static thread_local const auto buffer = std::make_unique<char[]>(kAtOnce);
  while (true) {
    Interruption::check();
    const ssize_t got = ::read(fd, buffer.get(), kAtOnce);
    if (got < 0 && errno == EINTR) {
      continue;
    }
    if (check(got, "read a file to hash it") == 0) {
      break;
    }
    hasher.update({buffer.get(), static_cast<size_t>(got)});
  }
  if (const std::string attributes = attributes_text(fd); !attributes.empty()) {
    hasher.update(fmt::format("\nattributes {}\n{}", attributes.size(), attributes));
  }
  return bytes_of(hasher.finish());
}

class HashVisitor : public SourceVisitor {
 public:
  HashVisitor(const CopySource& source, FileHashes& hashes) : source_(source), hashes_(hashes) {}

  void enter_directory(const Visit& visit) override {
    describe(visit, 'd', visit.self->fd() < 0 ? "" : attributes_text(visit.self->fd()));
  }
  void leave_directory(const Visit&) override {}
  void visit(const Visit& visit) override {
    const struct stat& status = visit.node.status;
    switch (status.st_mode & S_IFMT) {
      case S_IFREG:
        if (status.st_nlink > 1) {
          const auto [first, is_new] = links_.try_emplace({status.st_dev, status.st_ino}, visit.relative);
          if (!is_new) {
            return describe(visit, 'h', first->second);  // a COPY makes it one file with two names, too
          }
        }
        return describe(visit, 'f', as_text(hashes_.hash(status, [&] {
                          return source_.tree->open_file(visit.parent, visit.name);
                        })));
      case S_IFLNK: return describe(visit, 'l', source_.tree->read_link(visit.parent, visit.name));
      case S_IFCHR:
      case S_IFBLK: return describe(visit, 'n', fmt::format("{} {}", status.st_mode & S_IFMT, status.st_rdev));
      case S_IFIFO: return describe(visit, 'p', "");
      case S_IFSOCK: return source_.seen_as ? describe(visit, 's', "") : void();
      default: return;
    }
  }
  image::Digest finish() { return hasher_.finish(); }

 private:
  void describe(const Visit& visit, char type, std::string_view content) {
    const struct stat& status = visit.node.status;
    const Owner owner = source_.seen_as.value_or(Owner{status.st_uid, status.st_gid});
    const bool has_mode = type != 'l';
    hasher_.update(fmt::format("{}{} {} {:o} {} {} {} {}\n", type, visit.choice == Visit::Choice::kParent ? "p" : "",
                               visit.relative.size(), has_mode ? status.st_mode & 07777 : 0, owner.uid, owner.gid,
                               content.size(), visit.relative));
    hasher_.update(content);
  }

  const CopySource& source_;
  FileHashes& hashes_;
  std::map<std::pair<dev_t, ino_t>, std::string> links_;
  image::Hasher hasher_;
};

}  // namespace

FileHashes::FileHashes(std::string path) : path_(std::move(path)) {}

void FileHashes::load() {
  loaded_ = true;
  if (path_.empty()) {
    return;
  }
  const std::optional<std::string> text = files::read_if_exists(path_, kTableLimit);
  if (!text || !text->starts_with(kMagic)) {
    return;
  }
  const size_t count = (text->size() - kMagic.size()) / sizeof(Record);
  known_.reserve(count);
  for (size_t i = 0; i < count; ++i) {
    Record record;
    std::memcpy(&record, text->data() + kMagic.size() + i * sizeof record, sizeof record);
    known_.emplace(record.key, record.hash);
  }
}

FileHashes::Hash FileHashes::hash(const struct stat& status, const std::function<Fd()>& open) {
  if (!loaded_) {
    load();
  }
  const Key key{status.st_dev, status.st_ino, static_cast<uint64_t>(status.st_size), nanoseconds(status.st_mtim),
                nanoseconds(status.st_ctim)};
  if (const auto found = known_.find(key); found != known_.end()) {
    used_.push_back({key, found->second});
    return found->second;
  }
  timespec now{};
  ::clock_gettime(CLOCK_REALTIME, &now);
  const Hash result = hash_file(open().get());
  if (nanoseconds(now) - key.changed > kSettled) {
    used_.push_back({key, result});
    changed_ = true;
  }
  return result;
}

void FileHashes::save() {
  if (path_.empty() || !changed_) {
    return;
  }
  std::string text(kMagic);
  text.reserve(text.size() + used_.size() * sizeof(Record));
  for (const Record& record : used_) {
    text.append(reinterpret_cast<const char*>(&record), sizeof record);
  }
  files::replace(path_, text, {.mode = 0600, .sync = false});
  changed_ = false;
}

image::Digest content_digest(const CopySource& source, const SourceMatch& match, FileHashes& hashes) {
  HashVisitor visitor(source, hashes);
  walk_source(source, match, visitor);
  return visitor.finish();
}

}  // namespace jigsaw::build

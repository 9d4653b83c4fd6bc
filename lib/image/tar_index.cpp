#include "image/tar_index.h"

#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>

#include <algorithm>
#include <filesystem>

#include "base/error.h"
#include "base/files.h"
#include "base/text.h"
#include "image/inflate.h"
#include "image/tar_fields.h"

namespace jigsaw::image {
namespace {

constexpr uint64_t kBlock = 512;
constexpr uint64_t kNameLimit = 1U << 20;
constexpr size_t kMembersLimit = 1U << 18;
constexpr size_t kReadSize = 256U << 10;
constexpr int kMaxLinks = 8;

// Reads exactly `size` bytes; false at the end of the file.
bool read_at(int fd, char* data, size_t size, uint64_t offset, const std::string& name) {
  for (size_t done = 0; done < size;) {
    const auto got = check(::pread(fd, data + done, size - done, static_cast<off_t>(offset + done)), "read {}", name);
    if (got == 0) {
      return false;
    }
    done += static_cast<size_t>(got);
  }
  return true;
}

bool is_plain(char typeflag) { return typeflag == '0' || typeflag == '\0'; }

std::string clean(const std::string& name) {
  std::string text = std::filesystem::path("/" + name).lexically_normal().string();
  return text.substr(1, text.ends_with('/') && text.size() > 1 ? text.size() - 2 : std::string::npos);
}

// Headers that stand before a member and say of it what its own has no room for.
bool announces(char type) { return type == 'L' || type == 'K' || type == 'x'; }

std::string name_in(const TarHeaderBlock& block) {
  const std::string prefix = tar_prefix(block);
  const std::string name = tar_text(block.name, sizeof(block.name));
  return prefix.empty() ? name : prefix + "/" + name;
}

}  // namespace

struct TarIndex::Announced {
  std::string name;
  std::string link;
  uint64_t size = 0;  // what needs more than eleven octal digits: a layer of 8 GiB

  void take(char type, const std::string& text) {
    if (type == 'L') {
      name = text.c_str();
    } else if (type == 'K') {
      link = text.c_str();
    } else {
      PaxRecords records = parse_pax(text);
      name = records.values["path"];
      link = records.values["linkpath"];
      size = text::to_u64(records.values["size"]).value_or(0);
    }
  }
};

TarIndex::TarIndex(Fd file, std::string name) : file_(std::move(file)), name_(std::move(name)) { scan(); }

void TarIndex::scan() {
  struct stat status{};
  check(::fstat(file_.get(), &status), "stat {}", name_);
  const auto end = static_cast<uint64_t>(status.st_size);
  Announced announced;
  uint64_t offset = 0;
  for (TarHeaderBlock block; read_at(file_.get(), reinterpret_cast<char*>(&block), kBlock, offset, name_);) {
    offset += kBlock;
    if (block.name[0] == '\0' && !tar_checksum_fits(block)) {
      break;  // the blocks of zeros at the end
    }
    const auto size = tar_number(block.size, sizeof(block.size));
    if (!tar_checksum_fits(block) || !size || *size < 0 || static_cast<uint64_t>(*size) > end - std::min(end, offset)) {
      throw fail("{} is no whole tar archive (at byte {})", name_, offset - kBlock);
    }
    const uint64_t length = is_plain(block.typeflag) && announced.size > 0 ? announced.size : static_cast<uint64_t>(*size);
    if (length > end - offset) {
      throw fail("{} is cut off (at byte {})", name_, offset - kBlock);
    }
    if (announces(block.typeflag)) {
      std::string text(static_cast<size_t>(std::min(length, kNameLimit)), '\0');
      read_at(file_.get(), text.data(), text.size(), offset, name_);
      announced.take(block.typeflag, text);
    } else {
      add(block, announced, {offset, length});
      announced = {};
    }
    offset += (length + kBlock - 1) / kBlock * kBlock;
  }
  if (files_.empty()) {
    throw fail("{} is no tar archive, or an empty one", name_);
  }
}

void TarIndex::add(const TarHeaderBlock& block, const Announced& announced, Place place) {
  const std::string name = clean(announced.name.empty() ? name_in(block) : announced.name);
  const std::string link = !announced.link.empty() ? announced.link : tar_text(block.linkname, sizeof(block.linkname));
  if (is_plain(block.typeflag)) {
    files_[name] = place;
  } else if (block.typeflag == '1') {
    links_[name] = clean(link);
  } else if (block.typeflag == '2') {
    links_[name] = clean((std::filesystem::path(name).parent_path() / link).string());
  }
  if (files_.size() + links_.size() > kMembersLimit) {
    throw fail("{} has more than {} members: no image archive", name_, kMembersLimit);
  }
}

std::optional<TarIndex::Place> TarIndex::find(const std::string& member) const {
  std::string name = clean(member);
  for (int step = 0; step < kMaxLinks; ++step) {
    if (const auto found = files_.find(name); found != files_.end()) {
      return found->second;
    }
    const auto link = links_.find(name);
    if (link == links_.end()) {
      break;
    }
    name = link->second;
  }
  return std::nullopt;
}

uint64_t TarIndex::size(const std::string& member) const {
  const auto place = find(member);
  if (!place) {
    throw fail("{} has no member {}", name_, member);
  }
  return place->size;
}

std::string TarIndex::read(const std::string& member, size_t limit) const {
  if (size(member) > limit) {
    throw fail("{}: {} has {} bytes; at most {} are read", name_, member, size(member), limit);
  }
  std::string text;
  read(member, [&](std::string_view bytes) { text += bytes; });
  return text;
}

void TarIndex::read(const std::string& member, const std::function<void(std::string_view)>& take) const {
  size(member);
  const Place place = *find(member);
  std::string buffer(kReadSize, '\0');
  for (uint64_t done = 0; done < place.size;) {
    const auto length = static_cast<size_t>(std::min<uint64_t>(buffer.size(), place.size - done));
    if (!read_at(file_.get(), buffer.data(), length, place.offset + done, name_)) {
      throw fail("{} is cut off", name_);
    }
    take(std::string_view(buffer).substr(0, length));
    done += length;
  }
}

Fd plain_archive(Fd file, const std::string& name, const std::string& temporary_directory) {
  char magic[4] = {};
  const bool seekable = ::lseek(file.get(), 0, SEEK_CUR) >= 0;
  if (seekable) {
    const ssize_t got = ::pread(file.get(), magic, sizeof(magic), 0);
    const std::string_view start(magic, static_cast<size_t>(std::max<ssize_t>(0, got)));
    if (!start.starts_with("\x1f\x8b") && start != "\x28\xb5\x2f\xfd") {
      return file;
    }
  }
  Fd copy = files::open(temporary_directory, O_TMPFILE | O_RDWR, 0600);
  Inflater inflater(fast_gunzip, [&](std::string_view plain) { files::write_all(copy.get(), plain, "a copy of " + name); });
  std::string buffer(kReadSize, '\0');
  while (const auto got = check(::read(file.get(), buffer.data(), buffer.size()), "read {}", name)) {
    inflater.write(std::string_view(buffer).substr(0, static_cast<size_t>(got)));
  }
  inflater.finish();
  return copy;
}

}  // namespace jigsaw::image

// Layers for tests: tar streams written entry by entry, as good or as bad as a test wants them.
#pragma once

#include <string>
#include <utility>
#include <vector>

#include "image/tar_writer.h"

namespace jigsaw::test {

using image::TarEntry;
using image::TarType;

struct Item {
  TarEntry entry;
  std::string content{};
};

inline Item file(std::string name, std::string content = "content", uint32_t mode = 0644) {
  return {TarEntry{.name = std::move(name), .mode = mode, .mtime = {.tv_sec = 1000, .tv_nsec = 0}}, std::move(content)};
}
inline Item directory(std::string name, uint32_t mode = 0755) {
  return {TarEntry{.type = TarType::kDirectory, .name = std::move(name), .mode = mode, .mtime = {.tv_sec = 2000, .tv_nsec = 0}}};
}
inline Item link(std::string name, std::string target) {
  return {TarEntry{.type = TarType::kSymlink, .name = std::move(name), .link = std::move(target), .mode = 0777}};
}
inline Item hard_link(std::string name, std::string target) {
  return {TarEntry{.type = TarType::kHardLink, .name = std::move(name), .link = std::move(target)}};
}
inline Item special(TarType type, std::string name, uint32_t major = 0, uint32_t minor = 0) {
  return {TarEntry{.type = type, .name = std::move(name), .mode = 0600, .device_major = major, .device_minor = minor}};
}
inline Item with_xattr(Item item, const std::string& key, const std::string& value) {
  item.entry.xattrs[key] = value;
  return item;
}

inline std::string tar(const std::vector<Item>& items) {
  std::string result;
  image::TarWriter writer([&](std::string_view bytes) { result += bytes; });
  for (const Item& item : items) {
    TarEntry entry = item.entry;
    entry.size = entry.type == TarType::kFile ? item.content.size() : 0;
    writer.begin(entry);
    if (entry.size > 0) {
      writer.data(item.content);
    }
  }
  writer.finish();
  return result;
}

}  // namespace jigsaw::test

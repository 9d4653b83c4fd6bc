// Which images `jigsaw images` shows: the filters of `docker images`.
#pragma once

#include <chrono>
#include <map>
#include <optional>
#include <string>
#include <vector>

#include "image/store.h"

namespace jigsaw::commands {

struct ListedImage {
  image::Tag tag;
  std::string repository;            // as users write it; "" for an image without a name
  std::string version;               // the tag; "" if there is none
  std::optional<image::Image> image;  // nothing if it is damaged
};

std::vector<ListedImage> list_images(const image::Store& store);

class ImageFilter {
 public:
  // "KEY=VALUE" each; throws on what it does not know, and if there is no image of that name.
  ImageFilter(const image::Store& store, const std::vector<std::string>& filters);
  bool takes(const ListedImage& listed) const;

 private:
  void add(const image::Store& store, const std::string& key, const std::string& value);

  std::vector<std::string> references_;  // one of them, if there are any
  std::vector<std::pair<std::string, std::optional<std::string>>> labels_;
  std::optional<bool> dangling_;
  std::optional<std::chrono::system_clock::time_point> before_;
  std::optional<std::chrono::system_clock::time_point> since_;
};

}  // namespace jigsaw::commands

#include "commands/image_filters.h"

#include <fnmatch.h>

#include <algorithm>

#include "base/error.h"
#include "base/text.h"
#include "image/names.h"

namespace jigsaw::commands {
namespace {

std::chrono::system_clock::time_point created(const image::Store& store, const std::string& name) {
  const image::Image image = image::named_image(store, name);
  if (const auto time = text::parse_rfc3339(image.config.created)) {
    return *time;
  }
  throw fail("{} does not say when it was made", name);
}

// "debian" is all of its tags, "debian:12" and "debian:*" those that fit; before the repository a path may be left out.
bool matches(const std::string& pattern, const ListedImage& listed) {
  const std::string whole = listed.repository + ":" + listed.version;
  const auto fits = [&](const std::string& name) { return ::fnmatch(pattern.c_str(), name.c_str(), FNM_PATHNAME) == 0; };
  for (size_t at = 0; at != std::string::npos && !listed.repository.empty(); at = listed.repository.find('/', at)) {
    at += at > 0 ? 1 : 0;
    if (fits(listed.repository.substr(at)) || fits(whole.substr(at))) {
      return true;
    }
    at = std::max<size_t>(at, 1);
  }
  return false;
}

}  // namespace

std::vector<ListedImage> list_images(const image::Store& store) {
  std::vector<ListedImage> result;
  for (const image::Tag& tag : store.tags()) {
    const std::string name = image::short_name(tag.name);
    const size_t colon = name.rfind(':');
    const bool has_tag =
        colon != std::string::npos && name.find('/', colon) == std::string::npos && name.find('@') == std::string::npos;
    ListedImage listed{.tag = tag, .repository = has_tag ? name.substr(0, colon) : name.substr(0, name.find('@')), .version = {}, .image = {}};
    listed.version = has_tag ? name.substr(colon + 1) : "";
    try {
      listed.image = store.read_image(tag.descriptor, tag.name);
    } catch (const Error&) {
      // Shown as damaged: it can still be removed.
    }
    result.push_back(std::move(listed));
  }
  return result;
}

ImageFilter::ImageFilter(const image::Store& store, const std::vector<std::string>& filters) {
  for (const std::string& filter : filters) {
    const size_t equals = filter.find('=');
    if (equals == std::string::npos) {
      throw Error(fmt::format("a filter is KEY=VALUE, not {}", text::quoted(filter)), "such as dangling=true");
    }
    add(store, filter.substr(0, equals), filter.substr(equals + 1));
  }
}

void ImageFilter::add(const image::Store& store, const std::string& key, const std::string& value) {
  if (key == "dangling") {
    if (value != "true" && value != "false" && value != "1" && value != "0") {
      throw fail("dangling is true or false, not {}", text::quoted(value));
    }
    dangling_ = value == "true" || value == "1";
  } else if (key == "reference") {
    references_.push_back(value);
  } else if (key == "label") {
    const size_t equals = value.find('=');
    labels_.emplace_back(value.substr(0, equals),
                         equals == std::string::npos ? std::nullopt : std::optional(value.substr(equals + 1)));
  } else if (key == "before") {
    before_ = std::min(before_.value_or(created(store, value)), created(store, value));
  } else if (key == "since" || key == "after") {
    since_ = std::max(since_.value_or(created(store, value)), created(store, value));
  } else {
    throw Error(fmt::format("unknown filter {}{}", text::quoted(key),
                            text::did_you_mean(key, std::vector<std::string>{"dangling", "reference", "label", "before", "since"})),
                "filters are dangling, reference, label, before and since");
  }
}

bool ImageFilter::takes(const ListedImage& listed) const {
  if (dangling_ && *dangling_ != listed.repository.empty()) {
    return false;
  }
  if (!references_.empty() &&
      std::none_of(references_.begin(), references_.end(), [&](const std::string& each) { return matches(each, listed); })) {
    return false;
  }
  const std::map<std::string, std::string> labels = listed.image ? listed.image->config.config.labels : std::map<std::string, std::string>();
  for (const auto& [key, value] : labels_) {
    const auto found = labels.find(key);
    if (found == labels.end() || (value && found->second != *value)) {
      return false;
    }
  }
  if (!before_ && !since_) {
    return true;
  }
  const auto time = listed.image ? text::parse_rfc3339(listed.image->config.created) : std::nullopt;
  return time && (!before_ || *time < *before_) && (!since_ || *time > *since_);
}

}  // namespace jigsaw::commands

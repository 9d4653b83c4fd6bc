// Layers from strangers: the tar reader takes the stream in two ways of cutting it and must see the same in both.
#include <cstdint>
#include <cstdlib>
#include <string>
#include <string_view>

#include "base/error.h"
#include "image/digest.h"
#include "image/layer_entry.h"
#include "image/tar_reader.h"

using namespace jigsaw;

namespace {

struct Record : image::TarSink {
  std::string seen;
  bool open = false;
  void begin(const image::TarEntry& entry) override {
    if (open) {
      std::abort();
    }
    open = true;
    seen += entry.name + "\1" + entry.link + "\1" + std::to_string(entry.size) + "\1";
    try {
      const std::string clean = image::clean_path(entry.name);
      if (clean.starts_with('/') || ("/" + clean + "/").find("/../") != std::string::npos) {
        std::abort();
      }
    } catch (const Error&) {
    }
  }
  void data(uint64_t offset, std::string_view bytes) override {
    if (!open || bytes.empty()) {
      std::abort();
    }
    for (const char c : bytes) {
      seen += c;
    }
    sum += offset;
  }
  void end() override { open = false; }
  uint64_t sum = 0;
};

std::string read(std::string_view stream, size_t piece) {
  Record record;
  image::TarReader reader(record);
  try {
    for (size_t at = 0; at < stream.size(); at += piece) {
      reader.feed(stream.substr(at, piece));
    }
    reader.finish();
  } catch (const Error& error) {
    return record.seen + "\2" + error.message();
  }
  return record.seen;
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  const std::string_view stream(reinterpret_cast<const char*>(data), size);
  if (read(stream, size + 1) != read(stream, 313)) {
    std::abort();
  }
  return 0;
}

#include "engine/names.h"

#include <algorithm>
#include <array>
#include <cctype>
#include <random>
#include <string_view>

#include "base/error.h"
#include "base/text.h"

namespace jigsaw::engine {
namespace {

constexpr std::array<std::string_view, 32> kQualities = {
    "able",  "bold",  "brisk", "calm",  "clear",  "crisp", "deft",   "eager", "early", "fair",  "fond",
    "frank", "glad",  "keen",  "kind",  "lively", "lucid", "merry",  "mild",  "neat",  "noble", "plain",
    "quick", "quiet", "ready", "sharp", "sound",  "spry",  "steady", "swift", "tidy",  "warm"};
constexpr std::array<std::string_view, 32> kThings = {
    "anchor", "badger", "basket", "beacon", "bridge", "canoe",  "compass", "crane",  "falcon", "ferry",  "garden",
    "harbor", "heron",  "jigsaw", "kettle", "ladder", "lantern", "maple",  "meadow", "otter",  "pebble", "penguin",
    "piece",  "puzzle", "raft",   "river",  "robin",  "sail",   "sparrow", "spruce", "walnut", "willow"};

}  // namespace

std::string random_name() {
  std::random_device random;
  return fmt::format("{}_{}", kQualities[random() % kQualities.size()], kThings[random() % kThings.size()]);
}

void check_name(const std::string& name) {
  const auto letter_or_digit = [](char c) { return std::isalnum(static_cast<unsigned char>(c)) != 0 && c > 0; };
  const bool good = name.size() <= 128 && !name.empty() && letter_or_digit(name.front()) &&
                    std::all_of(name.begin(), name.end(), [&](char c) {
                      return letter_or_digit(c) || c == '_' || c == '.' || c == '-';
                    });
  if (!good) {
    throw Error(fmt::format("{} can't be the name of a container", text::quoted(name)),
                "begin with a letter or digit; then letters, digits, '_', '.' and '-', 128 at most");
  }
}

}  // namespace jigsaw::engine

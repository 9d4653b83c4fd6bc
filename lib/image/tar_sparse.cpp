// Sparse files in a tar: GNU's old way in the header (type S), and its three PAX formats. GNU tar manual,
// "Sparse Formats".
#include <algorithm>

#include "base/error.h"
#include "base/text.h"
#include "image/tar_state.h"

namespace jigsaw::image {
namespace {

// GNU's old sparse files: four pieces in the header at byte 386, then blocks of 21 while a flag says so.
constexpr size_t kOldSparseStart = 386;
constexpr size_t kOldSparsePieces = 4;
constexpr size_t kOldSparseMore = 482;
constexpr size_t kOldSparseRealSize = 483;
constexpr size_t kOldSparseNextPieces = 21;
constexpr size_t kOldSparseNextMore = 504;

}  // namespace

void TarReader::State::add_old_pieces(const char* first, size_t count) {
  for (const char* at = first; at != first + count * 24; at += 24) {
    if (at[0] != '\0') {
      pieces.push_back({whole_number(tar_number(at, 12), "sparse offset"),
                        whole_number(tar_number(at + 12, 12), "sparse size")});
    }
  }
}

bool TarReader::State::start_old_sparse() {
  add_old_pieces(block.data() + kOldSparseStart, kOldSparsePieces);
  entry.size = whole_number(tar_number(block.data() + kOldSparseRealSize, 12), "real size of a sparse file");
  return block[kOldSparseMore] != '\0';
}

// Formats 0.0 (pairs of records), 0.1 (one record with a list) and 1.0 (a list in front of the data).
void TarReader::State::apply_pax_sparse() {
  const auto value = [&](const char* key) {
    const auto found = pax.values.find(key);
    return found == pax.values.end() ? std::string() : found->second;
  };
  const bool one = value("GNU.sparse.major") == "1" && value("GNU.sparse.minor") == "0";
  const std::string map = value("GNU.sparse.map");
  if (!one && map.empty() && pax.sparse.empty()) {
    return;
  }
  if (entry.type != TarType::kFile) {
    throw fail("{}: only files are sparse", text::quoted(entry.name));
  }
  const std::string size = value(one ? "GNU.sparse.realsize" : "GNU.sparse.size");
  entry.size = whole_number(size.empty() ? value("GNU.sparse.realsize") : size, "real size of a sparse file");
  if (const std::string name = value("GNU.sparse.name"); !name.empty()) {
    entry.name = name;
  }
  sparse = true;
  if (one) {
    phase = Phase::kSparseMap;
    special_size = 0;
    map_pieces.reset();
    map_lines = 0;
    return;
  }
  std::vector<uint64_t> numbers;
  if (!map.empty()) {
    for (const std::string_view field : text::split(map, ',')) {
      numbers.push_back(whole_number(std::string(field), "sparse map"));
    }
  } else {
    for (size_t i = 0; i < pax.sparse.size(); ++i) {
      if (pax.sparse[i].first != (i % 2 == 0 ? "GNU.sparse.offset" : "GNU.sparse.numbytes")) {
        throw fail("a PAX header holds a wrong sparse map");
      }
      numbers.push_back(whole_number(pax.sparse[i].second, "sparse map"));
    }
  }
  if (numbers.size() != 2 * whole_number(value("GNU.sparse.numblocks"), "number of sparse pieces")) {
    throw fail("a PAX header holds a wrong sparse map");
  }
  for (size_t i = 0; i < numbers.size(); i += 2) {
    pieces.push_back({numbers[i], numbers[i + 1]});
  }
}

void TarReader::State::take_old_sparse() {
  add_old_pieces(block.data(), kOldSparseNextPieces);
  if (pieces.size() > kTarSparseLimit) {
    throw fail("a sparse file has more than {} pieces", kTarSparseLimit);
  }
  const bool more = block[kOldSparseNextMore] != '\0';
  block.clear();
  if (!more) {
    begin_entry();
  }
}

// Decimal numbers, one a line: how many pieces, then offset and size of each; padded to a block.
void TarReader::State::take_sparse_map() {
  long_name += block;  // borrowed: no long name is pending between a header and its content
  map_lines += static_cast<uint64_t>(std::count(block.begin(), block.end(), '\n'));
  block.clear();
  special_size += kTarBlock;
  if (special_size > stored || special_size > 32 * kTarSpecialLimit) {
    throw fail("the map of a sparse file does not end");
  }
  if (!map_pieces) {
    const size_t end = long_name.find('\n');
    if (end == std::string::npos) {
      throw fail("the map of a sparse file does not say how many pieces there are");
    }
    map_pieces = whole_number(long_name.substr(0, end), "sparse map");
    if (*map_pieces > kTarSparseLimit) {
      throw fail("a sparse file has more than {} pieces", kTarSparseLimit);
    }
  }
  if (map_lines < 1 + 2 * *map_pieces) {
    return;
  }
  const std::vector<std::string_view> lines = text::split(long_name, '\n');
  for (size_t i = 0; i < *map_pieces; ++i) {
    pieces.push_back({whole_number(std::string(lines[1 + 2 * i]), "sparse map"),
                      whole_number(std::string(lines[2 + 2 * i]), "sparse map")});
  }
  long_name.clear();
  stored -= special_size;
  begin_entry();
}

}  // namespace jigsaw::image

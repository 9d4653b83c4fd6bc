// The insides of TarReader, shared by its three files: blocks and entries (tar_reader.cpp), PAX records
// (tar_pax.cpp) and sparse files (tar_sparse.cpp).
#pragma once

#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "image/tar_fields.h"
#include "image/tar_reader.h"

namespace jigsaw::image {

// A number that can't be negative; throws "a tar header holds a wrong <what>".
uint64_t whole_number(std::optional<int64_t> number, std::string_view what);
uint64_t whole_number(const std::string& text, std::string_view what);

struct TarReader::State {
  explicit State(TarSink& target) : sink(target) {}

  enum class Phase { kHeader, kSpecial, kOldSparse, kSparseMap, kData, kPadding, kEnded };

  TarSink& sink;
  Phase phase = Phase::kHeader;
  std::string block;          // a header or an extension on its way
  char special = 0;           // the typeflag of what is collected in kSpecial
  uint64_t special_size = 0;  // bytes without padding
  bool one_zero_block = false;
  PaxRecords pax;
  std::string long_name;
  std::string long_link;

  TarEntry entry;
  std::string before;       // the name of the entry before, for messages
  bool in_header = false;   // what is wrong is wrong between two entries
  uint64_t stored = 0;   // bytes of content still to come
  uint64_t padding = 0;  // and of padding behind them
  std::vector<SparsePiece> pieces;
  bool sparse = false;
  size_t piece = 0;    // which piece the next byte belongs to
  uint64_t taken = 0;  // bytes of that piece that were seen
  std::optional<uint64_t> map_pieces;  // what the map of a sparse file announces, once that is known
  uint64_t map_lines = 0;              // of the map that have come

  void feed(std::string_view bytes);
  void collect(std::string_view& bytes, size_t wanted);
  void take_header();
  void take_special();
  bool start_old_sparse();  // true if a block with more pieces follows
  void add_old_pieces(const char* first, size_t count);
  void take_old_sparse();
  void take_sparse_map();
  void take_data(std::string_view& bytes);
  void start_special(char typeflag, uint64_t size);
  void apply_pax();
  void apply_long_names();
  void apply_pax_sparse();
  void read_fields(const TarHeaderBlock& header);
  void set_type(char typeflag);
  void begin_entry();
  void begin_content();
  void finish_entry();
};

}  // namespace jigsaw::image

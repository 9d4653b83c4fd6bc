#include "image/tar_reader.h"

#include <algorithm>
#include <cstring>
#include <optional>

#include "base/error.h"
#include "base/text.h"
#include "image/tar_fields.h"

namespace jigsaw::image {
namespace {

// GNU's old sparse files: four pieces in the header at byte 386, then blocks of 21 while a flag says so.
constexpr size_t kOldSparseStart = 386;
constexpr size_t kOldSparsePieces = 4;
constexpr size_t kOldSparseMore = 482;
constexpr size_t kOldSparseRealSize = 483;
constexpr size_t kOldSparseNextPieces = 21;
constexpr size_t kOldSparseNextMore = 504;

uint64_t whole(std::optional<int64_t> number, std::string_view what) {
  if (!number || *number < 0) {
    throw fail("a tar header holds a wrong {}", what);
  }
  return static_cast<uint64_t>(*number);
}

uint64_t whole(const std::string& text, std::string_view what) {
  const auto number = text::to_i64(text);
  return whole(number, what);
}

bool is_header_only(char typeflag) { return typeflag >= '1' && typeflag <= '6'; }

uint64_t padded(uint64_t size) { return (size + kTarBlock - 1) / kTarBlock * kTarBlock; }

std::string percent_decoded(std::string_view text) {
  std::string result;
  const auto digit = [](char c) {
    return c >= '0' && c <= '9' ? c - '0' : c >= 'a' && c <= 'f' ? c - 'a' + 10 : c >= 'A' && c <= 'F' ? c - 'A' + 10 : -1;
  };
  for (size_t i = 0; i < text.size(); ++i) {
    if (text[i] == '%' && i + 2 < text.size() && digit(text[i + 1]) >= 0 && digit(text[i + 2]) >= 0) {
      result += static_cast<char>(digit(text[i + 1]) * 16 + digit(text[i + 2]));
      i += 2;
    } else {
      result += text[i];
    }
  }
  return result;
}

std::string base64_decoded(std::string_view text) {
  std::string result;
  uint32_t bits = 0;
  int have = 0;
  for (const char c : text) {
    const int value = c >= 'A' && c <= 'Z'   ? c - 'A'
                      : c >= 'a' && c <= 'z' ? c - 'a' + 26
                      : c >= '0' && c <= '9' ? c - '0' + 52
                      : c == '+'             ? 62
                      : c == '/'             ? 63
                                             : -1;
    if (value < 0) {
      break;
    }
    bits = bits << 6 | static_cast<uint32_t>(value);
    if ((have += 6) >= 8) {
      result += static_cast<char>(bits >> (have -= 8) & 0xff);
    }
  }
  return result;
}

}  // namespace

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
  bool has_long_name = false;
  bool has_long_link = false;

  TarEntry entry;
  uint64_t stored = 0;   // bytes of content still to come
  uint64_t padding = 0;  // and of padding behind them
  std::vector<SparsePiece> pieces;
  bool sparse = false;
  size_t piece = 0;      // which piece the next byte belongs to
  uint64_t taken = 0;    // bytes of that piece that were seen

  void feed(std::string_view bytes);
  void collect(std::string_view& bytes, size_t wanted);
  void take_header();
  void take_special();
  void take_old_sparse();
  void take_sparse_map();
  void take_data(std::string_view& bytes);
  void start_special(char typeflag, uint64_t size);
  void apply_pax();
  void apply_pax_sparse();
  void read_fields(const TarHeaderBlock& header);
  void set_type(char typeflag);
  void begin_entry();
  void begin_content();
  void finish_entry();
};

void TarReader::State::collect(std::string_view& bytes, size_t wanted) {
  const size_t take = std::min(bytes.size(), wanted - block.size());
  block.append(bytes.substr(0, take));
  bytes.remove_prefix(take);
}

void TarReader::State::feed(std::string_view bytes) {
  while (!bytes.empty() && phase != Phase::kEnded) {
    switch (phase) {
      case Phase::kHeader:
      case Phase::kOldSparse:
      case Phase::kSparseMap:
        collect(bytes, kTarBlock);
        if (block.size() == kTarBlock) {
          phase == Phase::kHeader ? take_header() : phase == Phase::kOldSparse ? take_old_sparse() : take_sparse_map();
        }
        break;
      case Phase::kSpecial:
        collect(bytes, padded(special_size));
        if (block.size() == padded(special_size)) {
          take_special();
        }
        break;
      case Phase::kData:
        take_data(bytes);
        break;
      case Phase::kPadding: {
        const size_t skip = std::min<uint64_t>(bytes.size(), padding);
        bytes.remove_prefix(skip);
        if ((padding -= skip) == 0) {
          finish_entry();
        }
        break;
      }
      case Phase::kEnded:
        break;
    }
  }
}

void TarReader::State::take_header() {
  TarHeaderBlock header;
  std::memcpy(&header, block.data(), sizeof header);
  if (block.find_first_not_of('\0') == std::string::npos) {
    block.clear();
    if (one_zero_block) {
      phase = Phase::kEnded;
    }
    one_zero_block = true;
    return;
  }
  if (one_zero_block || !tar_checksum_fits(header)) {
    throw Error("this is no tar archive, or a damaged one: a header has a wrong checksum",
                "the layer was packed in another format or broke on its way");
  }
  const char type = header.typeflag;
  const uint64_t size = whole(tar_number(header.size, sizeof header.size), "size");
  if (type == 'x' || type == 'g' || type == 'L' || type == 'K') {
    block.clear();
    start_special(type, size);
    return;
  }
  entry = TarEntry{};
  entry.size = size;
  read_fields(header);
  stored = entry.size;
  sparse = type == 'S';
  apply_pax();
  if (is_header_only(type)) {
    entry.size = stored = 0;
  }
  set_type(type);
  if (sparse) {
    for (size_t i = 0; i < kOldSparsePieces; ++i) {
      const char* at = block.data() + kOldSparseStart + i * 24;
      if (at[0] != '\0') {
        pieces.push_back({whole(tar_number(at, 12), "sparse offset"), whole(tar_number(at + 12, 12), "sparse size")});
      }
    }
    entry.size = whole(tar_number(block.data() + kOldSparseRealSize, 12), "real size of a sparse file");
    const bool more = block[kOldSparseMore] != '\0';
    block.clear();
    phase = Phase::kOldSparse;
    if (more) {
      return;
    }
  } else {
    block.clear();
    apply_pax_sparse();
    if (phase == Phase::kSparseMap) {
      return;
    }
  }
  begin_entry();
}

void TarReader::State::start_special(char typeflag, uint64_t size) {
  if (size > kTarSpecialLimit) {
    throw fail("a tar archive holds a name or a list of attributes of {} bytes; at most {} are read", size, kTarSpecialLimit);
  }
  special = typeflag;
  special_size = size;
  phase = Phase::kSpecial;
  if (size == 0) {
    take_special();
  }
}

void TarReader::State::take_special() {
  std::string text = block.substr(0, special_size);
  block.clear();
  phase = Phase::kHeader;
  if (special == 'x') {
    pax = parse_pax(text);
  } else if (special == 'L' || special == 'K') {
    text.resize(::strnlen(text.data(), text.size()));
    (special == 'L' ? long_name : long_link) = std::move(text);
    (special == 'L' ? has_long_name : has_long_link) = true;
  } else {
    parse_pax(text);  // 'g' speaks of the archive as a whole; no layer tool obeys it, but it must be well formed
  }
}

void TarReader::State::read_fields(const TarHeaderBlock& header) {
  const auto number = [](const auto& field, std::string_view what) { return whole(tar_number(field, sizeof field), what); };
  entry.name = tar_text(header.name, sizeof header.name);
  entry.link = tar_text(header.linkname, sizeof header.linkname);
  entry.mode = static_cast<uint32_t>(number(header.mode, "mode") & 07777);
  entry.uid = number(header.uid, "user ID");
  entry.gid = number(header.gid, "group ID");
  const auto mtime = tar_number(header.mtime, sizeof header.mtime);
  if (!mtime) {
    throw fail("a tar header holds a wrong time");
  }
  entry.mtime.tv_sec = *mtime;
  if (std::memcmp(header.magic, "ustar", 5) == 0) {
    if (header.typeflag == '3' || header.typeflag == '4') {
      entry.device_major = static_cast<uint32_t>(number(header.device_major, "device number"));
      entry.device_minor = static_cast<uint32_t>(number(header.device_minor, "device number"));
    }
    const bool gnu = header.magic[5] == ' ';
    if (const std::string prefix = gnu ? "" : tar_text(header.prefix, sizeof header.prefix); !prefix.empty()) {
      entry.name = prefix + "/" + entry.name;
    }
  }
  if (has_long_name) {
    entry.name = std::move(long_name);
  }
  if (has_long_link) {
    entry.link = std::move(long_link);
  }
  has_long_name = has_long_link = false;
  long_name.clear();
  long_link.clear();
}

void TarReader::State::apply_pax() {
  for (auto& [key, value] : pax.values) {
    if (key.starts_with("SCHILY.xattr.")) {
      entry.xattrs[key.substr(13)] = value;
    } else if (key.starts_with("LIBARCHIVE.xattr.")) {
      entry.xattrs.try_emplace(percent_decoded(key.substr(17)), base64_decoded(value));
    } else if (value.empty()) {
      continue;  // an empty value takes back what an earlier header said
    } else if (key == "path") {
      entry.name = value;
    } else if (key == "linkpath") {
      entry.link = value;
    } else if (key == "size") {
      entry.size = stored = whole(value, "size");
    } else if (key == "uid") {
      entry.uid = whole(value, "user ID");
    } else if (key == "gid") {
      entry.gid = whole(value, "group ID");
    } else if (key == "mtime") {
      const auto time = pax_time(value);
      if (!time) {
        throw fail("a PAX header holds a wrong time");
      }
      entry.mtime = *time;
    }
  }
}

// Formats 0.0 (pairs of records), 0.1 (one record with a list) and 1.0 (a list in front of the data).
void TarReader::State::apply_pax_sparse() {
  const auto value = [&](const char* key) {
    const auto found = pax.values.find(key);
    return found == pax.values.end() ? std::string() : found->second;
  };
  const bool one = value("GNU.sparse.major") == "1" && value("GNU.sparse.minor") == "0";
  const std::string map = value("GNU.sparse.map");
  if (entry.type != TarType::kFile || (!one && map.empty() && pax.sparse.empty())) {
    return;
  }
  const std::string size = value(one ? "GNU.sparse.realsize" : "GNU.sparse.size");
  entry.size = whole(size.empty() ? value("GNU.sparse.realsize") : size, "real size of a sparse file");
  if (const std::string name = value("GNU.sparse.name"); !name.empty()) {
    entry.name = name;
  }
  sparse = true;
  if (one) {
    phase = Phase::kSparseMap;
    special_size = 0;
    return;
  }
  std::vector<uint64_t> numbers;
  if (!map.empty()) {
    for (const std::string_view field : text::split(map, ',')) {
      numbers.push_back(whole(std::string(field), "sparse map"));
    }
  } else {
    for (size_t i = 0; i < pax.sparse.size(); ++i) {
      if (pax.sparse[i].first != (i % 2 == 0 ? "GNU.sparse.offset" : "GNU.sparse.numbytes")) {
        throw fail("a PAX header holds a wrong sparse map");
      }
      numbers.push_back(whole(pax.sparse[i].second, "sparse map"));
    }
  }
  if (numbers.size() % 2 != 0) {
    throw fail("a PAX header holds a wrong sparse map");
  }
  for (size_t i = 0; i < numbers.size(); i += 2) {
    pieces.push_back({numbers[i], numbers[i + 1]});
  }
}

void TarReader::State::take_old_sparse() {
  for (size_t i = 0; i < kOldSparseNextPieces; ++i) {
    const char* at = block.data() + i * 24;
    if (at[0] != '\0') {
      pieces.push_back({whole(tar_number(at, 12), "sparse offset"), whole(tar_number(at + 12, 12), "sparse size")});
    }
  }
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
  block.clear();
  special_size += kTarBlock;
  if (special_size > stored || special_size > 32 * kTarSpecialLimit) {
    throw fail("the map of a sparse file does not end");
  }
  std::vector<std::string_view> lines = text::split(long_name, '\n');
  lines.pop_back();  // what is not ended by a newline is not complete
  if (lines.empty()) {
    return;
  }
  const uint64_t count = whole(std::string(lines[0]), "sparse map");
  if (count > kTarSparseLimit) {
    throw fail("a sparse file has more than {} pieces", kTarSparseLimit);
  }
  if (lines.size() - 1 < 2 * count) {
    return;
  }
  for (size_t i = 0; i < count; ++i) {
    pieces.push_back({whole(std::string(lines[1 + 2 * i]), "sparse map"), whole(std::string(lines[2 + 2 * i]), "sparse map")});
  }
  long_name.clear();
  stored -= special_size;
  begin_entry();
}

void TarReader::State::set_type(char typeflag) {
  switch (typeflag) {
    case '\0':
      entry.type = entry.name.ends_with('/') ? TarType::kDirectory : TarType::kFile;
      break;
    case '0':
    case '7':
    case 'S':
      entry.type = TarType::kFile;
      break;
    case '1':
      entry.type = TarType::kHardLink;
      break;
    case '2':
      entry.type = TarType::kSymlink;
      break;
    case '3':
      entry.type = TarType::kCharacterDevice;
      break;
    case '4':
      entry.type = TarType::kBlockDevice;
      break;
    case '5':
      entry.type = TarType::kDirectory;
      break;
    case '6':
      entry.type = TarType::kFifo;
      break;
    default:
      throw fail("{} is an entry of a type that no image layer has: {}", text::quoted(entry.name),
                 text::quoted(std::string_view(&typeflag, 1)));
  }
}

void TarReader::State::begin_entry() {
  if (sparse) {
    check_sparse(pieces, entry.size);
    uint64_t total = 0;
    for (const SparsePiece& each : pieces) {
      total += each.size;
    }
    if (total != stored) {
      throw fail("{}: the pieces of the sparse file do not add up to its content", text::quoted(entry.name));
    }
  } else {
    pieces = {{0, stored}};
  }
  piece = 0;
  taken = 0;
  pax = PaxRecords{};
  padding = padded(stored) - stored;
  sink.begin(entry);
  begin_content();
}

void TarReader::State::begin_content() {
  phase = stored > 0 ? Phase::kData : Phase::kPadding;
  if (stored == 0 && padding == 0) {
    finish_entry();
  }
}

void TarReader::State::take_data(std::string_view& bytes) {
  while (pieces[piece].size == taken) {
    ++piece;
    taken = 0;
  }
  const SparsePiece& current = pieces[piece];
  const size_t take = std::min<uint64_t>({bytes.size(), stored, current.size - taken});
  if (entry.type == TarType::kFile) {
    sink.data(current.offset + taken, bytes.substr(0, take));
  }
  bytes.remove_prefix(take);
  taken += take;
  if ((stored -= take) == 0) {
    begin_content();
  }
}

void TarReader::State::finish_entry() {
  pieces.clear();
  phase = Phase::kHeader;
  sink.end();
}

TarReader::TarReader(TarSink& sink) : state_(std::make_unique<State>(sink)) {}
TarReader::~TarReader() = default;
TarReader::TarReader(TarReader&&) noexcept = default;

void TarReader::feed(std::string_view bytes) { state_->feed(bytes); }

void TarReader::finish() {
  const State& state = *state_;
  const bool between = state.phase == State::Phase::kHeader && state.block.empty();
  if (!between && state.phase != State::Phase::kEnded) {
    throw Error("the archive ends in the middle of an entry", "the layer was cut off on its way");
  }
}

}  // namespace jigsaw::image

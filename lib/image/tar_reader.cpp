#include "image/tar_reader.h"

#include <algorithm>
#include <cstring>

#include "base/error.h"
#include "base/text.h"
#include "image/tar_state.h"

namespace jigsaw::image {
namespace {

bool is_header_only(char typeflag) { return typeflag >= '1' && typeflag <= '6'; }

uint64_t padded(uint64_t size) { return (size + kTarBlock - 1) / kTarBlock * kTarBlock; }

}  // namespace

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
          in_header = true;
          phase == Phase::kHeader ? take_header() : phase == Phase::kOldSparse ? take_old_sparse() : take_sparse_map();
          in_header = false;
        }
        break;
      case Phase::kSpecial:
        collect(bytes, padded(special_size));
        if (block.size() == padded(special_size)) {
          in_header = true;
          take_special();
          in_header = false;
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
  const uint64_t size = whole_number(tar_number(header.size, sizeof header.size), "size");
  if (type == 'x' || type == 'g' || type == 'L' || type == 'K') {
    block.clear();
    start_special(type, size);
    return;
  }
  entry = TarEntry{};
  entry.size = size;
  read_fields(header);
  stored = entry.size;
  sparse = type == 'S' && std::memcmp(header.magic, "ustar ", 6) == 0;
  apply_pax();
  apply_long_names();
  if (is_header_only(type)) {
    entry.size = stored = 0;
  }
  set_type(type);
  if (sparse) {
    const bool more = start_old_sparse();
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
  } else {
    parse_pax(text);  // 'g' speaks of the archive as a whole; no layer tool obeys it, but it must be well formed
  }
}

void TarReader::State::read_fields(const TarHeaderBlock& header) {
  const auto number = [](const auto& field, std::string_view what) { return whole_number(tar_number(field, sizeof field), what); };
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
    entry.device_major = static_cast<uint32_t>(number(header.device_major, "device number"));
    entry.device_minor = static_cast<uint32_t>(number(header.device_minor, "device number"));
  }
  if (const std::string prefix = tar_prefix(header); !prefix.empty()) {
    entry.name = prefix + "/" + entry.name;
  }
}

// A GNU long name counts even beside a PAX path: archives with both are ambiguous, and this is how Go reads them.
void TarReader::State::apply_long_names() {
  if (!long_name.empty()) {
    entry.name = std::move(long_name);
  }
  if (!long_link.empty()) {
    entry.link = std::move(long_link);
  }
  long_name.clear();
  long_link.clear();
}

void TarReader::State::set_type(char typeflag) {
  if (sparse) {
    entry.type = TarType::kFile;
    return;
  }
  switch (typeflag) {
    case '\0':
      entry.type = entry.name.ends_with('/') ? TarType::kDirectory : TarType::kFile;
      break;
    case '0':
    case '7':
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
  in_header = false;
  sink.begin(entry);
  before = entry.name;
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

void TarReader::feed(std::string_view bytes) {
  try {
    state_->feed(bytes);
  } catch (Error& error) {
    if (state_->in_header && !state_->before.empty()) {
      throw std::move(error).in("behind the entry " + text::quoted(state_->before));
    }
    throw;
  }
}

void TarReader::finish() {
  State& state = *state_;
  if (state.phase == State::Phase::kPadding) {
    state.finish_entry();  // the content is whole; some writers forget to fill the last block
  }
  const bool between = state.phase == State::Phase::kHeader && state.block.empty();
  if (!between && state.phase != State::Phase::kEnded) {
    throw Error("the archive ends in the middle of an entry", "the layer was cut off on its way");
  }
}

}  // namespace jigsaw::image

// The fields of a tar header block and the records of PAX headers, decoded strictly.
#pragma once

#include <cstdint>
#include <ctime>
#include <map>
#include <optional>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

namespace jigsaw::image {

// One header as it lies in the stream.
struct TarHeaderBlock {
  char name[100];
  char mode[8];
  char uid[8];
  char gid[8];
  char size[12];
  char mtime[12];
  char checksum[8];
  char typeflag;
  char linkname[100];
  char magic[6];
  char version[2];
  char owner[32];
  char group[32];
  char device_major[8];
  char device_minor[8];
  char prefix[155];  // old GNU: sparse pieces live here and in the pad
  char pad[12];
};
static_assert(sizeof(TarHeaderBlock) == 512);

// Octal digits with blanks and NULs around them, or base 256 with the top bit set (GNU, negative too).
// Nothing if it is neither or does not fit.
std::optional<int64_t> tar_number(const char* field, size_t size);
std::string tar_text(const char* field, size_t size);  // up to the first NUL
// The directory part of a name that did not fit into its field; "" if there is none.
std::string tar_prefix(const TarHeaderBlock& block);
bool tar_checksum_fits(const TarHeaderBlock& block);

// "LENGTH KEY=VALUE\n" records. Throws on anything else. Repeated keys: the last counts; GNU.sparse.* keep their order.
struct PaxRecords {
  std::map<std::string, std::string> values;
  std::vector<std::pair<std::string, std::string>> sparse;  // GNU.sparse.offset / numbytes of format 0.0
};
PaxRecords parse_pax(std::string_view text);
// "1700000000.123", "-1.5": PAX times.
std::optional<timespec> pax_time(std::string_view text);

struct SparsePiece {
  uint64_t offset = 0;
  uint64_t size = 0;
};
// Throws unless the pieces are in order, do not overlap and end within `size`.
void check_sparse(const std::vector<SparsePiece>& pieces, uint64_t size);

}  // namespace jigsaw::image

// Tar, read as it arrives: a layer's bytes come from the network in pieces of any size, so this parser is fed.
//
//     512 bytes of header | content, padded to 512 | header | content | … | two blocks of zeros
//
// A header has fixed fields (ustar). What does not fit is said by entries in front of it: PAX records ("x": path,
// linkpath, size, uid, gid, mtime, xattrs, sparse maps) or GNU long names ("L", "K"). All of that is folded into one
// TarEntry; sparse files arrive as their pieces of data with the holes between.
// Why not libarchive here: it converts names to the locale's characters and loses those that are no UTF-8; layers are
// bytes. Sources: POSIX pax, "pax Interchange Format"; tar(5); GNU tar manual, "Sparse Formats".
#pragma once

#include <cstdint>
#include <ctime>
#include <functional>
#include <map>
#include <memory>
#include <string>
#include <string_view>
#include <vector>

namespace jigsaw::image {

inline constexpr size_t kTarBlock = 512;               // bytes
inline constexpr uint64_t kTarSpecialLimit = 1U << 20;  // bytes of PAX records or of a long name
inline constexpr size_t kTarSparseLimit = 1U << 20;     // pieces of one sparse file

enum class TarType { kFile, kHardLink, kSymlink, kCharacterDevice, kBlockDevice, kDirectory, kFifo };

struct TarEntry {
  TarType type = TarType::kFile;
  std::string name;  // as written; never trusted
  std::string link;
  uint32_t mode = 0;  // permission bits with setuid, setgid, sticky
  uint64_t uid = 0;
  uint64_t gid = 0;
  uint64_t size = 0;  // bytes of the file as it will be, holes included
  timespec mtime{};
  uint32_t device_major = 0;
  uint32_t device_minor = 0;
  std::map<std::string, std::string> xattrs{};  // SCHILY.xattr.* and LIBARCHIVE.xattr.*
};

// Receives the entries. data() is called only between begin() of a file and end().
class TarSink {
 public:
  virtual ~TarSink() = default;
  virtual void begin(const TarEntry& entry) = 0;
  virtual void data(uint64_t offset, std::string_view bytes) = 0;
  virtual void end() = 0;
};

class TarReader {
 public:
  explicit TarReader(TarSink& sink);
  ~TarReader();
  TarReader(TarReader&&) noexcept;

  // The next bytes. Throws on what is no tar. Bytes after the end mark are ignored, as every tar does.
  void feed(std::string_view bytes);
  // There are no more bytes. Throws if an entry was cut off; a missing end mark is accepted, and missing padding.
  void finish();

 private:
  struct State;
  std::unique_ptr<State> state_;
};

}  // namespace jigsaw::image

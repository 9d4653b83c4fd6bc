// TarIndex: the members of a tar file by name, to read any of them at any time. For image archives (docker save,
// skopeo's oci-archive and docker-archive): plain files and links between them; the rest is passed over.
#pragma once

#include <cstdint>
#include <functional>
#include <map>
#include <optional>
#include <string>
#include <string_view>

#include "base/fd.h"

namespace jigsaw::image {

struct TarHeaderBlock;

class TarIndex {
 public:
  // `file` is seekable and not compressed; `name` is for messages. Throws if it is no tar.
  TarIndex(Fd file, std::string name);

  bool has(const std::string& member) const { return find(member).has_value(); }
  uint64_t size(const std::string& member) const;
  // The whole member, at most `limit` bytes.
  std::string read(const std::string& member, size_t limit) const;
  // Piece by piece. May be called by several threads.
  void read(const std::string& member, const std::function<void(std::string_view)>& take) const;
  const std::string& name() const { return name_; }

 private:
  struct Place {
    uint64_t offset = 0;
    uint64_t size = 0;
  };
  struct Announced;
  void scan();
  void add(const TarHeaderBlock& block, const Announced& announced, Place place);
  std::optional<Place> find(const std::string& member) const;

  Fd file_;
  std::string name_;
  std::map<std::string, Place> files_;
  std::map<std::string, std::string> links_;
};

// The file ready for random access: itself, or, if it is compressed or can't be rewound (a pipe), an unpacked copy
// without a name below `temporary_directory`.
Fd plain_archive(Fd file, const std::string& name, const std::string& temporary_directory);

}  // namespace jigsaw::image

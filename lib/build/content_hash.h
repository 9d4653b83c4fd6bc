// Content hashes: what a COPY would copy, as one digest. It is the part of a cache key that files give.
//
// Content, names, types, modes, owners, link targets and extended attributes count; times do not: a fresh checkout of
// the same commit hits. Files that were hashed before are not read again: a table below the root remembers
//
//     device, inode, size, mtime, ctime  ->  SHA-256
//
// which is safe because every change of a file's content moves its ctime, and no program can set that one back. A file
// that changed a moment ago is not remembered: its next change could carry the same clock tick.
#pragma once

#include <sys/stat.h>

#include <array>
#include <cstdint>
#include <string>
#include <unordered_map>

#include "build/source_walk.h"
#include "image/digest.h"

namespace jigsaw::build {

class FileHashes {
 public:
  // The table in the file `path`; what can't be read counts as empty. Nothing is remembered if `path` is "".
  explicit FileHashes(std::string path);
  // Writes what was seen since, if anything is new.
  void save();

  using Hash = std::array<unsigned char, 32>;
  // Of the content and the extended attributes of a regular file, opened if it has to be read.
  Hash hash(const struct stat& status, const std::function<Fd()>& open);

  struct Key {
    uint64_t device, inode, size;
    int64_t modified, changed;  // nanoseconds
    friend bool operator==(const Key&, const Key&) = default;
  };
  struct Record {
    Key key;
    Hash hash;
  };

 private:
  struct KeyHasher {
    size_t operator()(const Key& key) const {
      return static_cast<size_t>(key.inode * 0x9E3779B97F4A7C15U ^ static_cast<uint64_t>(key.changed));
    }
  };
  std::string path_;
  std::unordered_map<Key, Hash, KeyHasher> known_;
  std::vector<Record> used_;  // of this build: what is not used any more is forgotten
  bool changed_ = false;
  bool loaded_ = false;
  void load();
};

// The digest of everything that `source` would give for one of its matches.
image::Digest content_digest(const CopySource& source, const SourceMatch& match, FileHashes& hashes);

}  // namespace jigsaw::build

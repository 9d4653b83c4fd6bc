// One file over http or https: what ADD names by its address, and contexts that are one.
//
// The address is a stranger's word: only http and https are spoken, redirects are bounded and followed by us (http.h), and
// the size has a limit. A connection that broke, and an answer of 5xx or 429, is worth another try.
#pragma once

#include <cstdint>
#include <string>

namespace jigsaw::image {

struct FetchOptions {
  std::string address;
  std::string output;                 // the file, made or emptied, mode 0600, with the time of Last-Modified
  uint64_t limit = uint64_t{64} << 30;  // bytes
  unsigned attempts = 4;
};

// Throws with the address and the answer if it does not come whole.
void fetch(const FetchOptions& options);

}  // namespace jigsaw::image

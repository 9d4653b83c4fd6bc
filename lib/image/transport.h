// Transports: the ways to write where an image is, as skopeo names them.
//
//     docker://REF               a registry
//     oci:DIR[:TAG]              an image layout
//     oci-archive:FILE[:TAG]     one in a tar
//     docker-archive:FILE[:REF]  what docker save writes
//     REF                        the store, or for pull a registry
#pragma once

#include <memory>
#include <string>
#include <string_view>
#include <vector>

#include "image/copy.h"
#include "image/destination.h"
#include "image/source.h"
#include "image/store.h"

namespace jigsaw::image {

struct Location {
  enum class Kind { kPlain, kRegistry, kLayout, kLayoutArchive, kDockerArchive };
  Kind kind = Kind::kPlain;
  std::string path;  // of a directory or file; "-" is standard input or output
  std::string name;  // reference or tag; "" if none was given
};
Location parse_location(std::string_view text);

// The image at a place. Plain names are the store's.
std::unique_ptr<Source> open_source(const Location& location, const Store& store, const RegistryOptions& options);

// All images of an archive or layout, each with the names it has there.
struct NamedSource {
  std::vector<std::string> names;
  std::unique_ptr<Source> source;
};
std::vector<NamedSource> open_all(const std::string& path, const Store& store);

// Copies one image of any source to the place. Plain names are refused: that is pull.
Digest copy_to(Source& source, const Location& to, const RegistryDestination::Options& registry, const Store& store,
               const CopyOptions& options);

}  // namespace jigsaw::image

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
#include "image/pull.h"
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

// What `pull NAME` does without any options: the image, or what is new of it, from the registry that the name says, with
// the credentials of the usual files.
Image pull_by_name(const Store& store, const std::string& name, const PullOptions& options);
// The image as it is here (the built-in one is, always); from the registry only if it is not.
Image find_or_pull(const Store& store, const std::string& name, const PullOptions& options);
// The image's entrypoint, and behind it `words` or else the image's own ones. Throws if that is nothing.
std::vector<std::string> command_of(const RunConfig& config, const std::vector<std::string>& words);
// The image's environment, less the names without a value: an image may not ask for our variables.
std::vector<std::string> variables_of(const RunConfig& config);

}  // namespace jigsaw::image

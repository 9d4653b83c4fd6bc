// Image references: "alpine", "ghcr.io/user/app:1.2", "localhost:5000/a/b@sha256:…", and what they mean.
//
//     registry_name / user_name / image_name : tag @ digest
//     '---registry--' '------repository-----'
//
// A short name is a long one with parts left out, and everybody has to fill them in alike: no registry is docker.io, a
// docker.io name without a user is in library/, neither tag nor digest is :latest. The first part is a registry only if
// it has a dot or a colon in it, is "localhost", or has a capital letter; otherwise it is a user on docker.io.
// Grammar: github.com/distribution/reference; tests/data/reference_vectors.json holds us to it.
#pragma once

#include <optional>
#include <string>
#include <string_view>

namespace jigsaw::image {

inline constexpr std::string_view kDefaultRegistry = "docker.io";
inline constexpr std::string_view kDefaultTag = "latest";

struct Reference {
  std::string registry;    // "docker.io", "localhost:5000", "[::1]:5000"
  std::string repository;  // "library/alpine"
  std::string tag;         // "" if none was given
  std::string digest;      // "sha256:…", "" if none was given

  std::string name() const;  // "docker.io/library/alpine"
  std::string text() const;  // "docker.io/library/alpine:3.19@sha256:…": what parse_reference() takes, all filled in
  bool operator==(const Reference&) const = default;
};

// Fills in registry and library/, but no tag. Throws, with the reason, on what is no reference.
Reference parse_reference(std::string_view text);

// :latest is added if there is neither a tag nor a digest.
Reference with_default_tag(Reference reference);

// What a registry is asked for: a digest names the content alone, so a tag beside it is dropped.
Reference pinned(Reference reference);

// The shortest text that means the same: "alpine:3.19".
std::string familiar(const Reference& reference);

// "sha256:<hex>" if the text is an image's identifier (64 hex digits, or a whole digest) rather than a name.
std::optional<std::string> as_identifier(std::string_view text);

// Whether `text` can stand behind the colon: a letter, digit or underscore, then up to 127 of those or . and -
bool is_tag(std::string_view text);

}  // namespace jigsaw::image

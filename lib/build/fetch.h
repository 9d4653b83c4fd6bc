// What comes from elsewhere: files over HTTP, git repositories, images of a registry; and compressed archives.
//
// The network's libraries live in jigsaw-transfer, a program of its own beside ours; git is the git program. Both are
// children with nothing but the descriptors they need.
#pragma once

#include <memory>
#include <optional>
#include <string>
#include <string_view>

#include "base/fd.h"
#include "base/files.h"
#include "build/instructions.h"
#include "engine/paths.h"
#include "image/store.h"

namespace jigsaw::build {

bool is_web_address(std::string_view text);  // http://, https://, and no git repository
bool is_git_address(std::string_view text);  // git://, git@host:, ssh://, https://….git

// The file behind `address` in a directory of its own, under its own name. `checksum` is a digest or "".
std::unique_ptr<files::TemporaryDirectory> fetch_file(const image::Store& store, const std::string& address,
                                                      const std::string& checksum);
// The working tree of a repository at "address#ref:directory".
std::unique_ptr<files::TemporaryDirectory> fetch_git(const image::Store& store, const std::string& address,
                                                     const Copy& copy);

// The uncompressed bytes of a gzip, bzip2, xz or zstd file; nothing if it is damaged or no tar is in it.
std::optional<Fd> decompress(const image::Store& store, int file);

// Runs jigsaw-transfer on our store; throws `failure` if it fails: it has said why by then.
void run_transfer(const engine::Paths& paths, const std::vector<std::string>& words, const std::string& failure,
                  int output = 2);

// Makes an image of the registry available in the store.
void pull_image(const engine::Paths& paths, const std::string& reference, const std::string& platform = "");

}  // namespace jigsaw::build

// ADD archive.tar /there/: an archive's files, made within a layer.
//
// As tar would do it in a chroot of the destination: names are cleaned and must stay below it, links on the way are
// followed within it, what stands in the way is replaced unless both are directories. Directories that the
// archive only implies are made as root's with mode 0755. Times, owners (unless --chown says otherwise), modes and
// extended attributes are the archive's.
#pragma once

#include <optional>
#include <string>

#include "build/copy.h"
#include "build/layer_writer.h"

namespace jigsaw::build {

enum class ArchiveKind { kNone, kPlain, kCompressed };
// By the first bytes: a compressed stream's magic number, or a tar header with a right checksum.
ArchiveKind archive_kind(int fd);

// Unpacks the tar stream that is read from `fd` into the directory `destination` of the layer.
void unpack_archive(LayerWriter& layer, int fd, const std::string& name, const std::string& destination,
                    const CopyOptions& options);

}  // namespace jigsaw::build

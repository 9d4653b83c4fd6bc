// Who "--chown=www-data:adm" is: names are looked up in the /etc/passwd and /etc/group of the image being built.
//
// Those files were written by a stranger: they are read within the tree, links followed inside it only, regular files
// alone, never blocking (a FIFO), never more than 10 MiB (CVE-2024-9676).
#pragma once

#include <optional>
#include <string_view>

#include "build/layer_writer.h"
#include "build/tree.h"

namespace jigsaw::build {

// "user", "user:group", "1000", "1000:1000", "user:1000". A number alone names the group too; a name alone brings its
// own group from /etc/passwd; root is 0 whatever they say, ":group" is root's. Throws for a name that is not there.
Owner resolve_owner(Tree& tree, std::string_view text);
// The same for USER, which may name a user that a later RUN makes: nothing then.
std::optional<Owner> find_owner(Tree& tree, std::string_view text);

}  // namespace jigsaw::build

// Sockets in the file system that a caller listens on and wants a descriptor through (unix(7), SCM_RIGHTS): a console
// socket, a pidfd socket, a seccomp agent.
#pragma once

#include <string>
#include <string_view>

#include "base/fd.h"

namespace jigsaw::runtime {

// `what` names the socket in messages: "console socket". A path may be longer than sun_path.
Fd connect_unix(const std::string& path, std::string_view what);
// One message of `text` with one descriptor.
void send_descriptor(int socket, std::string_view text, int descriptor, std::string_view what);

}  // namespace jigsaw::runtime

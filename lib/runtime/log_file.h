// The log of an OCI runtime: one line an event, as text or JSON in the form of Go's logrus. Engines and containerd's
// shim tell their users "msg" of the last line when a call fails.
#pragma once

#include <string>

#include "base/log.h"

namespace jigsaw::runtime {

enum class LogFormat { kText, kJson };
// Appends to the file `path`, made if needed; every line is one write(2).
log::Sink log_to_file(const std::string& path, LogFormat format, log::Level least);

}  // namespace jigsaw::runtime

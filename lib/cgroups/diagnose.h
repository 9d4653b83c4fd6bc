// What a refusal by a cgroup file means. The kernel's answers are few and old (EINVAL, EBUSY, EACCES); which rule was
// broken depends on the file, so the hint is looked up by both.
#pragma once

#include <string>

#include "base/error.h"
#include "cgroups/cgroup.h"
#include "cgroups/settings.h"

namespace jigsaw::cgroups {

// `directory` is the cgroup's, for the message.
Error setting_refused(const Setting& setting, const Place& place, int number);
// A cgroup that can't be made, controllers that can't be enabled below `directory`, a process that can't enter.
Error creation_refused(const std::string& directory, Version version, int number);
Error controllers_refused(const std::string& directory, const std::string& controllers, int number);
Error joining_refused(const Place& place, int number);

}  // namespace jigsaw::cgroups

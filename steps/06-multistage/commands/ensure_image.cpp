#include <cstdio>

#include "base/error.h"
#include "base/text.h"
#include "commands/commands.h"
#include "image/names.h"
#include "image/reference.h"
#include "process/exec.h"
#include "process/own_program.h"
#include "process/signals.h"
#include "process/spawn.h"

namespace jigsaw::commands {
namespace {
constexpr int kStandardError = 2;
}

int ensure_image(const std::string& image, const std::string& pull) {
  if (pull != "missing" && pull != "always" && pull != "never") {
    throw fail("--pull must be missing, always or never, not {}", text::quoted(pull));
  }
  const engine::Paths places = paths();
  const bool there = image::find_named(open_store(), image).has_value();
  if (pull == "never" || (pull == "missing" && there) || image::is_embedded(image)) {
    return 0;
  }
  image::parse_reference(image);  // nonsense is no reason to ask a registry
  const process::SignalGuard guard;
  process::Child child = process::spawn(
      {.why = "the image is not here: jigsaw-transfer fetches it"}, [&](process::Gate&) -> int {
        process::exec(
            {.arguments = {"jigsaw", "--root", places.root, "--run-root", places.run_root, "pull", image},
             .environment = process::current_environment(),
             .file = process::companion("jigsaw-transfer"),
             .output = kStandardError});  // standard output is the container's
      });
  child.release();
  child.wait_started();
  const process::ExitStatus status = process::supervise(child);
  const int code = status.exit_code();
  const bool told = code == kExitFailure || code == 128 + SIGHUP || code == 128 + SIGINT || code == 128 + SIGTERM;
  if (code == kExitFailure && !there) {
    if (const auto near = image::nearest_name(open_store(), image)) {  // behind what the pull said of itself
      std::fputs(fmt::format("  hint: {} is here: was that meant?\n", *near).c_str(), stderr);
    }
  }
  if (code != 0 && !told) {
    throw fail("the image {} is not here, and its pull ended: {}", text::quoted(image), status.text());
  }
  return code;
}

}  // namespace jigsaw::commands

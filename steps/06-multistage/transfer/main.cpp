// jigsaw-transfer: what moves images over the network or through compression. `jigsaw` executes it with its
// own words.
#include <malloc.h>

#include <CLI/CLI.hpp>

#include "base/cli.h"
#include "base/error.h"
#include "base/interruption.h"
#include "commands/settings.h"
#include "transfer/transfer.h"

using namespace jigsaw;

namespace {

int run_or_be_interrupted(const std::function<int()>& body) {
  const Interruption interruption("what has come is kept: the next time goes on from there");
  try {
    return body();
  } catch (const Error&) {
    Interruption::check();  // whatever it says, that was the cause
    throw;
  }
}

}  // namespace

int main(int argc, char** argv) {
  // What is large, a window of a decoder say, goes back when it is freed. Left alone, the C library would keep the next one
  // of that size, for each thread (mallopt(3), M_MMAP_THRESHOLD).
  ::mallopt(M_MMAP_THRESHOLD, 1 << 20);
  return cli::run_main(argc, argv, {"jigsaw", "move images", run_or_be_interrupted}, [](CLI::App& app) {
    commands::add_settings(app);
    transfer::add_pull(app);
    transfer::add_push(app);
    transfer::add_login(app);
    transfer::add_logout(app);
    transfer::add_save(app);
    transfer::add_load(app);
    transfer::add_copy(app);
    transfer::add_fetch(app);
  });
}

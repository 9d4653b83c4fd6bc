// fetch: one file over http or https, for ADD and for contexts that are an address.
#include "image/fetch.h"

#include <CLI/CLI.hpp>

#include "base/cli.h"
#include "base/text.h"
#include "transfer/transfer.h"

namespace jigsaw::transfer {

void add_fetch(CLI::App& app) {
  struct Words {
    image::FetchOptions options;
    std::string limit = "64G";
  };
  CLI::App* command = app.add_subcommand("fetch", "fetch one file over http or https");
  auto words = std::make_shared<Words>();
  command->add_option("address", words->options.address, "http:// or https://")->required();
  command->add_option("-o,--output", words->options.output, "the file to write")->required();
  command->add_option("--limit", words->limit, "give up beyond this size (default 64G)");
  command->add_option("--attempts", words->options.attempts, "tries before giving up (default 4)");
  cli::on_run(*command, [words] {
    words->options.limit = text::parse_size(words->limit, "--limit");
    image::fetch(words->options);
    return 0;
  });
}

}  // namespace jigsaw::transfer

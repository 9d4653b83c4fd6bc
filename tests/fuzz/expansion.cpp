// Any bytes as a word with variables, with each of the two escape characters and each way to treat quotes.
#include <string_view>

#include "base/error.h"
#include "build/expansion.h"

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  using namespace jigsaw;
  static const build::Variables kVariables = {
      {"a", "one two"}, {"b", ""}, {"c", "x/y/z.tar.gz"}, {"d", "한국어"}, {"e", "line\nbreak"}};
  const std::string_view text(reinterpret_cast<const char*>(data), size);
  for (const build::ExpandOptions& options :
       {build::ExpandOptions{}, build::ExpandOptions{.escape = '`'}, build::ExpandOptions{.ignore_quotes = true},
        build::ExpandOptions{.keep_quotes = true, .keep_escapes = true, .keep_unset = true}}) {
    try {
      build::expand(text, kVariables, options);
    } catch (const Error&) {
    }
  }
  return 0;
}

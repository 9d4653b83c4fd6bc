// The text of a JSON document: parsed safely, and searched again when a message has to show a place in it.
#pragma once

#include <string_view>

#include "base/error.h"
#include "base/json.h"

namespace jigsaw::json {

// Where the `number`-th value of `text` begins, counted as they are written, the whole text being number 0.
SourcePlace place_of_value(std::string_view text, size_t number, std::string_view name);

}  // namespace jigsaw::json

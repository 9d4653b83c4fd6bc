// Templates for --format: the part of Go's text/template that users of `docker inspect` write.
//
//     {{.Config.Cmd}}   {{json .Config}}   {{index .Labels "a.b"}}   {{len .Layers}}   {{range .Layers}}{{println .}}{{end}}
//     {{if .User}}{{.User}}{{else}}root{{end}}   {{range $k, $v := .Labels}}{{$k}}={{$v}} {{end}}   {{.Cmd | json}}   {{join .Cmd " "}}
//
// Values print as Go prints them: lists as [a b], objects as map[k:v], absent ones as <no value>.
#pragma once

#include <string>
#include <string_view>

#include "base/json.h"

namespace jigsaw {

// Throws on what it does not know. "json" alone gives the whole value, indented.
std::string expand_template(std::string_view text, const json::Value& value);

}  // namespace jigsaw

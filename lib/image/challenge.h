// WWW-Authenticate: what a registry answers with 401 when it wants to know who we are.
//
//     Bearer realm="https://auth.docker.io/token",service="registry.docker.io",scope="repository:a/b:pull"
//     Basic realm="Registry"
//
// A header may hold several challenges, separated by the commas that also separate parameters. RFC 9110, 11.6.1;
// the Bearer form: distribution/docs/spec/auth/token.md.
#pragma once

#include <map>
#include <string>
#include <string_view>
#include <vector>

namespace jigsaw::image {

struct Challenge {
  std::string scheme;                             // lower case: "bearer", "basic"
  std::map<std::string, std::string> parameters;  // names in lower case, values unquoted
};

// All challenges that can be read; what can't is left out. Never throws: the text is a stranger's.
std::vector<Challenge> parse_challenges(std::string_view header);

}  // namespace jigsaw::image

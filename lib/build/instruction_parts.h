// Parts that the parsers of several instructions share. Internal to lib/build.
#pragma once

#include <map>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "build/instructions.h"

namespace jigsaw::build {

enum class FlagKind { kSwitch, kText, kList };
struct FlagSpec {
  std::string name;
  FlagKind kind;
};

// The --name=value flags of one statement, checked against what its instruction knows.
class FlagValues {
 public:
  FlagValues(const Statement& statement, std::initializer_list<FlagSpec> known);

  bool given(std::string_view name) const { return values_.contains(std::string(name)); }
  std::string text(std::string_view name) const;
  std::vector<std::string> list(std::string_view name) const;
  bool is_on(std::string_view name) const { return text(name) == "true"; }
  std::optional<bool> if_given(std::string_view name) const;
  // The place of a flag, for what is wrong with its value.
  Place place(std::string_view name) const;

 private:
  const Statement& statement_;
  std::map<std::string, std::vector<std::string>> values_;
  std::map<std::string, Place> places_;
};

// json_words() with the error placed.
std::optional<std::vector<std::string>> json_arguments(const Statement& statement, std::string_view text);
CommandLine parse_command_line(const Statement& statement);
enum class CopyKind { kCopy, kAdd };
Copy parse_copy(const Statement& statement, CopyKind kind);
Run parse_run(const Statement& statement);
Healthcheck parse_healthcheck(const Statement& statement);

// One --mount text with variables filled in. Names that have no value are added to `unset`.
Mount parse_mount(std::string_view text, const Variables& variables, char escape, std::vector<std::string>& unset);
// The from= of a mount, "" if there is none. It can't hold variables: the stage graph is built before they are known.
std::string mount_from(std::string_view text);
// "8080", "8000-8005/udp", "127.0.0.1:80:8080/TCP" -> {"8080/tcp"} …
struct Ports {
  std::vector<std::string> ports;
  bool mapping = false;       // it names an address or a host port
  bool upper_protocol = false;
};
Ports parse_ports(std::string_view text);
// What is wrong with a COPY or ADD whose variables are filled in.
void check_copy(const Copy& copy, const Place& place);

// What a source of ADD is.
enum class SourceKind { kLocal, kHttp, kGit };
SourceKind source_kind(std::string_view text);

}  // namespace jigsaw::build

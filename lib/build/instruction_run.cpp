// RUN and its mounts.
#include <algorithm>
#include <array>

#include "base/text.h"
#include "build/instruction_parts.h"

namespace jigsaw::build {
namespace {

// The fields of one line of comma-separated values; "…" around a field keeps its commas.
std::vector<std::string> csv_fields(std::string_view text) {
  std::vector<std::string> fields(1);
  bool quoted = false;
  for (size_t at = 0; at < text.size(); ++at) {
    const char c = text[at];
    if (quoted) {
      if (c != '"') {
        fields.back() += c;
      } else if (at + 1 < text.size() && text[at + 1] == '"') {
        fields.back() += '"';
        ++at;
      } else {
        quoted = false;
      }
    } else if (c == '"' && fields.back().empty()) {
      quoted = true;
    } else if (c == '"') {
      throw Error(fmt::format("a \" in the middle of a field: {}", text::quoted(text)),
                  "put the whole field into quotes: \"target=/a,b\"");
    } else if (c == ',') {
      fields.emplace_back();
    } else {
      fields.back() += c;
    }
  }
  if (quoted) {
    throw fail("the closing \" is missing in {}", text::quoted(text));
  }
  return fields;
}

bool parse_switch(std::string_view key, std::string_view value) {
  for (const std::string_view yes : {"1", "t", "T", "TRUE", "true", "True"}) {
    if (value == yes) {
      return true;
    }
  }
  for (const std::string_view no : {"0", "f", "F", "FALSE", "false", "False"}) {
    if (value == no) {
      return false;
    }
  }
  throw Error(fmt::format("invalid value for {}: {}, it must be true or false", key, value));
}

uint32_t parse_number(std::string_view key, std::string_view value, int base) {
  uint64_t number = 0;
  bool good = !value.empty();
  for (const char c : value) {
    const int digit = c - '0';
    good = good && digit >= 0 && digit < base && number <= UINT32_MAX;
    number = number * static_cast<uint64_t>(base) + static_cast<uint64_t>(std::max(0, digit));
  }
  if (!good || number > UINT32_MAX) {
    throw Error(fmt::format("invalid value {} for {}: it is not {}", value, key,
                            base == 8 ? "an octal mode" : "a number"));
  }
  return static_cast<uint32_t>(number);
}

constexpr std::array<std::pair<std::string_view, Mount::Type>, 5> kTypes = {{{"bind", Mount::Type::kBind},
                                                                             {"cache", Mount::Type::kCache},
                                                                             {"tmpfs", Mount::Type::kTmpfs},
                                                                             {"secret", Mount::Type::kSecret},
                                                                             {"ssh", Mount::Type::kSsh}}};
constexpr std::array<std::pair<std::string_view, Mount::Sharing>, 3> kSharings = {
    {{"shared", Mount::Sharing::kShared}, {"private", Mount::Sharing::kPrivate}, {"locked", Mount::Sharing::kLocked}}};

template <class Table>
auto one_of(const Table& table, std::string_view what, std::string_view value) {
  std::vector<std::string> names;
  for (const auto& [name, meaning] : table) {
    if (name == text::lower(value)) {
      return meaning;
    }
    names.emplace_back(name);
  }
  throw Error(fmt::format("unsupported {} {}{}", what, text::quoted(value), text::did_you_mean(value, names)),
              fmt::format("it is one of {}", text::join(names, ", ")));
}

std::string_view type_name(Mount::Type type) { return kTypes[static_cast<size_t>(type)].first; }

class MountParser {
 public:
  void field(const std::string& key, const std::optional<std::string>& value) {
    if (!value && !is_switch(key)) {
      throw Error(fmt::format("invalid field {}: it must be a key=value pair", text::quoted(key)), "write key=value, with commas in between");
    }
    if (is_switch(key)) {
      set_switch(key, !value || parse_switch(key, *value));
    } else {
      set(key, *value);
    }
  }

  Mount finish() {
    using Type = Mount::Type;
    const Type type = mount_.type;
    if (type == Type::kBind || type == Type::kTmpfs) {
      for (const auto& [name, number] : {std::pair("mode", &mount_.mode), {"uid", &mount_.uid}, {"gid", &mount_.gid}}) {
        if (*number) {
          throw fail("{} is not for {} mounts", name, type_name(type));
        }
      }
    }
    if (!writable_given_) {
      mount_.read_only = type != Type::kCache && type != Type::kTmpfs;
    }
    if (sharing_given_ && type != Type::kCache) {
      throw fail("sharing is for cache mounts, not for {}", type_name(type));
    }
    if (type == Type::kSecret) {
      check_secret();
    }
    if (type == Type::kSsh && !mount_.source.empty()) {
      throw Error("an ssh mount has no source", "the agent is named by id=");
    }
    const bool needs_target = type == Type::kBind || type == Type::kCache || type == Type::kTmpfs;
    if (needs_target && text::trim(mount_.target).empty()) {
      throw Error(fmt::format("invalid mount target {}: a {} mount needs target=", text::quoted(mount_.target), type_name(type)), "for example target=/src");
    }
    return std::move(mount_);
  }

 private:
  static bool is_switch(std::string_view key) {
    return key == "readonly" || key == "ro" || key == "readwrite" || key == "rw" || key == "required";
  }

  void set_switch(const std::string& key, bool on) {
    if (key == "required") {
      if (mount_.type != Mount::Type::kSecret && mount_.type != Mount::Type::kSsh) {
        throw Error(fmt::format("required is not for {} mounts", type_name(mount_.type)),
                    "it goes with type=secret and type=ssh; type= must stand first");
      }
      mount_.required = on;
      return;
    }
    mount_.read_only = key.starts_with("ro") || key == "readonly" ? on : !on;
    writable_given_ = true;
  }

  void set(const std::string& key, const std::string& value) {
    if (key == "type") {
      mount_.type = one_of(kTypes, "mount type", value);
    } else if (key == "from") {
      mount_.from = value;
    } else if (key == "source" || key == "src") {
      mount_.source = value;
    } else if (key == "target" || key == "dst" || key == "destination") {
      mount_.target = value;
    } else if (key == "size") {
      if (mount_.type != Mount::Type::kTmpfs) {
        throw Error(fmt::format("size is not for {} mounts", type_name(mount_.type)),
                    "it goes with type=tmpfs; type= must stand first");
      }
      mount_.size = text::parse_size(value, "size");
    } else if (key == "id") {
      mount_.id = value;
    } else if (key == "sharing") {
      mount_.sharing = one_of(kSharings, "sharing value", value);
      sharing_given_ = true;
    } else if (key == "mode") {
      mount_.mode = parse_number(key, value, 8);
    } else if (key == "uid") {
      mount_.uid = parse_number(key, value, 10);
    } else if (key == "gid") {
      mount_.gid = parse_number(key, value, 10);
    } else if (key == "env") {
      mount_.env = value;
    } else {
      static const std::vector<std::string> kKeys = {
          "type", "from", "source", "src", "target",  "dst",  "destination", "readonly", "ro", "readwrite",
          "rw",   "id",   "size",   "mode", "sharing", "uid", "gid",         "env",      "required"};
      throw Error(fmt::format("unexpected key '{}'{}", key, text::did_you_mean(key, kKeys)),
                  fmt::format("known are {}", text::join(kKeys, ", ")));
    }
  }

  void check_secret() {
    if (!mount_.from.empty()) {
      throw Error("a secret mount has no from", "secrets come from jigsaw build --secret");
    }
    if (mount_.source.empty() && mount_.target.empty() && mount_.id.empty()) {
      throw Error("a secret mount needs id= or target=", "for example --mount=type=secret,id=token");
    }
    if (!mount_.source.empty() && !mount_.id.empty()) {
      throw Error("a secret mount takes id= or source=, not both");
    }
    // The name of the secret: id=, source= or the last name of the target.
    if (mount_.id.empty()) {
      mount_.id = !mount_.source.empty() ? mount_.source : mount_.target.substr(mount_.target.find_last_of('/') + 1);
    }
  }

  Mount mount_;
  bool writable_given_ = false;
  bool sharing_given_ = false;
};

}  // namespace

Mount parse_mount(std::string_view text, const Variables& variables, char escape, std::vector<std::string>& unset) {
  MountParser parser;
  for (const std::string& field : csv_fields(text)) {
    const size_t equals = field.find('=');
    const std::string key = text::lower(field.substr(0, equals));
    std::optional<std::string> value;
    if (equals != std::string::npos) {
      value = field.substr(equals + 1);
      const Expansion expansion = expand(*value, variables, {.escape = escape});
      value = expansion.text;
      unset.insert(unset.end(), expansion.unset.begin(), expansion.unset.end());
    }
    parser.field(key, value);
  }
  return parser.finish();
}

std::string mount_from(std::string_view text) {
  std::string from;
  for (const std::string& field : csv_fields(text)) {
    const size_t equals = field.find('=');
    if (equals == std::string::npos || text::lower(field.substr(0, equals)) != "from") {
      continue;
    }
    from = field.substr(equals + 1);
    const size_t dollar = from.find('$');
    if (dollar != std::string::npos && dollar + 1 != from.size()) {
      throw Error("'from' doesn't support variable expansion in a mount",
                  "give the stage a fixed name first: FROM $image AS name, then from=name");
    }
  }
  return from;
}

Run parse_run(const Statement& statement) {
  const FlagValues flags(statement, {{"mount", FlagKind::kList},
                                     {"network", FlagKind::kText},
                                     {"security", FlagKind::kText},
                                     {"device", FlagKind::kList}});
  Run run{.command = parse_command_line(statement), .mount_texts = flags.list("mount")};
  for (const std::string& mount : run.mount_texts) {
    try {
      mount_from(mount);
    } catch (const Error& error) {
      throw flags.place("mount").error("--mount: " + error.message(), error.hint());
    }
  }
  const std::string network = flags.text("network");
  if (network == "none") {
    run.network = Run::Network::kNone;
  } else if (network == "host") {
    run.network = Run::Network::kHost;
  } else if (flags.given("network") && network != "default") {
    throw flags.place("network").error(fmt::format("invalid network mode {}", text::quoted(network)),
                                       "it is default, none or host");
  }
  run.security = flags.text("security");
  if (flags.given("security") && run.security != "sandbox" && run.security != "insecure") {
    throw flags.place("security").error(fmt::format("security {} is not valid", text::quoted(run.security)),
                                        "it is sandbox or insecure");
  }
  run.devices = flags.list("device");
  return run;
}

}  // namespace jigsaw::build

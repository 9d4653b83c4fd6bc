// The instructions of a Dockerfile as plain structs, and the whole file as stages of them.
//
// parse_recipe() goes from text to these without looking at a variable, an image or a file; expand_instruction() gives
// one instruction with its variables filled in and its values checked, just before it is executed. What is wrong is
// thrown with its place: an unknown flag, a missing argument, a port that is none.
// The reference: docs.docker.com/reference/dockerfile.
#pragma once

#include <chrono>
#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <variant>
#include <vector>

#include "build/dockerfile.h"
#include "build/expansion.h"

namespace jigsaw::build {

struct KeyValue {
  std::string key;
  std::string value;
  bool legacy_form = false;  // "ENV key value"
};

struct From {
  std::string image;     // image, stage name or "scratch", variables not filled in
  std::string platform;  // --platform, "" if not given
  std::string name;      // AS name in lower case, "" without one
  std::string name_as_written;
  std::string as_keyword;  // "AS", "as"
};

struct Arg {
  struct Item {
    std::string key;
    std::optional<std::string> value;
  };
  std::vector<Item> items;
};
struct Env {
  std::vector<KeyValue> values;
};
struct Label {
  std::vector<KeyValue> values;
};

// A here-document that becomes a file (COPY, ADD) or a script (RUN).
struct InlineFile {
  std::string name;
  std::string content;
  bool expand = true;
  bool chomp = false;
};

// RUN, CMD, ENTRYPOINT: one text for the shell, or the words of an argument vector.
struct CommandLine {
  enum class Form { kShell, kExec };
  Form form = Form::kShell;
  std::vector<std::string> words;  // shell form: the text, or nothing
  std::vector<InlineFile> files;   // here-documents of a RUN
};

// One RUN --mount.
struct Mount {
  enum class Type { kBind, kCache, kTmpfs, kSecret, kSsh };
  enum class Sharing { kShared, kPrivate, kLocked };
  Type type = Type::kBind;
  std::string from;    // stage, image or named context; "" is the build context (bind) or nothing (the others)
  std::string source;
  std::string target;  // as written; relative ones belong below the working directory
  bool read_only = true;
  std::string id;  // cache, secret (source= or the target's name if it is not given), ssh
  Sharing sharing = Sharing::kShared;
  bool required = false;            // secret, ssh
  uint64_t size = 0;                // tmpfs: bytes, 0 for no limit
  std::optional<std::string> env;   // secret: the variable it is given in
  std::optional<uint32_t> mode, uid, gid;
};

struct Run {
  enum class Network { kDefault, kNone, kHost };
  CommandLine command;
  std::vector<std::string> mount_texts;  // as written
  std::vector<Mount> mounts;             // filled by expand_instruction(), one for each text
  Network network = Network::kDefault;
  std::string security;                  // "", "sandbox" or "insecure"
  std::vector<std::string> devices;
};

// COPY and ADD.
struct Copy {
  bool add = false;
  std::vector<std::string> sources;
  std::vector<InlineFile> files;  // here-documents among the sources
  std::string destination;
  std::string from;  // COPY --from: stage, its number, image or named context
  std::string chown;
  std::string chmod;  // octal or as chmod(1) takes it; see chmod.h
  std::string checksum;
  bool link = false;
  bool parents = false;
  std::vector<std::string> excludes;
  std::optional<bool> keep_git_dir;  // ADD
  std::optional<bool> unpack;        // ADD
};

struct Workdir {
  std::string path;
};
struct User {
  std::string user;
};
struct Volume {
  std::vector<std::string> paths;
};
struct Expose {
  std::vector<std::string> ports;  // as written; after expand_instruction() "80/tcp", ranges spread out
};
struct Cmd {
  CommandLine command;
};
struct Entrypoint {
  CommandLine command;
};
struct Shell {
  std::vector<std::string> words;
};
struct StopSignal {
  std::string signal;
};
struct Healthcheck {
  std::vector<std::string> test;  // {"NONE"}, {"CMD", …} or {"CMD-SHELL", text}
  std::chrono::nanoseconds interval{0}, timeout{0}, start_period{0}, start_interval{0};  // 0: not given
  int64_t retries = 0;
};
struct Onbuild {
  std::string expression;  // the instruction to run later, with its here-documents
};
struct Maintainer {
  std::string name;
};

using Body = std::variant<From, Arg, Env, Label, Run, Copy, Workdir, User, Volume, Expose, Cmd, Entrypoint, Shell,
                          StopSignal, Healthcheck, Onbuild, Maintainer>;

struct Instruction {
  std::string keyword;                // as written
  std::string text;                   // the statement as one line, blanks trimmed
  Place place;                        // the whole first line
  std::vector<std::string> comments;  // the comment lines above
  Body body;

  std::string name() const;  // "RUN", "ADD"
};

struct RecipeStage {
  Instruction from;
  std::vector<Instruction> instructions;
};

// A whole Dockerfile.
struct Recipe {
  Dockerfile file;                             // for its directives, escape character and source
  std::vector<Instruction> global_arguments;   // ARGs before the first FROM
  std::vector<RecipeStage> stages;
};

Instruction parse_instruction(const Statement& statement);
// One instruction out of a text of its own: a trigger (ONBUILD) of a base image.
Instruction parse_trigger(const std::string& expression, const std::string& image);
Recipe parse_recipe(const Source& source);

struct Expanded {
  Instruction instruction;
  std::vector<std::string> unset;  // variables that were named but have no value
};
// Fills in variables and checks values. ARG stays as it is: what counts depends on --build-arg (evaluate.h). RUN, CMD,
// ENTRYPOINT, SHELL, HEALTHCHECK and ONBUILD keep their text too: variables in it are the shell's of the container.
Expanded expand_instruction(const Instruction& instruction, const Variables& variables, char escape);

// What a command line is when it is executed: the words, and the script file that must stand at
// kScriptDirectory/<name> (mode 0755) for it, if its here-document starts with "#!".
inline constexpr std::string_view kScriptDirectory = "/dev/pipes";
struct Invocation {
  std::vector<std::string> words;
  std::optional<InlineFile> script;
};
// `shell` is what SHELL said; nothing stands for "/bin/sh -c".
Invocation invocation(const CommandLine& command, const std::vector<std::string>& shell);

}  // namespace jigsaw::build

// Instructions with their variables filled in.
#include <algorithm>

#include "base/flags.h"
#include "base/text.h"
#include "build/instruction_parts.h"
#include "build/words.h"

namespace jigsaw::build {
namespace {

// One visit of an instruction's body; errors are given the instruction's place.
class BodyExpander {
 public:
  BodyExpander(const Variables& variables, char escape) : variables_(variables), escape_(escape) {}

  void operator()(Env& env) { fill_pairs(env.values); }
  void operator()(Label& label) { fill_pairs(label.values); }
  void operator()(Workdir& workdir) { fill(workdir.path); }
  void operator()(User& user) { fill(user.user); }
  void operator()(Volume& volume) {
    for (std::string& path : volume.paths) {
      fill(path);
      if (path.empty()) {
        throw Error("VOLUME specified can not be an empty string", "a variable in it may have no value");
      }
    }
  }
  void operator()(StopSignal& stop) {
    fill(stop.signal);
    if (text::to_u64(stop.signal).value_or(0) == 0) {  // any number but 0 is taken as it is
      try {
        flags::parse_signal(stop.signal);
      } catch (const Error& error) {
        throw Error("invalid signal: " + stop.signal, error.hint());
      }
    }
  }
  void operator()(Expose& expose) {
    std::vector<std::string> ports;
    for (const std::string& text : expose.ports) {
      Expansion expansion = expand(text, variables_, {.escape = escape_});
      note(expansion);
      for (const std::string& word : expansion.words) {
        const Ports parsed = parse_ports(word);
        ports.insert(ports.end(), parsed.ports.begin(), parsed.ports.end());
        if (ports.size() > 100000) {
          throw Error("EXPOSE names more than 100000 ports");
        }
      }
    }
    expose.ports = std::move(ports);
  }
  void operator()(Copy& copy) {
    for (std::string& source : copy.sources) {
      fill(source);
    }
    fill(copy.destination);
    fill(copy.chown);
    fill(copy.chmod);
    fill(copy.checksum);
    for (InlineFile& file : copy.files) {
      if (file.expand) {
        Expansion expansion = expand(file.content, variables_, {.ignore_quotes = true});
        note(expansion);
        file.content = std::move(expansion.text);
      }
    }
  }
  void operator()(Run& run) {
    for (const std::string& text : run.mount_texts) {
      try {
        run.mounts.push_back(parse_mount(text, variables_, escape_, unset));
      } catch (const Error& error) {
        throw Error("--mount: " + error.message(), error.hint());
      }
    }
    if (run.security == "insecure") {
      throw Error("--security=insecure is refused: security.insecure is not allowed, a build step never gets more rights than a container",
                  "run such a step with jigsaw run --privileged, outside of the build");
    }
    if (!run.devices.empty()) {
      throw Error("--device is refused: build steps get no devices of the host",
                  "do what needs the device when the container runs");
    }
  }
  // The variables in these are the shell's of the container.
  void operator()(From&) {}
  void operator()(Arg&) {}  // its values: evaluate.h
  void operator()(Cmd&) {}
  void operator()(Entrypoint&) {}
  void operator()(Shell&) {}
  void operator()(Healthcheck&) {}
  void operator()(Onbuild&) {}
  void operator()(Maintainer&) {}

  std::vector<std::string> unset;

 private:
  void note(const Expansion& expansion) {
    unset.insert(unset.end(), expansion.unset.begin(), expansion.unset.end());
  }
  void fill(std::string& text) {
    Expansion expansion = expand(text, variables_, {.escape = escape_});
    note(expansion);
    text = std::move(expansion.text);
  }
  void fill_pairs(std::vector<KeyValue>& pairs) {
    for (KeyValue& pair : pairs) {
      fill(pair.key);
      fill(pair.value);
      if (pair.key.empty()) {
        throw Error("names can not be blank", "a variable in it may have no value");
      }
    }
  }

  const Variables& variables_;
  char escape_;
};

}  // namespace

Expanded expand_instruction(const Instruction& instruction, const Variables& variables, char escape) {
  Expanded expanded{.instruction = instruction};
  BodyExpander expander(variables, escape);
  try {
    std::visit(expander, expanded.instruction.body);
  } catch (const Error& error) {
    throw instruction.place.error(error.message(), error.hint());
  }
  if (const Copy* copy = std::get_if<Copy>(&expanded.instruction.body)) {
    check_copy(*copy, instruction.place);
  }
  expanded.unset = std::move(expander.unset);
  return expanded;
}

}  // namespace jigsaw::build

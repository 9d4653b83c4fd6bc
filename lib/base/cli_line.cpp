#include "base/cli_line.h"

#include <map>

#include "base/cli.h"
#include "base/text.h"

namespace jigsaw::cli {
namespace {

// One that reads the words itself, or hands them to another program that does.
bool reads_all(const CLI::App& app) { return app.get_prefix_command() || app.get_allow_extras(); }

bool takes_value(const CLI::Option& option) { return option.get_items_expected_min() > 0; }

std::vector<std::string> known_commands(const CLI::App& app) {
  std::vector<std::string> names;
  for (const CLI::App* command : app.get_subcommands([](const CLI::App*) { return true; })) {
    names.push_back(command->get_name());
  }
  return names;
}

Error unknown_command(const CLI::App& app, const std::string& word) {
  return misused(app, fmt::format("unknown command {}{}", text::quoted(word), text::did_you_mean(word, known_commands(app))));
}

Error unknown_flag(const CLI::App& app, const std::string& flag) {
  // Any two flags of one letter are near each other: that is no hint.
  const std::string guess = flag.size() > 2 ? text::did_you_mean(flag, known_options(app)) : "";
  return misused(app, fmt::format("unknown flag {}{}", text::quoted(flag), guess));
}

class Splitter {
 public:
  Splitter(CLI::App& app, const std::vector<std::string>& words, bool (*takes_line)(const CLI::App&))
      : words_(words), takes_line_(takes_line), at_(&app), path_{{&app, {}}} {}

  Line split() {
    while (next_ < words_.size() && !reads_all(*at_) && theirs_.empty()) {
      take(words_[next_]);
    }
    return finish();
  }

 private:
  struct Level {
    CLI::App* command;
    std::vector<std::string> words;
  };

  void take(const std::string& word) {
    if (word == "--") {
      end_of_options();
    } else if (word.starts_with("--")) {
      take_long(word);
    } else if (word.size() > 1 && word.front() == '-') {
      take_short(word);
    } else {
      take_plain(word);
    }
  }

  void end_of_options() {
    if (takes_line_(*at_)) {
      ++next_;
    }
    rest();
  }

  // What is left is no option of ours.
  void rest() {
    std::vector<std::string>& into = takes_line_(*at_) ? theirs_ : path_.back().words;
    into.insert(into.end(), words_.begin() + static_cast<std::ptrdiff_t>(next_), words_.end());
    next_ = words_.size();
  }

  void take_plain(const std::string& word) {
    if (takes_line_(*at_)) {
      return rest();
    }
    const std::vector<std::string> names = known_commands(*at_);
    if (names.empty()) {
      path_.back().words.push_back(word);
    } else if (std::find(names.begin(), names.end(), word) != names.end()) {
      at_ = at_->get_subcommand(word);
      path_.push_back({at_, {}});
    } else if (word == "help") {
      help_ = true;
    } else {
      throw unknown_command(*at_, word);
    }
    ++next_;
  }

  void take_long(const std::string& word) {
    const size_t equals = word.find('=');
    const std::string name = word.substr(0, equals);
    CLI::Option* option = find(name);
    ++next_;
    if (!takes_value(*option)) {
      level_of(option).push_back(word);
    } else if (equals != std::string::npos) {
      add(option, name, word.substr(equals + 1));
    } else {
      add(option, name, value_of(name));
    }
  }

  // "-it", "-m64m", "-m 64m", "-q=false".
  void take_short(const std::string& word) {
    ++next_;
    for (size_t at = 1; at < word.size(); ++at) {
      const std::string name = {'-', word[at]};
      if (static_cast<unsigned char>(word[at]) > 127) {
        throw unknown_flag(*at_, word);  // a part of a character is none
      }
      CLI::Option* option = find(name);
      if (takes_value(*option)) {
        return add(option, name, at + 1 < word.size() ? word.substr(at + (word[at + 1] == '=' ? 2 : 1)) : value_of(name));
      }
      if (at + 1 < word.size() && word[at + 1] == '=' && !option->get_lnames().empty()) {  // CLI11 takes that of long names
        return level_of(option).push_back("--" + option->get_lnames().front() + word.substr(at + 1));
      }
      level_of(option).push_back(name);
    }
  }

  std::string value_of(const std::string& name) {
    if (next_ == words_.size()) {
      throw misused(*at_, fmt::format("{} needs a value", name));
    }
    return words_[next_++];
  }

  void add(CLI::Option* option, const std::string& name, const std::string& value) {
    if (++times_[option] > 1 && option->get_expected_max() <= 1 && option->get_multi_option_policy() == CLI::MultiOptionPolicy::Throw) {
      throw misused(*at_, fmt::format("{} is given more than once", name));
    }
    level_of(option).insert(level_of(option).end(), {name, value});
  }

  // The command's own option, or one of the commands it stands below.
  CLI::Option* find(const std::string& name) {
    for (auto level = path_.rbegin(); level != path_.rend(); ++level) {
      if (CLI::Option* option = level->command->get_option_no_throw(name)) {
        return option;
      }
    }
    throw unknown_flag(*at_, name);
  }

  std::vector<std::string>& level_of(const CLI::Option* option) {
    for (Level& level : path_) {
      const auto options = level.command->get_options();
      if (std::find(options.begin(), options.end(), option) != options.end()) {
        return level.words;
      }
    }
    return path_.back().words;
  }

  Line finish() {
    if (help_) {
      path_.back().words = {"--help"};
    }
    rest();
    Line line{{}, std::move(theirs_), at_};
    for (const Level& level : path_) {
      if (level.command != path_.front().command) {
        line.ours.push_back(level.command->get_name());
      }
      line.ours.insert(line.ours.end(), level.words.begin(), level.words.end());
    }
    return line;
  }

  const std::vector<std::string>& words_;
  bool (*takes_line_)(const CLI::App&);
  CLI::App* at_;
  std::vector<Level> path_;
  std::map<const CLI::Option*, int> times_;
  std::vector<std::string> theirs_;
  size_t next_ = 0;
  bool help_ = false;
};

}  // namespace

std::string invocation(const CLI::App& app) {
  return app.get_parent() == nullptr ? app.get_name() : invocation(*app.get_parent()) + " " + app.get_name();
}

Error misused(const CLI::App& app, const std::string& what) { return Error(what, fmt::format("see '{} --help'", invocation(app))); }

Line take_apart(CLI::App& app, const std::vector<std::string>& words, bool (*takes_line)(const CLI::App&)) {
  return Splitter(app, words, takes_line).split();
}

}  // namespace jigsaw::cli

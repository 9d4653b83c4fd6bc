#include "base/json.h"

#include <nlohmann/json.hpp>
#include <set>

#include "base/error.h"
#include "base/text.h"

namespace jigsaw::json {
namespace {

// The place of byte `offset` (from 0) in `text`.
SourcePlace place_of(std::string_view text, size_t offset, std::string_view name) {
  offset = std::min(offset, text.size());
  const std::string_view before = text.substr(0, offset);
  const size_t line = static_cast<size_t>(std::count(before.begin(), before.end(), '\n')) + 1;
  const size_t newline = before.rfind('\n');
  const size_t start = newline == std::string_view::npos ? 0 : newline + 1;
  return SourcePlace{.file = name,
                     .text = text.substr(start, text.find('\n', start) - start),
                     .line = line,
                     .column = offset - start + 1,
                     .length = 1};
}

// Walks the events of nlohmann's parser. Depth is bounded by a counter; keys of the open objects are remembered to
// find duplicates, which two readers may understand differently (a known way to smuggle a second meaning).
class Builder {
 public:
  Builder(Value& root, std::string_view text, std::string_view name, size_t max_depth)
      : dom_(root, true), text_(text), name_(name), max_depth_(max_depth) {}

  bool null() { return dom_.null(); }
  bool boolean(bool value) { return dom_.boolean(value); }
  bool number_integer(int64_t value) { return dom_.number_integer(value); }
  bool number_unsigned(uint64_t value) { return dom_.number_unsigned(value); }
  bool number_float(double value, const std::string& written) { return dom_.number_float(value, written); }
  bool string(std::string& value) { return dom_.string(value); }
  bool binary(Value::binary_t& value) { return dom_.binary(value); }
  bool start_object(size_t count) { return enter(), keys_.emplace_back(), dom_.start_object(count); }
  bool end_object() { return --depth_, keys_.pop_back(), dom_.end_object(); }
  bool start_array(size_t count) { return enter(), dom_.start_array(count); }
  bool end_array() { return --depth_, dom_.end_array(); }
  bool key(std::string& name) {
    if (!keys_.back().insert(name).second) {
      throw Error(fmt::format("{}: the key {} occurs twice in one object", name_, text::quoted(name)),
                  "remove one of them: readers disagree about which one counts");
    }
    return dom_.key(name);
  }
  bool parse_error(size_t position, const std::string&, const nlohmann::detail::exception& problem) {
    // nlohmann: "[json.exception.parse_error.101] parse error at line 1, column 5: syntax error while …: what"
    std::string_view what = problem.what();
    const size_t detail = what.find(": ");
    what = detail == std::string_view::npos ? what : what.substr(detail + 2);
    throw source_error(place_of(text_, position > 0 ? position - 1 : 0, name_),
                       fmt::format("not JSON: {}", text::printable_line(what.substr(0, 200))));
  }
  bool is_errored() const { return false; }

 private:
  void enter() {
    if (++depth_ > max_depth_) {
      throw fail("{}: more than {} arrays and objects within one another", name_, max_depth_);
    }
  }

  nlohmann::detail::json_sax_dom_parser<Value> dom_;
  std::string_view text_;
  std::string_view name_;
  size_t max_depth_;
  size_t depth_ = 0;
  std::vector<std::set<std::string>> keys_;
};

// Finds the byte at which the value named by an RFC 6901 pointer starts: a second, rare walk, for messages only.
// Positions come from an iterator that counts what the parser takes.
struct CountingIterator {
  using iterator_category = std::input_iterator_tag;
  using value_type = char;
  using difference_type = std::ptrdiff_t;
  using pointer = const char*;
  using reference = const char&;
  const char* at;
  size_t* taken;
  const char& operator*() const { return *at; }
  CountingIterator& operator++() { return ++at, ++*taken, *this; }
  bool operator==(const CountingIterator& other) const { return at == other.at; }
  bool operator!=(const CountingIterator& other) const { return at != other.at; }
};

class Locator {
 public:
  Locator(std::string wanted, const size_t* taken) : wanted_(std::move(wanted)), taken_(taken) {}
  bool null() { return scalar(); }
  bool boolean(bool) { return scalar(); }
  bool number_integer(int64_t) { return scalar(); }
  bool number_unsigned(uint64_t) { return scalar(); }
  bool number_float(double, const std::string&) { return scalar(); }
  bool string(std::string&) { return scalar(); }
  bool binary(Value::binary_t&) { return scalar(); }
  bool start_object(size_t) { return open(false); }
  bool end_object() { return levels_.pop_back(), true; }
  bool start_array(size_t) { return open(true); }
  bool end_array() { return levels_.pop_back(), true; }
  bool key(std::string& name) { return levels_.back().key = name, true; }
  bool parse_error(size_t, const std::string&, const nlohmann::detail::exception&) { return false; }
  std::optional<size_t> found() const { return found_; }

 private:
  struct Level {
    bool array;
    size_t index;
    std::string key;
  };
  bool scalar() {
    const bool here = arrive();
    return !here;
  }
  bool open(bool array) {
    if (arrive()) {
      return false;
    }
    levels_.push_back(Level{array, 0, {}});
    return true;
  }
  // Called at each value, before its level is pushed.
  bool arrive() {
    std::string pointer;
    for (Level& level : levels_) {
      pointer += "/" + (level.array ? fmt::format("{}", &level == &levels_.back() ? level.index : level.index - 1)
                                    : level.key);
    }
    if (!levels_.empty() && levels_.back().array) {
      ++levels_.back().index;
    }
    if (pointer == wanted_) {
      found_ = *taken_;
    }
    return found_.has_value();
  }

  std::string wanted_;
  const size_t* taken_;
  std::vector<Level> levels_;
  std::optional<size_t> found_;
};

size_t locate(std::string_view text, const std::string& pointer) {
  size_t taken = 0;
  Locator locator(pointer, &taken);
  Value::sax_parse(CountingIterator{text.data(), &taken}, CountingIterator{text.data() + text.size(), &taken}, &locator);
  // The parser has taken the value's last byte, or one more after a number: step back to where it begins.
  size_t end = std::min(locator.found().value_or(1), text.size());
  while (end > 0 && std::string_view(" \t\r\n,]}:").find(text[end - 1]) != std::string_view::npos) {
    --end;
  }
  if (end == 0) {
    return 0;
  }
  size_t start = end - 1;
  if (text[start] == '"') {
    while (start > 0 && !(text[start - 1] == '"' && (start < 2 || text[start - 2] != '\\'))) {
      --start;
    }
    return start > 0 ? start - 1 : 0;
  }
  while (start > 0 && (std::isalnum(static_cast<unsigned char>(text[start - 1])) || text[start - 1] == '-' ||
                       text[start - 1] == '.' || text[start - 1] == '+')) {
    --start;
  }
  return start;
}

std::string_view kind_of(const Value& value) {
  switch (value.type()) {
    case Value::value_t::null:
      return "null";
    case Value::value_t::object:
      return "an object";
    case Value::value_t::array:
      return "an array";
    case Value::value_t::string:
      return "a string";
    case Value::value_t::boolean:
      return "a boolean";
    default:
      return "a number";
  }
}

}  // namespace

Value parse(std::string_view text, std::string_view name, ParseOptions options) {
  if (text.starts_with("\xef\xbb\xbf")) {  // nlohmann would skip it, other readers refuse it: RFC 8259, part 8.1
    throw source_error(place_of(text, 0, name), "not JSON: it begins with a byte order mark");
  }
  Value root;
  Builder builder(root, text, name, options.max_depth);
  Value::sax_parse(text, &builder);
  return root;
}

std::string dump(const Value& value) { return value.dump(-1, ' ', false, Value::error_handler_t::replace); }

std::string dump_pretty(const Value& value) {
  return value.dump(2, ' ', false, Value::error_handler_t::replace) + "\n";
}

struct Document::Tree {
  Value value;
};

Document::Document(std::string given_text, std::string given_name, ParseOptions options)
    : text(std::move(given_text)), name(std::move(given_name)), tree_(new Tree{parse(text, name, options)}) {}

Document::~Document() { delete tree_; }

View Document::root() const { return View(this, &tree_->value, ""); }

View View::child(const Value& value, std::string_view key) const {
  return View(document_, &value, fmt::format("{}/{}", pointer_, key));
}

bool View::is_null() const { return value_->is_null(); }
bool View::is_object() const { return value_->is_object(); }
bool View::is_array() const { return value_->is_array(); }
bool View::is_string() const { return value_->is_string(); }
bool View::is_number() const { return value_->is_number(); }

std::optional<View> View::find(std::string_view key) const {
  if (!value_->is_object()) {
    expected("an object");
  }
  const auto member = value_->find(std::string(key));
  if (member == value_->end() || member->is_null()) {
    return std::nullopt;
  }
  return child(*member, key);
}

View View::at(std::string_view key) const {
  const std::optional<View> member = find(key);
  if (!member) {
    refuse(pointer_.empty() ? fmt::format("has no \"{}\"", key) : fmt::format("has no \"{}\", which is required", key));
  }
  return *member;
}

void View::each_member(const std::function<void(const std::string&, const View&)>& visit) const {
  if (!value_->is_object()) {
    expected("an object");
  }
  for (const auto& [key, member] : value_->items()) {
    visit(key, child(member, key));
  }
}

size_t View::size() const {
  if (!value_->is_array()) {
    expected("an array");
  }
  return value_->size();
}

View View::operator[](size_t index) const {
  if (!value_->is_array() || index >= value_->size()) {
    expected(fmt::format("an array of more than {} elements", index));
  }
  return child((*value_)[index], fmt::format("{}", index));
}

void View::each(const std::function<void(const View&)>& visit) const {
  const size_t count = size();
  for (size_t index = 0; index < count; ++index) {
    visit((*this)[index]);
  }
}

std::string View::string() const {
  if (!value_->is_string()) {
    expected("a string");
  }
  const auto& text = value_->get_ref<const std::string&>();
  if (text.find('\0') != std::string::npos) {
    refuse("holds a NUL byte");
  }
  return text;
}

bool View::boolean() const {
  if (!value_->is_boolean()) {
    expected("true or false");
  }
  return value_->get<bool>();
}

int64_t View::integer(int64_t min, int64_t max) const {
  const bool fits = value_->is_number_unsigned() ? value_->get<uint64_t>() <= static_cast<uint64_t>(INT64_MAX)
                                                 : value_->is_number_integer();
  if (!fits) {
    expected("a whole number of 64 bits");
  }
  const auto number = value_->get<int64_t>();
  if (number < min || number > max) {
    refuse(fmt::format("must be from {} to {}, not {}", min, max, number));
  }
  return number;
}

uint64_t View::unsigned_integer(uint64_t max) const {
  if (!value_->is_number_unsigned()) {
    expected("a whole number that is not negative");
  }
  const auto number = value_->get<uint64_t>();
  if (number > max) {
    refuse(fmt::format("must be at most {}, not {}", max, number));
  }
  return number;
}

double View::number() const {
  if (!value_->is_number()) {
    expected("a number");
  }
  return value_->get<double>();
}

std::vector<std::string> View::strings() const {
  std::vector<std::string> result;
  each([&](const View& element) { result.push_back(element.string()); });
  return result;
}

std::map<std::string, std::string> View::string_map() const {
  std::map<std::string, std::string> result;
  each_member([&](const std::string& key, const View& member) { result[key] = member.string(); });
  return result;
}

std::string View::string_or(std::string_view key, std::string_view otherwise) const {
  const auto member = find(key);
  return member ? member->string() : std::string(otherwise);
}

bool View::boolean_or(std::string_view key, bool otherwise) const {
  const auto member = find(key);
  return member ? member->boolean() : otherwise;
}

std::vector<std::string> View::strings_or_none(std::string_view key) const {
  const auto member = find(key);
  return member ? member->strings() : std::vector<std::string>();
}

std::string View::path() const {
  if (pointer_.empty()) {
    return "the document";
  }
  std::string result;
  for (const std::string_view step : text::split(std::string_view(pointer_).substr(1), '/')) {
    const bool index = text::to_u64(step).has_value();
    result += index ? fmt::format("[{}]", step) : fmt::format("{}{}", result.empty() ? "" : ".", step);
  }
  return text::printable_line(result.substr(0, 300));
}

void View::refuse(std::string_view what, std::string hint) const {
  throw source_error(place_of(document_->text, locate(document_->text, pointer_), document_->name),
                     fmt::format("{} {}", path(), what), std::move(hint));
}

void View::expected(std::string_view what) const {
  refuse(fmt::format("must be {}, not {}", what, kind_of(*value_)));
}

}  // namespace jigsaw::json

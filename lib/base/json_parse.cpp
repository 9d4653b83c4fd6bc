#include "base/json_parse.h"

#include <algorithm>
#include <nlohmann/json.hpp>
#include <set>

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

// Makes the tree from the events of nlohmann's parser. Its own builder looks through all keys of an object for each new
// one, quietly takes the last of two values, and goes as deep as it is led. Here depth is bounded, and a key that occurs
// twice is refused: two readers may understand it differently (a known way to smuggle a second meaning).
class Builder {
 public:
  Builder(Value& root, std::string_view text, std::string_view name, size_t max_depth)
      : root_(root), text_(text), name_(name), max_depth_(max_depth) {}

  bool null() { return put(nullptr); }
  bool boolean(bool value) { return put(value); }
  bool number_integer(int64_t value) { return put(value); }
  bool number_unsigned(uint64_t value) { return put(value); }
  bool number_float(double value, const std::string&) { return put(value); }
  bool string(std::string& value) { return put(std::move(value)); }
  bool binary(Value::binary_t& value) { return put(std::move(value)); }
  bool start_object(size_t) {
    Value object = Value::object();
    object.get_ref<Value::object_t&>().reserve(kUsualSize);
    return open(std::move(object));
  }
  bool end_object() { return levels_.pop_back(), true; }
  bool start_array(size_t) {
    Value array = Value::array();
    array.get_ref<Value::array_t&>().reserve(kUsualSize);
    return open(std::move(array));
  }
  bool end_array() { return levels_.pop_back(), true; }
  bool key(std::string& name) {
    Level& level = levels_.back();
    auto& object = level.container->get_ref<Value::object_t&>();
    if (object.size() == kFewKeys) {
      for (const auto& [known, value] : object) {
        level.many_keys.insert(known);
      }
    }
    const bool is_new = object.size() < kFewKeys
                            ? std::none_of(object.begin(), object.end(), [&](const auto& member) { return member.first == name; })
                            : level.many_keys.insert(name).second;
    if (!is_new) {
      throw Error(fmt::format("{}: the key {} occurs twice in one object", name_, text::quoted(name)),
                  "remove one of them: readers disagree about which one counts");
    }
    object.emplace_back(std::move(name), Value());
    return true;
  }
  bool parse_error(size_t position, const std::string&, const nlohmann::detail::exception& problem) {
    // nlohmann: "[json.exception.parse_error.101] parse error at line 1, column 5: syntax error while …: what"
    std::string_view what = problem.what();
    const size_t detail = what.find(": ");
    what = detail == std::string_view::npos ? what : what.substr(detail + 2);
    throw source_error(place_of(text_, position > 0 ? position - 1 : 0, name_),
                       fmt::format("not JSON: {}", text::printable_line(what.substr(0, 200))));
  }

 private:
  static constexpr size_t kUsualSize = 4;
  static constexpr size_t kFewKeys = 16;  // so many are looked through faster than they are sorted
  struct Level {
    Value* container;
    std::set<std::string> many_keys;
  };

  // In the array that is open, behind the key that came last, or as the whole.
  Value& place(Value&& value) {
    if (levels_.empty()) {
      return root_ = std::move(value);
    }
    Value& container = *levels_.back().container;
    if (container.is_array()) {
      auto& array = container.get_ref<Value::array_t&>();
      return array.emplace_back(std::move(value));
    }
    return container.get_ref<Value::object_t&>().back().second = std::move(value);
  }
  template <class Scalar>
  bool put(Scalar&& value) {
    place(Value(std::forward<Scalar>(value)));
    return true;
  }
  bool open(Value&& container) {
    if (levels_.size() == max_depth_) {
      throw fail("{}: more than {} arrays and objects within one another", name_, max_depth_);
    }
    levels_.push_back(Level{&place(std::move(container)), {}});
    return true;
  }

  Value& root_;
  std::string_view text_;
  std::string_view name_;
  size_t max_depth_;
  std::vector<Level> levels_;
};

// Finds the byte at which the n-th value of a text starts, the whole being the one numbered 0: a second, rare walk, for
// messages only. Positions come from an iterator that counts what the parser takes.
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
  Locator(size_t wanted, const size_t* taken) : wanted_(wanted), taken_(taken) {}
  bool null() { return arrive(); }
  bool boolean(bool) { return arrive(); }
  bool number_integer(int64_t) { return arrive(); }
  bool number_unsigned(uint64_t) { return arrive(); }
  bool number_float(double, const std::string&) { return arrive(); }
  bool string(std::string&) { return arrive(); }
  bool binary(Value::binary_t&) { return arrive(); }
  bool start_object(size_t) { return arrive(); }
  bool end_object() { return true; }
  bool start_array(size_t) { return arrive(); }
  bool end_array() { return true; }
  bool key(std::string&) { return true; }
  bool parse_error(size_t, const std::string&, const nlohmann::detail::exception&) { return false; }
  std::optional<size_t> found() const { return found_; }

 private:
  bool arrive() {  // whether to go on
    if (seen_++ == wanted_) {
      found_ = *taken_;
    }
    return !found_;
  }

  size_t wanted_;
  size_t seen_ = 0;
  const size_t* taken_;
  std::optional<size_t> found_;
};

size_t locate(std::string_view text, size_t number) {
  size_t taken = 0;
  Locator locator(number, &taken);
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

}  // namespace

Value parse(std::string_view text, std::string_view name, ParseOptions options) {
  if (text.starts_with("\xef\xbb\xbf")) {  // nlohmann would skip it, other readers refuse it: RFC 8259, part 8.1
    throw source_error(place_of(text, 0, name), "not JSON: it begins with a byte order mark");
  }
  if (const size_t nul = text.find('\0'); nul != std::string_view::npos) {  // to nlohmann the text ends there
    throw source_error(place_of(text, nul, name), "not JSON: it holds a NUL byte");
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

SourcePlace place_of_value(std::string_view text, size_t number, std::string_view name) {
  return place_of(text, locate(text, number), name);
}

}  // namespace jigsaw::json

#include "base/json.h"

#include <nlohmann/json.hpp>

#include "base/error.h"
#include "base/json_parse.h"
#include "base/text.h"

namespace jigsaw::json {
namespace {

// Where a value stands in the tree: how many come before it in the text, and how a reader would name it.
struct Place {
  size_t number = 0;
  std::string path;
};

bool find_place(const Value& at, const Value* wanted, Place& place) {
  if (&at == wanted) {
    return true;
  }
  ++place.number;
  const size_t length = place.path.size();
  if (at.is_object()) {
    for (const auto& [key, member] : at.get_ref<const Value::object_t&>()) {
      place.path += fmt::format("{}{}", length == 0 ? "" : ".", key);
      if (find_place(member, wanted, place)) {
        return true;
      }
      place.path.resize(length);
    }
  } else if (at.is_array()) {
    for (size_t index = 0; index < at.size(); ++index) {
      place.path += fmt::format("[{}]", index);
      if (find_place(at[index], wanted, place)) {
        return true;
      }
      place.path.resize(length);
    }
  }
  return false;
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

Place place_in(const Value& root, const Value* wanted) {
  Place place;
  find_place(root, wanted, place);
  place.path = place.path.empty() ? "the document" : text::printable_line(place.path.substr(0, 300));
  return place;
}

}  // namespace

struct Document::Tree {
  Value value;
};

Document::Document(std::string given_text, std::string given_name, ParseOptions options)
    : text(std::move(given_text)), name(std::move(given_name)), tree_(new Tree{parse(text, name, options)}) {}

Document::~Document() { delete tree_; }

View Document::root() const { return View(this, &tree_->value); }

bool View::is_null() const { return value_->is_null(); }
bool View::is_object() const { return value_->is_object(); }
bool View::is_array() const { return value_->is_array(); }
bool View::is_string() const { return value_->is_string(); }
bool View::is_number() const { return value_->is_number(); }

std::optional<View> View::find(std::string_view key) const {
  if (!value_->is_object()) {
    expected("an object");
  }
  const auto member = value_->find(key);
  if (member == value_->end() || member->is_null()) {
    return std::nullopt;
  }
  return View(document_, &*member);
}

View View::at(std::string_view key) const {
  const std::optional<View> member = find(key);
  if (!member) {
    refuse(value_ == &document_->tree_->value ? fmt::format("has no \"{}\"", key) : fmt::format("has no \"{}\", which is required", key));
  }
  return *member;
}

void View::each_member(const std::function<void(const std::string&, const View&)>& visit) const {
  if (!value_->is_object()) {
    expected("an object");
  }
  for (const auto& [key, member] : value_->get_ref<const Value::object_t&>()) {
    visit(key, View(document_, &member));
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
  return View(document_, &(*value_)[index]);
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

std::string View::path() const { return place_in(document_->tree_->value, value_).path; }

void View::refuse(std::string_view what, std::string hint) const {
  const Place place = place_in(document_->tree_->value, value_);
  throw source_error(place_of_value(document_->text, place.number, document_->name), fmt::format("{} {}", place.path, what),
                     std::move(hint));
}

void View::expected(std::string_view what) const {
  refuse(fmt::format("must be {}, not {}", what, kind_of(*value_)));
}

}  // namespace jigsaw::json

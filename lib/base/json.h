// JSON: nlohmann-json, made safe for input that wants to harm.
//
// parse() bounds the depth and refuses duplicate keys and bad UTF-8. View walks a document and can say where it is, so
// that every wrong type is reported with the file, the line and a caret:
//
//     config.json:7:13: process.args[0] must be a string, not a number
//       7 |     "args": [ 7 ],
//         |               ^
#pragma once

#include <cstdint>
#include <functional>
#include <map>
#include <nlohmann/json_fwd.hpp>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

namespace jigsaw::json {

using Value = nlohmann::ordered_json;

struct ParseOptions {
  size_t max_depth = 128;  // arrays and objects within one another
};

// `name` is the file's name in messages. Throws on anything that is not exactly one JSON text in UTF-8.
Value parse(std::string_view text, std::string_view name, ParseOptions options = {});

// One line, no blanks; bytes that are no UTF-8 are replaced.
std::string dump(const Value& value);
std::string dump_pretty(const Value& value);  // indented by two, with a last newline

struct Document;  // a parsed text with its name

// One value within a document. Cheap to copy; lives as long as the document.
class View {
 public:
  bool is_null() const;
  bool is_object() const;
  bool is_array() const;
  bool is_string() const;
  bool is_number() const;

  // Members of an object. find(): absent and null both give nothing; at() throws "<path> is missing".
  std::optional<View> find(std::string_view key) const;
  View at(std::string_view key) const;
  // All members in the order written; throws unless it is an object.
  void each_member(const std::function<void(const std::string& key, const View&)>& visit) const;

  // Elements of an array; throws unless it is one.
  size_t size() const;
  View operator[](size_t index) const;
  void each(const std::function<void(const View&)>& visit) const;

  // Typed values; each throws "<path> must be a …, not a …".
  std::string string() const;  // refuses a NUL byte: no path or argument can hold one
  bool boolean() const;
  int64_t integer(int64_t min = INT64_MIN, int64_t max = INT64_MAX) const;
  uint64_t unsigned_integer(uint64_t max = UINT64_MAX) const;
  double number() const;
  std::vector<std::string> strings() const;
  std::map<std::string, std::string> string_map() const;

  // The same for a member that may be absent or null.
  std::string string_or(std::string_view key, std::string_view otherwise) const;
  bool boolean_or(std::string_view key, bool otherwise) const;
  std::vector<std::string> strings_or_none(std::string_view key) const;

  const Value& value() const { return *value_; }
  std::string path() const;  // "process.args[0]"; "the document" for the root
  // An Error at this place: "<file>:<line>:<column>: <path> <what>" with the line and a caret.
  [[noreturn]] void refuse(std::string_view what, std::string hint = {}) const;

 private:
  friend struct Document;
  View(const Document* document, const Value* value) : document_(document), value_(value) {}
  [[noreturn]] void expected(std::string_view what) const;

  const Document* document_;
  const Value* value_;  // where it stands in the document is looked for when somebody asks: path(), refuse()
};

// Keeps the text, so that an error can show the line.
struct Document {
  Document(std::string text, std::string name, ParseOptions options = {});
  ~Document();
  Document(const Document&) = delete;
  Document& operator=(const Document&) = delete;
  View root() const;

  std::string text;
  std::string name;

 private:
  friend class View;
  struct Tree;
  Tree* tree_;
};

}  // namespace jigsaw::json

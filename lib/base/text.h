// Text: strict parsing and small string functions. Everything that reads a number, a size or a duration from a
// user or a file goes through here, so that "12abc", "-1" or "99999999999999999999" is refused everywhere alike.
#pragma once

#include <chrono>
#include <cstdint>
#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <vector>

namespace jigsaw::text {

std::string_view trim(std::string_view text);  // blanks, tabs, newlines and carriage returns
// "a:b:" -> {"a", "b", ""}; an empty text gives one empty field.
std::vector<std::string_view> split(std::string_view text, char separator);
// Fields between runs of white space; never an empty one.
std::vector<std::string_view> words(std::string_view text);
std::vector<std::string_view> lines(std::string_view text);  // without "\n"; a last empty line is left out
// The pieces point into the text: it must not be a temporary.
std::vector<std::string_view> split(std::string&& text, char separator) = delete;
std::vector<std::string_view> words(std::string&& text) = delete;
std::vector<std::string_view> lines(std::string&& text) = delete;
std::string join(std::span<const std::string> parts, std::string_view separator);
std::string lower(std::string_view text);  // ASCII only
std::string upper(std::string_view text);
std::string hex(std::span<const unsigned char> bytes);  // lower case

// A whole decimal number that fits, or nothing: no sign, blank or rest is accepted.
std::optional<uint64_t> to_u64(std::string_view text);
std::optional<int64_t> to_i64(std::string_view text);  // with an optional leading '-'

// The same, but a wrong text throws: "<what> must be a whole number from <min> to <max>, not '<text>'".
uint64_t parse_u64(std::string_view text, std::string_view what, uint64_t max = UINT64_MAX);
int64_t parse_i64(std::string_view text, std::string_view what, int64_t min = INT64_MIN, int64_t max = INT64_MAX);

// "512", "64k", "1.5m", "2g", "1gib" -> bytes; the units are powers of 1024, as docker's --memory. Throws.
uint64_t parse_size(std::string_view text, std::string_view what);
// "1.5" -> 1.5, finite and not negative. Throws.
double parse_decimal(std::string_view text, std::string_view what);
// "1h2m3.5s", "300ms" as Go writes durations. Throws.
std::chrono::nanoseconds parse_duration(std::string_view text, std::string_view what);

// 12345678 -> "12.3MB": powers of 1000 with three digits, as docker prints sizes.
std::string human_size(uint64_t bytes);
// "2 hours ago".
std::string human_age(std::chrono::system_clock::time_point then);
// RFC 3339 in UTC with nanoseconds, as image configs and OCI states hold it: "2024-05-01T10:20:30.123456789Z".
std::string rfc3339(std::chrono::system_clock::time_point time);
std::optional<std::chrono::system_clock::time_point> parse_rfc3339(std::string_view text);

// 'text' in double quotes with C escapes, cut at `limit` bytes: how untrusted bytes are shown to a person.
std::string quoted(std::string_view text, size_t limit = 200);
// One line with control characters replaced by '?', tabs by blanks; UTF-8 stays.
std::string printable_line(std::string_view text);
std::string printable_lines(std::string_view text);  // the same, but newlines stay too
// 'text' as one word of a POSIX shell.
std::string shell_word(std::string_view text);
std::string shell_words(std::span<const std::string> texts);  // with blanks between them

// The nearest of `candidates` by edit distance, if near enough to be a slip of the finger.
std::optional<std::string> closest(std::string_view word, std::span<const std::string> candidates);
// ", did you mean 'run'?" or nothing: the end of an error message.
std::string did_you_mean(std::string_view word, std::span<const std::string> candidates);

}  // namespace jigsaw::text

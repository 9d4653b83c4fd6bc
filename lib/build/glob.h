// Glob: the wildcards of COPY and ADD, with the rules of Go's filepath.Match, which BuildKit uses.
//
//     *      any run of bytes without '/'        [a-c]  one of a class, [^a-c] one outside it
//     ?      one character that is not '/'       \x     x itself
//
// "**" is no more than "*" here; only .dockerignore, --exclude and --parents patterns span directories (ignore.h).
#pragma once

#include <string>
#include <string_view>

namespace jigsaw::build {

// Whether all of `name` matches. A malformed pattern (an open class, a last backslash) matches nothing.
bool glob_matches(std::string_view pattern, std::string_view name);

// Whether a pattern is well-formed.
bool is_glob(std::string_view pattern);

// Whether `path` holds an unescaped wildcard.
bool has_wildcards(std::string_view path);

// Lexical cleaning of a path as Go's path.Clean("/" + path) does it: absolute, without ".", ".." and double slashes.
std::string clean_path(std::string_view path);
// The same, but a last "/" or "/." stays: COPY gives it a meaning.
std::string clean_path_keeping_end(std::string_view path);
// `path` seen from `directory`, cleaned.
std::string join_path(std::string_view directory, std::string_view path);
std::string base_name(std::string_view path);    // "/a/b/" -> "b", "/" -> "/"
std::string parent_path(std::string_view path);  // "/a/b" -> "/a", "/" -> "/"

}  // namespace jigsaw::build

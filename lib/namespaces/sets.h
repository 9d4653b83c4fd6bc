// Namespaces: which views of the system a process has for itself. There are eight kinds, each one CLONE_NEW* flag of
// clone3(2) and one file below /proc/PID/ns (namespaces(7)); a set of them is a number with those flags.
#pragma once

#include <cstdint>
#include <span>
#include <string>
#include <string_view>

namespace jigsaw::namespaces {

struct Kind {
  std::string_view name;  // "net": the file in /proc/PID/ns and the word on our command lines
  uint64_t flag;          // CLONE_NEWNET
  std::string_view oci;   // "network": the word in an OCI config.json
  std::string_view what;  // what is private in it, for people
};

// All eight, in the order in which they are entered: user first, since it gives the rights for the others, and mnt
// last, since the paths of the others are looked up in the old one.
std::span<const Kind> kinds();

// "pid,net,mnt" -> CLONE_NEWPID|CLONE_NEWNET|CLONE_NEWNS. "all" and "none" are words too; the OCI names are accepted.
uint64_t parse(std::string_view list);
// The kind named by one word, ours or OCI's, or null.
const Kind* find(std::string_view name);
// The opposite of parse(): "pid,net".
std::string names(uint64_t set);

}  // namespace jigsaw::namespaces

// Users of a container: the text of --user and of an image's USER, resolved with the container's own /etc/passwd and
// /etc/group. Those files were written by strangers: they are opened inside the root, must be regular files (a FIFO
// would hang us, CVE-2024-9676), are read up to a limit, and every number is parsed strictly (CVE-2024-40635).
#pragma once

#include <sys/types.h>

#include <optional>
#include <string>
#include <string_view>
#include <vector>

namespace jigsaw::security {

struct User {
  uid_t uid = 0;
  gid_t gid = 0;
  std::vector<gid_t> groups;  // supplementary ones
  std::string name;           // "" if passwd has no such uid
  std::string home = "/";
};

// The two texts, as far as they exist.
struct AccountFiles {
  std::string passwd;
  std::string group;
};
// Reads them below the directory descriptor `root`.
AccountFiles read_account_files(int root);

// "", "name", "uid", "name:", "name:group", "uid:gid", ":group". A name must be known; a number need not be, and is never a name: who
// asks for 1000 must not get root from an image whose passwd calls a user "1000". Without a group it is the one from passwd,
// and the supplementary groups of the name are added. Throws on anything else.
User resolve_user(std::string_view text, const AccountFiles& files);
// A group's number: a number or a known name.
gid_t resolve_group(std::string_view text, const AccountFiles& files);

}  // namespace jigsaw::security

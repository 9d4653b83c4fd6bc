#include "rootfs/base_tree.h"

#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/error.h"
#include "base/files.h"
#include "base/text.h"

// The file itself, put into the read-only data by the assembler. JIGSAW_BUSYBOX and JIGSAW_APPLETS (its names) are
// found by CMakeLists.txt.
asm(".section .rodata\n"
    ".balign 16\n"
    ".global jigsaw_busybox_begin\n"
    "jigsaw_busybox_begin:\n"
    ".incbin \"" JIGSAW_BUSYBOX "\"\n"
    ".global jigsaw_busybox_end\n"
    "jigsaw_busybox_end:\n"
    ".byte 0\n"
    ".text\n");
extern "C" const char jigsaw_busybox_begin[];
extern "C" const char jigsaw_busybox_end[];

namespace jigsaw::rootfs {
namespace {

using Kind = BaseEntry::Kind;

BaseEntry directory(std::string path, mode_t mode = 0755) { return {Kind::kDirectory, std::move(path), mode, {}}; }

BaseLayer busybox_layer() {
  BaseLayer layer{"busybox", "busybox: one static program for sh, ls, ps, mount and the others", {}};
  layer.entries = {directory("bin"), directory("sbin"), directory("usr"), directory("usr/bin"), directory("usr/sbin")};
  layer.entries.push_back({Kind::kFile, "bin/busybox", 0755,
                           {jigsaw_busybox_begin, static_cast<size_t>(jigsaw_busybox_end - jigsaw_busybox_begin)}});
  static constexpr std::string_view kNames = JIGSAW_APPLETS;
  for (const std::string_view name : text::split(kNames, ' ')) {
    if (name != "busybox") {
      layer.entries.push_back({Kind::kSymlink, fmt::format("bin/{}", name), 0777, "busybox"});
    }
  }
  layer.entries.push_back({Kind::kSymlink, "usr/bin/env", 0777, "../../bin/busybox"});
  return layer;
}

BaseLayer system_layer() {
  return {"system", "users, groups and the directories that programs expect",
          {directory("dev"), directory("etc"), directory("home"), directory("proc"), directory("root", 0700),
           directory("run"), directory("sys"), directory("tmp", 01777), directory("var"), directory("var/log"),
           directory("var/tmp", 01777),
           {Kind::kFile, "etc/passwd", 0644,
            "root:x:0:0:root:/root:/bin/sh\n"
            "daemon:x:1:1:daemon:/:/bin/false\n"
            "www-data:x:33:33:www-data:/var:/bin/false\n"
            "nobody:x:65534:65534:nobody:/:/bin/false\n"},
           {Kind::kFile, "etc/group", 0644, "root:x:0:\ndaemon:x:1:\ntty:x:5:\nwww-data:x:33:\nnogroup:x:65534:\n"},
           {Kind::kFile, "etc/hostname", 0644, "jigsaw\n"},
           {Kind::kFile, "etc/hosts", 0644, "127.0.0.1\tlocalhost\n::1\tlocalhost\n"},
           {Kind::kFile, "etc/nsswitch.conf", 0644, "passwd: files\ngroup: files\nhosts: files dns\n"}}};
}

BaseLayer jigsaw_layer() {
  return {"jigsaw", "what this system is called",
          {directory("etc"),
           {Kind::kFile, "etc/os-release", 0644,
            "ID=jigsaw\nNAME=\"jigsaw base\"\nPRETTY_NAME=\"jigsaw base " JIGSAW_VERSION "\"\nVERSION_ID=" JIGSAW_VERSION "\n"},
           {Kind::kFile, "etc/motd", 0644, "Welcome to a jigsaw container.\n"},
           {Kind::kFile, "etc/profile", 0644, "export PS1='\\u@\\h:\\w\\$ '\n"}}};
}

void write_entry(int root, const BaseEntry& entry) {
  switch (entry.kind) {
    case Kind::kDirectory:
      if (::mkdirat(root, entry.path.c_str(), entry.mode) != 0 && errno != EEXIST) {
        throw system_error(errno, fmt::format("make directory {}", entry.path));
      }
      check(::fchmodat(root, entry.path.c_str(), entry.mode, 0), "change the mode of {}", entry.path);  // past the umask
      return;
    case Kind::kSymlink: {
      const std::string target(entry.content);
      check(::symlinkat(target.c_str(), root, entry.path.c_str()), "make link {}", entry.path);
      return;
    }
    case Kind::kFile: {
      const Fd file = files::open_at(root, entry.path, O_WRONLY | O_CREAT | O_EXCL | O_NOFOLLOW, entry.mode);
      files::write_all(file.get(), entry.content, entry.path);
      check(::fchmod(file.get(), entry.mode), "change the mode of {}", entry.path);
    }
  }
}

Fd empty_directory(const std::string& path) {
  if (path.empty()) {
    throw fail("the name of the directory is empty");
  }
  files::make_directories(path);
  Fd opened = files::open(path, O_RDONLY | O_DIRECTORY);
  if (!files::list_fd(opened.get()).empty()) {
    throw fail("{} is not empty", path).with_hint("choose a new directory, or empty it first");
  }
  check(::fchmod(opened.get(), 0755), "change the mode of {}", path);  // it is to be a root directory, past the umask
  return opened;
}

}  // namespace

std::vector<BaseLayer> base_layers() { return {busybox_layer(), system_layer(), jigsaw_layer()}; }

void write_base_rootfs(const std::string& directory) {
  const Fd root = empty_directory(directory);
  for (const BaseLayer& layer : base_layers()) {
    for (const BaseEntry& entry : layer.entries) {
      write_entry(root.get(), entry);
    }
  }
}

void write_base_layers(const std::string& directory) {
  empty_directory(directory);
  size_t number = 0;
  for (const BaseLayer& layer : base_layers()) {
    const std::string place = fmt::format("{}/{}-{}", directory, ++number, layer.name);
    const Fd root = empty_directory(place);
    for (const BaseEntry& entry : layer.entries) {
      write_entry(root.get(), entry);
    }
  }
}

}  // namespace jigsaw::rootfs

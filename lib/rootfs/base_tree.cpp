#include "rootfs/base_tree.h"

#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cstdio>
#include <filesystem>
#include <functional>

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

// A new one, readable for all whatever the umask: it is to be a root directory.
Fd make_directory(const std::string& path, const std::string& shown) {
  check(::mkdir(path.c_str(), 0755), "make directory {}", shown);
  Fd opened = files::open(path, O_RDONLY | O_DIRECTORY);
  check(::fchmod(opened.get(), 0755), "change the mode of {}", shown);
  return opened;
}

void require_empty(const std::string& directory) {
  if (!files::is_directory(directory)) {
    throw fail("{} is not a directory", directory);
  }
  if (!files::list(directory).empty()) {
    throw fail("{} is not empty", directory).with_hint("choose a new directory, or empty it first");
  }
}

void move(const std::string& from, const std::string& to) {
  check(::renameat2(AT_FDCWD, from.c_str(), AT_FDCWD, to.c_str(), RENAME_NOREPLACE), "rename {} to {}", from, to);
}

// The whole of it or nothing: `write` fills a directory under a name of its own, which then becomes `directory`, or whose
// content moves into it if it is there already (it may be somebody's working directory, or a mount point). What a full
// disk or a kill leaves half made stands in the record.
void make_whole(const std::string& directory, journal::Record& record,
                const std::function<void(const std::string& fresh, int root)>& write) {
  if (directory.empty()) {
    throw fail("the name of the directory is empty");
  }
  const std::filesystem::path named = std::filesystem::absolute(directory).lexically_normal();
  const std::string place = named.has_filename() ? named.string() : named.parent_path().string();  // without a slash at its end
  const bool is_there = files::exists(place);
  if (is_there) {
    require_empty(place);
  } else {
    files::make_directories(std::filesystem::path(place).parent_path());
  }
  const std::string fresh = place + (is_there ? "/" : "") + ".tmp-" + files::random_hex(6);
  record.note("directory", fresh);
  write(fresh, make_directory(fresh, place).get());
  if (!is_there) {
    move(fresh, place);
  } else {
    for (const std::string& name : files::list(fresh)) {
      move(fresh + "/" + name, place + "/" + name);
    }
    check(::rmdir(fresh.c_str()), "remove {}", fresh);
    check(::chmod(place.c_str(), 0755), "change the mode of {}", place);
  }
  record.forget("directory", fresh);
}

void write_entries(int root, const BaseLayer& layer) {
  for (const BaseEntry& entry : layer.entries) {
    write_entry(root, entry);
  }
}

}  // namespace

std::vector<BaseLayer> base_layers() { return {busybox_layer(), system_layer(), jigsaw_layer()}; }

void write_base_rootfs(const std::string& directory, journal::Record& record) {
  make_whole(directory, record, [](const std::string&, int root) {
    for (const BaseLayer& layer : base_layers()) {
      write_entries(root, layer);
    }
  });
}

void write_base_layers(const std::string& directory, journal::Record& record) {
  make_whole(directory, record, [](const std::string& fresh, int) {
    size_t number = 0;
    for (const BaseLayer& layer : base_layers()) {
      const std::string name = fmt::format("{}-{}", ++number, layer.name);
      write_entries(make_directory(fresh + "/" + name, name).get(), layer);
    }
  });
}

}  // namespace jigsaw::rootfs

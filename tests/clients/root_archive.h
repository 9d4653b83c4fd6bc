// A root file system with busybox as a tar, for engines to import.
#pragma once

#include <gtest/gtest.h>

#include <filesystem>

#include "base/files.h"
#include "support/run.h"

namespace jigsaw::test {

inline void make_root_archive(const std::string& directory) {
  const std::string root = directory + "/rootfs";
  std::filesystem::create_directories(root + "/bin");
  std::filesystem::create_directories(root + "/etc");
  std::filesystem::create_directories(root + "/tmp");
  std::filesystem::copy_file(std::filesystem::exists("/bin/busybox") ? "/bin/busybox" : "/usr/bin/busybox", root + "/bin/busybox");
  for (const char* name : {"sh", "true", "cat", "ls", "id", "sleep", "echo", "ps", "hostname", "touch", "tty"}) {
    std::filesystem::create_symlink("busybox", root + "/bin/" + name);
  }
  files::replace(root + "/etc/passwd", "root:x:0:0::/root:/bin/sh\n", {.mode = 0644});
  ASSERT_EQ(sh("chmod 755 " + root + "; tar -C " + root + " -cf " + directory + "/root.tar .").code, 0);
}

}  // namespace jigsaw::test

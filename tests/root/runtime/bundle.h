// A bundle with busybox in its root, and jigsaw-oci with states of its own.
#pragma once

#include <gtest/gtest.h>
#include <sys/stat.h>
#include <unistd.h>

#include <filesystem>
#include <nlohmann/json.hpp>

#include "base/files.h"
#include "support/run.h"
#include "support/snapshot.h"

namespace jigsaw::runtime {

class Bundle : public testing::Test {
 protected:
  void SetUp() override {
    if (!test::is_root() || !test::have_program("busybox")) {
      GTEST_SKIP() << "needs root and busybox";
    }
    namespace fs = std::filesystem;
    fs::create_directories(root("bin"));
    fs::create_directories(root("etc"));
    const char* busybox = fs::exists("/bin/busybox") ? "/bin/busybox" : "/usr/bin/busybox";
    fs::copy_file(busybox, root("bin/busybox"));
    for (const char* name : {"sh", "true", "cat", "ls", "id", "sleep", "echo", "mount", "touch", "readlink", "tty"}) {
      fs::create_symlink("busybox", root(std::string("bin/") + name));
    }
    ASSERT_EQ(oci({"spec", "--bundle", bundle()}).code, 0);
    config = nlohmann::json::parse(files::read(bundle() + "/config.json"));
    config["process"]["terminal"] = false;
  }
  void TearDown() override {
    oci({"delete", "--force", kId});
    const test::HostSnapshot host = test::host_snapshot();
    EXPECT_EQ(host.cgroups.find(kId), std::string::npos);
    EXPECT_EQ(host.mounts.find(bundle()), std::string::npos);
    EXPECT_EQ(host.processes.find(bundle()), std::string::npos);
    EXPECT_FALSE(std::filesystem::exists(bundle() + "/states/" + kId));
  }

  std::string bundle() const { return temporary_.path(); }
  std::string root(const std::string& name) const { return temporary_.path() + "/rootfs/" + name; }
  test::Result oci(std::vector<std::string> words) const {
    words.insert(words.begin(), {test::bin("jigsaw-oci"), "--root", temporary_.path() + "/states"});
    return test::run(words, {.timeout = std::chrono::seconds(30)});
  }
  // The same for commands that leave a process behind which keeps our pipes.
  int oci_detached(const std::string& words) const {
    return test::sh(test::bin("jigsaw-oci") + " --root " + bundle() + "/states " + words + " </dev/null >/dev/null 2>&1",
                    {.timeout = std::chrono::seconds(30)}).code;
  }
  void script(const std::string& text) { config["process"]["args"] = {"sh", "-c", text}; }
  void write() const { files::replace(bundle() + "/config.json", config.dump()); }
  test::Result run() const {
    write();
    return oci({"run", "--bundle", bundle(), kId});
  }
  // A running container that does nothing.
  void start_idle() {
    config["process"]["args"] = {"sleep", "60"};
    write();
    ASSERT_EQ(oci_detached("run --detach --bundle " + bundle() + " " + kId), 0);
  }

  // Its own in every process: tests run side by side, and cgroups are named after it.
  static inline const std::string kId = "under-test-" + std::to_string(::getpid());
  nlohmann::json config;

 private:
  files::TemporaryDirectory temporary_;
};

}  // namespace jigsaw::runtime

// The words that engines and people used to runc and crun say to jigsaw-oci.
#include <fcntl.h>
#include <sys/ioctl.h>
#include <sys/socket.h>
#include <sys/syscall.h>
#include <sys/un.h>

#include <cstring>
#include <set>

#include "bundle.h"

namespace jigsaw::runtime {
namespace {

class CommandLine : public Bundle {
 protected:
  static Fd listen_at(const std::string& path) {
    Fd socket(::socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0));
    sockaddr_un where{};
    where.sun_family = AF_UNIX;
    std::memcpy(where.sun_path, path.c_str(), path.size() + 1);
    EXPECT_EQ(::bind(socket.get(), reinterpret_cast<sockaddr*>(&where), sizeof where), 0);
    EXPECT_EQ(::listen(socket.get(), 4), 0);
    return socket;
  }
  // The descriptor that somebody who connects sends.
  static Fd receive(const Fd& socket) {
    const Fd connection(::accept(socket.get(), nullptr, nullptr));
    char text[64];
    iovec data{text, sizeof text};
    alignas(cmsghdr) char control[CMSG_SPACE(sizeof(int))] = {};
    msghdr header{};
    header.msg_iov = &data;
    header.msg_iovlen = 1;
    header.msg_control = control;
    header.msg_controllen = sizeof control;
    if (::recvmsg(connection.get(), &header, MSG_CMSG_CLOEXEC) < 0 || CMSG_FIRSTHDR(&header) == nullptr) {
      return {};
    }
    int fd = -1;
    std::memcpy(&fd, CMSG_DATA(CMSG_FIRSTHDR(&header)), sizeof fd);
    return Fd(fd);
  }
};

TEST_F(CommandLine, ADescriptorOfTheFirstProcessIsSent) {
  const std::string path = bundle() + "/pidfd";
  const Fd socket = listen_at(path);
  config["process"]["args"] = {"sleep", "60"};
  write();
  ASSERT_EQ(oci_detached("create --pidfd-socket " + path + " --bundle " + bundle() + " " + kId), 0);
  const Fd process = receive(socket);
  ASSERT_TRUE(process);
  EXPECT_EQ(::syscall(SYS_pidfd_send_signal, process.get(), 9, nullptr, 0), 0);
  for (int i = 0; i < 100 && oci({"state", kId}).out.find("\"stopped\"") == std::string::npos; ++i) {
    ::usleep(20'000);
  }
  EXPECT_NE(oci({"state", kId}).out.find("\"stopped\""), std::string::npos);
  ASSERT_EQ(oci({"delete", kId}).code, 0);
  ASSERT_NO_FATAL_FAILURE(start_idle());
  EXPECT_EQ(oci_detached("exec --detach --pidfd-socket " + path + " " + kId + " sleep 60"), 0);
  EXPECT_TRUE(receive(socket));
}

TEST_F(CommandLine, ATerminalHasTheSizeThatWasAskedForAndIsSent) {
  const std::string path = bundle() + "/console";
  const Fd socket = listen_at(path);
  config["process"]["terminal"] = true;
  config["process"]["consoleSize"] = {{"height", 11}, {"width", 77}};
  config["process"]["args"] = {"sleep", "60"};
  write();
  ASSERT_EQ(oci_detached("create --console-socket " + path + " --bundle " + bundle() + " " + kId), 0);
  const Fd terminal = receive(socket);
  winsize size{};
  ASSERT_EQ(::ioctl(terminal.get(), TIOCGWINSZ, &size), 0);
  EXPECT_EQ(size.ws_row, 11);
  EXPECT_EQ(size.ws_col, 77);
}

TEST_F(CommandLine, FlagsOfOthersAreTakenOrRefusedInWords) {
  config["process"]["args"] = {"true"};
  write();
  for (const char* flag : {"--rootless=auto", "--rootless=false", "--systemd-cgroup=false", "--debug=true", "--log-level=error", "--log-format=json",
                           "--cgroup-manager=cgroupfs"}) {
    EXPECT_EQ(oci({flag, "run", "--no-new-keyring", "--no-subreaper", "--preserve-fds=0", "--bundle=" + bundle(), kId}).code, 0) << flag;
  }
  for (const char* flag : {"--l3-cache-schema=L3:0=f", "--mem-bw-schema=MB:0=20"}) {
    EXPECT_NE(oci({"update", flag, kId}).err.find("does not manage caches"), std::string::npos) << flag;
  }
  for (const char* command : {"checkpoint", "restore"}) {
    const auto result = oci({command, "--image-path", "/tmp/x", "--leave-running", kId});
    EXPECT_EQ(result.code, 125);
    EXPECT_NE(result.err.find("is not possible"), std::string::npos);
  }
  EXPECT_NE(oci({"--log-level=loud", "list"}).code, 0);
  EXPECT_EQ(oci({"spec", "--bundle", bundle(), "--file", "other.json", "--rootless"}).code, 0);
  EXPECT_EQ(nlohmann::json::parse(files::read(bundle() + "/other.json"))["ociVersion"], config["ociVersion"]);
}

// Ours is 125, as docker's and podman's, so that it can't be taken for one of the program's; they and containerd's shim look at
// it only for being 0 or not, and at the message.
TEST_F(CommandLine, AFailureOfOursIs125AndTheLastLineOfTheLogHasItsWords) {
  const std::string log = bundle() + "/log";
  config["mounts"].push_back({{"destination", "/x"}, {"type", "nosuch"}, {"source", "nosuch"}});
  config["process"]["capabilities"]["bounding"].push_back("CAP_NOSUCH");
  write();
  EXPECT_EQ(oci({"--log", log, "--log-format", "json", "run", "--bundle", bundle(), kId}).code, 125);
  const std::string text = files::read(log);
  const size_t begin = text.rfind('\n', text.size() - 2) + 1;
  const auto last = nlohmann::json::parse(text.substr(begin));
  EXPECT_EQ(last["level"], "error");
  EXPECT_NE(last["msg"].get<std::string>().find("mount nosuch on /x"), std::string::npos) << text;
  EXPECT_NE(text.find("\"level\":\"warning\""), std::string::npos) << text;
  const std::string quiet = bundle() + "/quiet";
  oci({"--log", quiet, "--log-level", "error", "run", "--bundle", bundle(), kId});
  EXPECT_EQ(files::read(quiet).find("level=warning"), std::string::npos);
  EXPECT_NE(files::read(quiet).find("level=error msg="), std::string::npos);
}

TEST_F(CommandLine, FeaturesNameWhatIsUnderstood) {
  const auto features = nlohmann::json::parse(oci({"features"}).out);
  EXPECT_EQ(features["ociVersionMax"], "1.3.0");
  EXPECT_EQ(features["linux"]["cgroup"]["systemd"], true);
  EXPECT_EQ(features["linux"]["intelRdt"]["enabled"], false);
  EXPECT_EQ(features["potentiallyUnsafeConfigAnnotations"], nlohmann::json({"org.systemd.property."}));
  const std::vector<std::string> listed = features["mountOptions"];
  const std::set<std::string> options(listed.begin(), listed.end());
  for (const char* option :  // features.md, an example of those that a runtime may know
       {"async", "atime", "bind", "defaults", "dev", "diratime", "dirsync", "exec", "iversion", "lazytime", "loud", "mand", "noatime", "nodev",
        "nodiratime", "noexec", "noiversion", "nolazytime", "nomand", "norelatime", "nostrictatime", "nosuid", "nosymfollow", "private", "ratime",
        "rbind", "rdev", "rdiratime", "relatime", "remount", "rexec", "rnoatime", "rnodev", "rnodiratime", "rnoexec", "rnorelatime",
        "rnostrictatime", "rnosuid", "rnosymfollow", "ro", "rprivate", "rrelatime", "rro", "rrw", "rshared", "rslave", "rstrictatime", "rsuid",
        "rsymfollow", "runbindable", "rw", "shared", "silent", "slave", "strictatime", "suid", "symfollow", "sync", "tmpcopyup", "unbindable",
        "idmap", "ridmap"}) {
    EXPECT_TRUE(options.contains(option)) << option;
  }
}

TEST_F(CommandLine, AnAnnotationThatAsksForTheCallersGroupsIsAnsweredAndNotFollowed) {
  if (!test::have_program("setpriv")) {
    GTEST_SKIP() << "needs setpriv";
  }
  config["annotations"] = {{"run.oci.keep_original_groups", "1"}};
  config["process"]["args"] = {"id", "-G"};
  write();
  const auto result = test::sh("setpriv --groups 4,5 " + test::bin("jigsaw-oci") + " --root " + bundle() + "/states run --bundle " + bundle() + " " + kId);
  EXPECT_EQ(result.out, "0\n");
  EXPECT_NE(result.err.find("keep_original_groups is not followed"), std::string::npos);
}

}  // namespace
}  // namespace jigsaw::runtime

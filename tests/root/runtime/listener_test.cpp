// The seccomp agent: who gets the listener, and with what.
#include <linux/seccomp.h>
#include <sys/ioctl.h>
#include <sys/socket.h>
#include <sys/un.h>

#include <cstring>
#include <thread>

#include "bundle.h"

namespace jigsaw::runtime {
namespace {

// Accepts one connection, reads the process state and answers one system call with ENOMEDIUM.
class Agent {
 public:
  explicit Agent(const std::string& path) : socket_(::socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0)) {
    sockaddr_un where{};
    where.sun_family = AF_UNIX;
    std::memcpy(where.sun_path, path.c_str(), path.size() + 1);
    EXPECT_EQ(::bind(socket_.get(), reinterpret_cast<sockaddr*>(&where), sizeof where), 0);
    EXPECT_EQ(::listen(socket_.get(), 4), 0);
  }
  void serve_one() {
    const Fd connection(::accept4(socket_.get(), nullptr, nullptr, SOCK_CLOEXEC));
    char text[8192];
    alignas(cmsghdr) char control[CMSG_SPACE(sizeof(int))];
    iovec data{text, sizeof text};
    msghdr header{};
    header.msg_iov = &data;
    header.msg_iovlen = 1;
    header.msg_control = control;
    header.msg_controllen = sizeof control;
    const ssize_t got = ::recvmsg(connection.get(), &header, MSG_CMSG_CLOEXEC);
    ASSERT_GT(got, 0);
    ASSERT_NE(CMSG_FIRSTHDR(&header), nullptr);
    int raw = -1;
    std::memcpy(&raw, CMSG_DATA(CMSG_FIRSTHDR(&header)), sizeof raw);
    const Fd listener(raw);
    state = nlohmann::json::parse(std::string(text, static_cast<size_t>(got)));
    seccomp_notif asked{};
    ASSERT_EQ(::ioctl(listener.get(), SECCOMP_IOCTL_NOTIF_RECV, &asked), 0);
    asking_pid = static_cast<int>(asked.pid);
    seccomp_notif_resp answer{};
    answer.id = asked.id;
    answer.error = -ENOMEDIUM;
    ASSERT_EQ(::ioctl(listener.get(), SECCOMP_IOCTL_NOTIF_SEND, &answer), 0);
  }
  nlohmann::json state;
  int asking_pid = 0;

 private:
  Fd socket_;
};

class ListenerTest : public Bundle {
 protected:
  void notify(const char* name) {
    config["linux"]["seccomp"] = {{"defaultAction", "SCMP_ACT_ALLOW"},
                                  {"listenerPath", bundle() + "/agent"},
                                  {"listenerMetadata", "for you"},
                                  {"syscalls", {{{"names", {name}}, {"action", "SCMP_ACT_NOTIFY"}}}}};
  }
};

TEST_F(ListenerTest, AnAgentAnswersForTheProgramAndForOneThatIsAdded) {
  notify("mkdir");
  ::symlink("busybox", root("bin/mkdir").c_str());
  script("mkdir /tmp/x 2>&1; sleep 60");
  write();
  Agent agent(bundle() + "/agent");
  ASSERT_EQ(oci_detached("create --bundle " + bundle() + " " + kId), 0);
  const int pid = nlohmann::json::parse(oci({"state", kId}).out)["pid"];
  ASSERT_EQ(oci({"start", kId}).code, 0);
  agent.serve_one();
  EXPECT_EQ(agent.state["pid"], pid);
  EXPECT_EQ(agent.state["state"]["pid"], pid);
  EXPECT_EQ(agent.state["state"]["id"], kId);
  EXPECT_EQ(agent.state["state"]["status"], "creating");
  EXPECT_EQ(agent.state["metadata"], "for you");
  EXPECT_EQ(agent.state["fds"], nlohmann::json::array({"seccompFd"}));
  std::thread serving([&] { agent.serve_one(); });
  const auto result = oci({"exec", kId, "mkdir", "/tmp/y"});
  serving.join();
  EXPECT_NE(result.err.find("No medium found"), std::string::npos) << result.err;
  EXPECT_EQ(agent.state["state"]["pid"], pid);
  EXPECT_EQ(agent.state["pid"], agent.asking_pid);
}

TEST_F(ListenerTest, WithoutAnAgentNothingStarts) {
  notify("mkdir");
  config["process"]["args"] = {"true"};
  EXPECT_NE(run().err.find("agent"), std::string::npos);
  config["linux"]["seccomp"].erase("listenerPath");
  EXPECT_NE(run().err.find("needs a listenerPath"), std::string::npos);
  notify("sendmsg");
  EXPECT_NE(run().err.find("can't be used for sendmsg"), std::string::npos);
}

}  // namespace
}  // namespace jigsaw::runtime

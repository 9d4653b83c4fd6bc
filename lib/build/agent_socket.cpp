#include "build/agent_socket.h"

#include <poll.h>
#include <signal.h>
#include <sys/prctl.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <unistd.h>

#include <algorithm>
#include <array>
#include <cstring>
#include <vector>

#include "base/error.h"
#include "base/files.h"

namespace jigsaw::build {
namespace {

constexpr size_t kConnections = 64;  // at once: who asks for more waits

sockaddr_un address_of(const std::string& path) {
  sockaddr_un address{};
  address.sun_family = AF_UNIX;
  if (path.size() >= sizeof address.sun_path) {
    throw fail("{} is too long for a socket's address ({} bytes at most)", path, sizeof address.sun_path - 1);
  }
  std::memcpy(address.sun_path, path.data(), path.size());
  return address;
}

Fd new_socket() { return Fd(check(::socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0), "make a socket")); }

Fd connect_to(const std::string& path) {
  const sockaddr_un address = address_of(path);
  Fd fd = new_socket();
  if (::connect(fd.get(), reinterpret_cast<const sockaddr*>(&address), sizeof address) != 0) {
    throw system_error(errno, fmt::format("speak to the ssh agent at {}", path)).with_hint("is it running? ssh-add -l asks it");
  }
  return fd;
}

Fd listen_at(const std::string& path, const AgentSocket::Rights& rights) {
  const sockaddr_un address = address_of(path);
  Fd fd = new_socket();
  check(::bind(fd.get(), reinterpret_cast<const sockaddr*>(&address), sizeof address), "make the socket {}", path);
  check(::chown(path.c_str(), rights.uid, rights.gid), "change the owner of {}", path);
  check(::chmod(path.c_str(), rights.mode & 0777), "change the mode of {}", path);
  check(::listen(fd.get(), 16), "listen at {}", path);
  return fd;
}

struct Connection {
  Fd ours, agent;
};

// Moves what is there from one to the other. False at its end.
bool move_bytes(int from, int to) {
  std::array<char, 16 << 10> buffer;
  const ssize_t got = ::recv(from, buffer.data(), buffer.size(), MSG_DONTWAIT);
  if (got < 0 && (errno == EAGAIN || errno == EINTR)) {
    return true;
  }
  for (ssize_t sent = 0; sent < got;) {
    const ssize_t now = ::send(to, buffer.data() + sent, static_cast<size_t>(got - sent), MSG_NOSIGNAL);
    if (now < 0) {
      return false;
    }
    sent += now;
  }
  return got > 0;
}

[[noreturn]] void hand_on(int listener, const std::string& agent) {
  std::vector<Connection> connections;
  while (true) {
    std::vector<pollfd> watched = {{connections.size() < kConnections ? listener : -1, POLLIN, 0}};
    for (const Connection& connection : connections) {
      watched.push_back({connection.ours.get(), POLLIN, 0});
      watched.push_back({connection.agent.get(), POLLIN, 0});
    }
    if (::poll(watched.data(), watched.size(), -1) <= 0) {
      continue;
    }
    for (size_t i = connections.size(); i-- > 0;) {
      Connection& each = connections[i];
      const bool lives = (watched[2 * i + 1].revents == 0 || move_bytes(each.ours.get(), each.agent.get())) &&
                         (watched[2 * i + 2].revents == 0 || move_bytes(each.agent.get(), each.ours.get()));
      if (!lives) {
        connections.erase(connections.begin() + static_cast<std::ptrdiff_t>(i));
      }
    }
    if (watched[0].revents != 0) {
      Fd client(::accept4(listener, nullptr, nullptr, SOCK_CLOEXEC));
      try {
        if (client) {
          connections.push_back({std::move(client), connect_to(agent)});
        }
      } catch (const Error&) {
        // An agent that has gone: the client sees its connection end.
      }
    }
  }
}

process::Child start(const std::string& path, const std::string& agent, const AgentSocket::Rights& rights) {
  connect_to(agent);
  const Fd listener = listen_at(path, rights);
  process::Child child =
      process::spawn({.why = "it stands between the RUN and the caller's ssh agent"}, [&](process::Gate&) -> int {
        ::prctl(PR_SET_PDEATHSIG, SIGKILL);
        for (const int number : {SIGINT, SIGTERM, SIGHUP}) {
          ::signal(number, SIG_IGN);  // it ends with the RUN
        }
        hand_on(listener.get(), agent);
      });
  child.release();
  return child;
}

}  // namespace

AgentSocket::AgentSocket(const std::string& path, const std::string& agent, const Rights& rights)
    : relay_(start(path, agent, rights)) {}

}  // namespace jigsaw::build

#include "runtime/start_socket.h"

#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <unistd.h>

#include <cstring>

#include "base/error.h"

namespace jigsaw::runtime {
namespace {

// sun_path holds 107 bytes, a state directory's path may be longer: go by the descriptor.
sockaddr_un address(const StateDirectory& directory) {
  sockaddr_un result{};
  result.sun_family = AF_UNIX;
  const std::string path = fmt::format("/proc/self/fd/{}/start", directory.fd());
  std::memcpy(result.sun_path, path.c_str(), path.size() + 1);
  return result;
}

Fd make_socket() {
  return Fd(check(::socket(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0), "make a socket"));
}

}  // namespace

Fd listen_for_start(const StateDirectory& directory) {
  Fd socket = make_socket();
  const sockaddr_un where = address(directory);
  const mode_t former = ::umask(0177);
  const int rc = ::bind(socket.get(), reinterpret_cast<const sockaddr*>(&where), sizeof where);
  ::umask(former);
  check(rc, "make the socket {}/start", directory.path());
  check(::listen(socket.get(), 1), "listen on {}/start", directory.path());
  return socket;
}

void wait_for_start(const Fd& socket, process::Gate& gate) {
  while (socket) {
    const int connection = ::accept4(socket.get(), nullptr, nullptr, SOCK_CLOEXEC);
    if (connection < 0 && (errno == EINTR || errno == ECONNABORTED)) {
      continue;
    }
    process::Channel starter{Fd(check(connection, "wait for the start"))};
    const auto message = starter.receive();
    if (message && message->kind == process::Channel::Kind::kGo) {
      gate.channel() = std::move(starter);  // errors go to the one who starts us now; the creator is gone
      return;
    }
  }
}

void say_go(const StateDirectory& directory) {
  Fd socket = make_socket();
  const sockaddr_un where = address(directory);
  if (::connect(socket.get(), reinterpret_cast<const sockaddr*>(&where), sizeof where) < 0) {
    throw system_error(errno, "reach the container's first process")
        .with_hint("it has ended, or was started already");
  }
  process::Channel channel{std::move(socket)};
  channel.send_go();
  if (const auto message = channel.receive()) {
    throw Error(message->text, message->hint, message->code).with_errno(message->error_number);
  }
}

}  // namespace jigsaw::runtime

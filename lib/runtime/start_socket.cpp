#include "runtime/start_socket.h"

#include <fcntl.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <unistd.h>

#include <cstring>

#include "base/error.h"
#include "base/files.h"

namespace jigsaw::runtime {
namespace {

// sun_path holds 107 bytes, the path of a state may be longer: go by a descriptor of its directory.
struct Address {
  explicit Address(const StateFile& file) : shown(file.beside("start")), directory(files::open(file.root(), O_PATH | O_DIRECTORY)) {
    const std::string path = fmt::format("/proc/self/fd/{}{}", directory.get(), shown.substr(shown.rfind('/')));
    name.sun_family = AF_UNIX;
    std::memcpy(name.sun_path, path.c_str(), path.size() + 1);
  }
  const sockaddr* get() const { return reinterpret_cast<const sockaddr*>(&name); }

  std::string shown;
  Fd directory;
  sockaddr_un name{};
};

Fd make_socket() {
  return Fd(check(::socket(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0), "make a socket"));
}

}  // namespace

Fd listen_for_start(const StateFile& file) {
  Fd socket = make_socket();
  const Address where(file);
  const mode_t former = ::umask(0177);
  const int rc = ::bind(socket.get(), where.get(), sizeof where.name);
  ::umask(former);
  check(rc, "make the socket {}", where.shown);
  check(::listen(socket.get(), 1), "listen on {}", where.shown);
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

void say_go(const StateFile& file) {
  Fd socket = make_socket();
  const Address where(file);
  if (::connect(socket.get(), where.get(), sizeof where.name) < 0) {
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

#include "runtime/unix_socket.h"

#include <fcntl.h>
#include <sys/socket.h>
#include <sys/time.h>
#include <sys/un.h>

#include <cstring>

#include "base/error.h"
#include "base/files.h"
#include "rootfs/safe_path.h"

namespace jigsaw::runtime {

Fd connect_unix(const std::string& path, std::string_view what) {
  Fd socket(check(::socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0), "make a socket"));
  // Somebody who neither accepts nor reads must not keep us for ever.
  constexpr timeval kPatience{.tv_sec = 5, .tv_usec = 0};
  check(::setsockopt(socket.get(), SOL_SOCKET, SO_SNDTIMEO, &kPatience, sizeof kPatience), "set the time-out of a socket");
  sockaddr_un where{};
  where.sun_family = AF_UNIX;
  // sun_path is short: a long path is reached through its descriptor.
  const Fd place = files::open(path, O_PATH);
  const std::string name = path.size() < sizeof where.sun_path ? path : rootfs::proc_path(place.get());
  std::memcpy(where.sun_path, name.c_str(), name.size() + 1);
  check(::connect(socket.get(), reinterpret_cast<const sockaddr*>(&where), sizeof where), "connect to the {} {}", what, path);
  return socket;
}

void send_descriptor(int socket, std::string_view text, int descriptor, std::string_view what) {
  iovec data{const_cast<char*>(text.data()), text.size()};
  alignas(cmsghdr) char control[CMSG_SPACE(sizeof(int))] = {};
  msghdr header{};
  header.msg_iov = &data;
  header.msg_iovlen = 1;
  header.msg_control = control;
  header.msg_controllen = sizeof control;
  cmsghdr* message = CMSG_FIRSTHDR(&header);
  message->cmsg_level = SOL_SOCKET;
  message->cmsg_type = SCM_RIGHTS;
  message->cmsg_len = CMSG_LEN(sizeof(int));
  std::memcpy(CMSG_DATA(message), &descriptor, sizeof descriptor);
  check(::sendmsg(socket, &header, MSG_NOSIGNAL), "send a descriptor to the {}", what);
}

}  // namespace jigsaw::runtime

#include "process/channel.h"

#include <sys/socket.h>
#include <unistd.h>

#include <array>
#include <cstring>

#include "base/text.h"

namespace jigsaw::process {
namespace {

constexpr size_t kMaxMessage = 8 * 1024;  // bytes; longer texts are cut
constexpr size_t kMaxDescriptors = 32;

void send_packet(int socket, const std::string& packet, const std::vector<int>& descriptors) {
  iovec data{const_cast<char*>(packet.data()), packet.size()};
  msghdr header{};
  header.msg_iov = &data;
  header.msg_iovlen = 1;
  alignas(cmsghdr) std::array<char, CMSG_SPACE(sizeof(int) * kMaxDescriptors)> control{};
  if (!descriptors.empty()) {
    header.msg_control = control.data();
    header.msg_controllen = CMSG_SPACE(sizeof(int) * descriptors.size());
    cmsghdr* message = CMSG_FIRSTHDR(&header);
    message->cmsg_level = SOL_SOCKET;
    message->cmsg_type = SCM_RIGHTS;
    message->cmsg_len = CMSG_LEN(sizeof(int) * descriptors.size());
    std::memcpy(CMSG_DATA(message), descriptors.data(), sizeof(int) * descriptors.size());
  }
  ssize_t sent = -1;
  do {
    sent = ::sendmsg(socket, &header, MSG_NOSIGNAL);
  } while (sent < 0 && errno == EINTR);
  check(sent, "tell the other side of the clone");
}

}  // namespace

std::pair<Channel, Channel> Channel::make_pair() {
  int ends[2];
  check(::socketpair(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0, ends), "make a socket pair");
  return {Channel(Fd(ends[0])), Channel(Fd(ends[1]))};
}

void Channel::send_go(const std::vector<int>& descriptors) { send_packet(socket_.get(), "G", descriptors); }

void Channel::send_reached(const std::string& stop, const std::vector<int>& descriptors) {
  send_packet(socket_.get(), "R" + stop, descriptors);
}

void Channel::send_error(const Error& error) noexcept {
  try {
    const std::string packet = fmt::format("E{}\n{}\n{}{}{}", error.code(), error.error_number(),
                                           error.message().substr(0, kMaxMessage / 2), '\0',
                                           error.hint().substr(0, kMaxMessage / 4));
    send_packet(socket_.get(), packet, {});
  } catch (...) {
    // The parent is gone: nobody is left to be told.
  }
}

std::optional<Channel::Message> Channel::receive() {
  std::string packet(kMaxMessage, '\0');
  iovec data{packet.data(), packet.size()};
  msghdr header{};
  header.msg_iov = &data;
  header.msg_iovlen = 1;
  alignas(cmsghdr) std::array<char, CMSG_SPACE(sizeof(int) * kMaxDescriptors)> control{};
  header.msg_control = control.data();
  header.msg_controllen = control.size();
  ssize_t got = -1;
  do {  // that the other side left something of ours unread (ECONNRESET) is told before its last words
    got = ::recvmsg(socket_.get(), &header, MSG_CMSG_CLOEXEC);
  } while (got < 0 && (errno == EINTR || errno == ECONNRESET));
  if (got == 0) {
    return std::nullopt;
  }
  packet.resize(static_cast<size_t>(check(got, "listen to the other side of the clone")));

  Message message{static_cast<Kind>(packet[0]), packet.substr(1), {}};
  for (cmsghdr* control_message = CMSG_FIRSTHDR(&header); control_message != nullptr;
       control_message = CMSG_NXTHDR(&header, control_message)) {
    if (control_message->cmsg_level == SOL_SOCKET && control_message->cmsg_type == SCM_RIGHTS) {
      const size_t count = (control_message->cmsg_len - CMSG_LEN(0)) / sizeof(int);
      std::vector<int> numbers(count);
      std::memcpy(numbers.data(), CMSG_DATA(control_message), count * sizeof(int));
      for (const int number : numbers) {
        message.descriptors.emplace_back(number);
      }
    }
  }
  if (message.kind == Kind::kError) {
    const size_t first = message.text.find('\n');
    const size_t second = message.text.find('\n', first + 1);
    const size_t end = message.text.find('\0', second + 1);
    message.code = static_cast<int>(text::to_u64(message.text.substr(0, first)).value_or(kExitFailure));
    message.error_number = static_cast<int>(text::to_u64(message.text.substr(first + 1, second - first - 1)).value_or(0));
    message.hint = message.text.substr(end + 1);
    message.text = message.text.substr(second + 1, end - second - 1);
  }
  return message;
}

}  // namespace jigsaw::process

// Channel: what the two sides of a clone tell each other, over a close-on-exec SOCK_SEQPACKET pair (unix(7)).
//
//        parent                                  child
//          |  clone3 ------------------------------>|
//          |  id maps, cgroup, network              |  waits at the gate
//          |  ----- kGo --------------------------->|
//          |                                        |  mounts, pivot_root, …
//          |  <---- kReached "created" -------------|  (optional stops on the way)
//          |  ----- kGo --------------------------->|
//          |  <---- kError what, hint, code --------|  if anything throws
//          |  <---- end of file --------------------|  execve() closed it: the program runs
//
// A packet is a whole message: no lengths are written by hand, and a half message cannot be read.
#pragma once

#include <optional>
#include <string>
#include <utility>
#include <vector>

#include "base/error.h"
#include "base/fd.h"

namespace jigsaw::process {

class Channel {
 public:
  enum class Kind : char { kGo = 'G', kReached = 'R', kError = 'E' };
  struct Message {
    Kind kind;
    std::string text;                // kReached: the stop's name; kError: what
    std::string hint;                // kError
    int code = kExitFailure;         // kError
    int error_number = 0;            // kError
    std::vector<Fd> descriptors;     // passed along with kGo and kReached (SCM_RIGHTS)
  };

  static std::pair<Channel, Channel> make_pair();
  Channel() = default;
  // One end of a pair that came about elsewhere: a SOCK_SEQPACKET connection.
  explicit Channel(Fd socket) : socket_(std::move(socket)) {}

  void send_go(const std::vector<int>& descriptors = {});
  void send_reached(const std::string& stop, const std::vector<int>& descriptors = {});
  void send_error(const Error& error) noexcept;
  // The next message, or nothing when the other side is gone (closed, exec'd or dead).
  std::optional<Message> receive();

  int fd() const { return socket_.get(); }
  void close() { socket_.reset(); }

 private:
  Fd socket_;
};

}  // namespace jigsaw::process

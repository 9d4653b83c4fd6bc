// What a RUN prints: handed on line by line while it runs, its last lines kept for the error message.
//
// The container writes into a pipe; a small process of ours reads it, so that the builder can wait for the container
// meanwhile. Output without end is cut off at a limit (the rest is read and dropped: the RUN must not block), lines
// without end are broken.
#pragma once

#include <string>
#include <vector>

#include "base/fd.h"
#include "build/events.h"

namespace jigsaw::build {

inline constexpr size_t kOutputLimit = 2 << 20;  // bytes that are shown of one RUN

class OutputRelay {
 public:
  // `pattern` says which step the lines belong to. `events` may be null: lines are kept only.
  OutputRelay(EventSink* events, Event pattern);

  // Makes our standard output and error the pipe's end while it lives, and the standard input /dev/null: a container
  // inherits them.
  class Redirection {
   public:
    explicit Redirection(int pipe);
    ~Redirection();
    Redirection(const Redirection&) = delete;
    Redirection& operator=(const Redirection&) = delete;

   private:
    Fd saved_[3];
  };
  Redirection redirect() { return Redirection(write_end_.get()); }

  // To be called when nobody writes any more. The last lines, the oldest first.
  std::vector<std::string> finish();

 private:
  Fd write_end_;
  Fd kept_;
};

}  // namespace jigsaw::build

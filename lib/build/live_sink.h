// The sink that draws on a terminal: a process of its own holds the screen, and all who build tell it what happens.
//
// The builder, the stages that are built beside each other and those who read what a RUN prints are different processes:
// each sends its events as one packet on the same socket (unix(7), SOCK_SEQPACKET). The drawing process ends with the last
// of them, however that ends, and takes its frame from the screen.
#pragma once

#include "base/fd.h"
#include "build/events.h"
#include "build/screen.h"
#include "process/spawn.h"

namespace jigsaw::build {

class LiveSink : public EventSink {
 public:
  // `terminal` must live as long as the sink.
  LiveSink(int terminal, Screen::Colours colours);
  ~LiveSink() override;
  LiveSink(const LiveSink&) = delete;
  LiveSink& operator=(const LiveSink&) = delete;
  void tell(const Event& event) override;
  void hand_over(Until until) override;

 private:
  Fd socket_;
  std::optional<process::Child> screen_;
};

}  // namespace jigsaw::build

// What a service manager gives to a program that it starts, handed on to the container's: sockets that it opened
// (LISTEN_FDS, sd_listen_fds(3)) and the socket for "I am ready" (NOTIFY_SOCKET, sd_notify(3)).
#pragma once

#include "runtime/container.h"
#include "runtime/spec.h"

namespace jigsaw::runtime {

// The variables as they are in our own environment; "" where one is absent.
struct Activation {
  std::string listen_fds;
  std::string listen_pid;
  std::string listen_names;
  std::string notify_socket;
};
Activation current_activation();

// Changes the spec and the surroundings so that the program gets them: descriptors from 3 on stay open, the socket is
// bound at /run/notify/notify.sock. Throws if LISTEN_FDS is no number.
void hand_on(const Activation& activation, Spec& spec, Surroundings& surroundings);

}  // namespace jigsaw::runtime

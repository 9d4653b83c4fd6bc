// spawn: a child that waits at a gate. The centre of this project.
//
// clone3(2) makes a child, in new namespaces if asked to. The child does nothing until the parent opens the gate:
// meanwhile the parent can do what only it can, write the child's id maps, put it into a cgroup, move a network
// device over. Then the child does its part (mounts, pivot_root, …) and executes the program. Each step of the course
// adds one line on one of the two sides; the dance itself never changes:
//
//     Child child = spawn({.namespaces = …}, [&](Gate&) { …; exec(program); });
//     write_id_maps(child.pid(), …);      // parent side, the child waits
//     child.release();                    // opens the gate
//     child.wait_started();               // the program runs, or the child's error is thrown here
//     ExitStatus status = child.wait();
//
// An Error thrown by the body is thrown in the parent, by wait_started() or wait_reached(). A Child that goes out of
// scope unfinished is killed and reaped, unless detach() was called.
#pragma once

#include <sys/types.h>

#include <functional>
#include <string>
#include <vector>

#include "base/fd.h"
#include "base/sys.h"
#include "process/channel.h"
#include "process/status.h"

namespace jigsaw::process {

struct SpawnOptions {
  uint64_t namespaces = 0;  // CLONE_NEW* flags
  int cgroup = -1;          // descriptor of a cgroup v2 directory to be born in
  // Runs in a process between us and the child, which is then gone: what it enters, the child is born in, and we are
  // not. So namespaces can be joined that those of `namespaces` shall belong to. The child is ours all the same.
  std::function<void()> by_way_of;
  sys::Why why = "a child that waits at the gate until the parent has prepared its surroundings";
};

// The child's view of the gate, given to the body.
class Gate {
 public:
  explicit Gate(Channel& channel) : channel_(channel) {}
  // Tells the parent that a stop is reached, with descriptors to keep if any, and waits for its release().
  // If the parent is gone the child ends here.
  void reach(const std::string& stop, const std::vector<int>& descriptors = {});
  // Waits for a further release() without telling anything; returns the descriptors that came with it.
  std::vector<Fd> wait();
  // Tells the parent without waiting.
  void tell(const std::string& stop, const std::vector<int>& descriptors = {});
  // For a child that makes a further child which speaks to the parent in its place.
  Channel& channel() { return channel_; }
  // The body goes on in a further process, born in the namespaces that setns(2) has set for children; this one ends. It is
  // the parent's child as well, and waits for its release(). The parent calls Child::wait_succeeded(). Returns the new
  // process's pid as it was in the old one's pid namespace.
  pid_t go_on_in_successor(sys::Why why);

 private:
  Channel& channel_;
};

// Runs in the child once the gate is open. Its return value is the child's exit code.
using Body = std::function<int(Gate&)>;

class Child {
 public:
  Child(pid_t pid, Fd pidfd, Channel channel)
      : pid_(pid), pidfd_(std::move(pidfd)), channel_(std::move(channel)) {}
  Child(Child&& other) noexcept;
  Child& operator=(Child&&) = delete;
  ~Child();

  pid_t pid() const { return pid_; }
  int pidfd() const { return pidfd_.get(); }

  // Opens the gate, or lets the child go on from a stop.
  void release(const std::vector<int>& descriptors = {});
  // Waits until the child reaches `stop`; returns the descriptors it passed. Throws the child's error, or one of ours
  // if it dies on the way.
  std::vector<Fd> wait_reached(const std::string& stop);
  // Waits until the child goes on in a successor, which then is the child.
  void wait_succeeded();
  // Waits until the program is executed (the channel closes). Throws the child's error.
  void wait_started();
  // Waits for the end of the child and reaps it.
  ExitStatus wait();
  // Lets it live on without us; what it throws later is lost.
  void detach();

 private:
  [[noreturn]] void fail_with(Channel::Message message);
  pid_t pid_;
  Fd pidfd_;
  Channel channel_;
  bool finished_ = false;
};

Child spawn(const SpawnOptions& options, const Body& body);

}  // namespace jigsaw::process

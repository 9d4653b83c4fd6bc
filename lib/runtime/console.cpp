#include "runtime/console.h"

#include <fcntl.h>
#include <linux/magic.h>
#include <sys/ioctl.h>
#include <sys/stat.h>
#include <sys/sysmacros.h>
#include <sys/vfs.h>
#include <termios.h>
#include <unistd.h>

#include "base/error.h"
#include "base/explain.h"
#include "base/files.h"
#include "base/sys.h"
#include "rootfs/safe_path.h"
#include "runtime/unix_socket.h"

#ifndef TIOCGPTPEER
#define TIOCGPTPEER _IO('T', 0x41)
#endif

namespace jigsaw::runtime {
namespace {

bool is_multiplexer(int fd) {
  struct stat status {};
  return ::fstat(fd, &status) == 0 && S_ISCHR(status.st_mode) && status.st_rdev == makedev(5, 2);
}

bool is_of_devpts(int fd) {
  struct statfs system {};
  return ::fstatfs(fd, &system) == 0 && system.f_type == DEVPTS_SUPER_MAGIC;
}

// The container's own /dev/pts/ptmx, if that is what it says it is; else the one of whoever's mounts we see. With exec these
// are the container's as well: whatever else it may have put there is not opened.
Fd open_master(int root) {
  constexpr const char* kWhy = "a new pseudo-terminal from the container's own devpts";
  if (auto place = rootfs::find_in_root(root, "/dev/pts/ptmx", O_PATH | O_NOFOLLOW, kWhy, rootfs::Links::kRefuse);
      place && is_multiplexer(place->get()) && is_of_devpts(place->get())) {
    return rootfs::open_in_root(root, "/dev/pts/ptmx", O_RDWR | O_NOCTTY, kWhy, rootfs::Links::kRefuse);
  }
  if (!is_multiplexer(files::open("/dev/ptmx", O_PATH).get())) {
    throw Error("/dev/ptmx is not the device that makes terminals", "mount a devpts on /dev/pts");
  }
  return files::open("/dev/ptmx", O_RDWR | O_NOCTTY);
}

Fd open_slave(int master) {
  const int unlock = 0;
  check(::ioctl(master, TIOCSPTLCK, &unlock), "unlock the terminal");
  const int slave = ::ioctl(master, TIOCGPTPEER, O_RDWR | O_NOCTTY | O_CLOEXEC);
  explain::tell(slave, "the other end, by its descriptor: a path in the container may have been swapped", [&] {
    return explain::Call{"ioctl", fmt::format("{}, TIOCGPTPEER, O_RDWR|O_NOCTTY|O_CLOEXEC", master), ""};
  });
  return Fd(check(slave, "open the terminal"));
}

Console make_pair(int root, const Process& process) {
  Fd master = open_master(root);
  Fd slave = open_slave(master.get());
  if (process.console_size) {
    const winsize size{process.console_size->height, process.console_size->width, 0, 0};
    check(::ioctl(master.get(), TIOCSWINSZ, &size), "set the size of the terminal");
  }
  if (process.uid != 0) {
    sys::fchown(slave.get(), process.uid, static_cast<gid_t>(-1), "the terminal", "its user must be able to open it again");
  }
  return {std::move(master), std::move(slave)};
}

}  // namespace

void Console::become_controlling_terminal() {
  if (!slave_) {
    return;
  }
  const int rc = ::ioctl(slave_.get(), TIOCSCTTY, 0);
  explain::tell(rc, "Ctrl-C and hang-ups of this terminal concern the container, and no other does", [&] {
    return explain::Call{"ioctl", fmt::format("{}, TIOCSCTTY, 0", slave_.get()), ""};
  });
  check(rc, "make it the controlling terminal");
}

void Console::become_standard_streams() {
  if (!slave_) {
    return;
  }
  for (const int number : {STDIN_FILENO, STDOUT_FILENO, STDERR_FILENO}) {
    check(::dup2(slave_.get(), number), "use the terminal as descriptor {}", number);
  }
}

std::vector<int> Console::master_if_any() const {
  return master_ ? std::vector<int>{master_.get()} : std::vector<int>{};
}

Console open_console(int root, const Process* process, ShowConsole show) {
  if (process == nullptr || !process->terminal) {
    return {};
  }
  Console console = make_pair(root, *process);
  if (show == ShowConsole::kNo) {
    return console;
  }
  constexpr const char* kWhy = "the terminal is also known as /dev/console";
  const Fd place = rootfs::make_file_in_root(root, "/dev/console", 0600, kWhy);
  const Fd shown = sys::clone_mount(console.slave(), "", sys::Depth::kThisMount, kWhy);
  sys::move_mount(shown.get(), place.get(), "/dev/console", kWhy);
  return console;
}

Console open_console_inside(const Process& process) {
  if (!process.terminal) {
    return {};
  }
  const Fd root = files::open("/", O_PATH | O_DIRECTORY);
  return make_pair(root.get(), process);
}

void send_console(const std::string& path, int master) {
  send_descriptor(connect_unix(path, "console socket").get(), "/dev/ptmx", master, "console socket");
}

}  // namespace jigsaw::runtime

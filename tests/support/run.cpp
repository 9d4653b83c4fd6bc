#include "support/run.h"

#include <fcntl.h>
#include <grp.h>
#include <poll.h>
#include <signal.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cstdlib>

#include "base/error.h"
#include "base/fd.h"

namespace jigsaw::test {
namespace {

[[noreturn]] void become(const std::vector<std::string>& argv, const RunOptions& options, int in, int out, int err) {
  ::setpgid(0, 0);
  ::dup2(in, 0);
  ::dup2(out, 1);
  ::dup2(err, 2);
  if (!options.directory.empty() && ::chdir(options.directory.c_str()) != 0) {
    ::_exit(125);
  }
  for (const auto& [name, value] : options.environment) {
    ::setenv(name.c_str(), value.c_str(), 1);
  }
  if (options.uid != 0 && (::setgroups(0, nullptr) != 0 || ::setgid(options.uid) != 0 || ::setuid(options.uid) != 0)) {
    ::_exit(125);
  }
  ::signal(SIGPIPE, SIG_DFL);
  std::vector<char*> words;
  for (const std::string& word : argv) {
    words.push_back(const_cast<char*>(word.c_str()));
  }
  words.push_back(nullptr);
  ::execvp(words[0], words.data());
  ::_exit(127);
}

// Feeds the input and collects both outputs until they close or the deadline passes.
bool converse(Fd input, Fd output, Fd error, const RunOptions& options, Result& result) {
  const auto deadline = std::chrono::steady_clock::now() + options.timeout;
  size_t sent = 0;
  while (output || error) {
    pollfd watched[3] = {{input.get(), POLLOUT, 0}, {output.get(), POLLIN, 0}, {error.get(), POLLIN, 0}};
    const auto left = std::chrono::duration_cast<std::chrono::milliseconds>(deadline - std::chrono::steady_clock::now());
    if (left.count() <= 0) {
      return false;
    }
    if (::poll(watched, 3, static_cast<int>(left.count())) <= 0) {
      continue;
    }
    if (watched[0].revents != 0) {
      const ssize_t written = ::write(input.get(), options.input.data() + sent, options.input.size() - sent);
      sent += written > 0 ? static_cast<size_t>(written) : 0;
      if (written < 0 || sent == options.input.size()) {
        input.reset();
      }
    }
    for (auto& [index, fd, text] : {std::tuple<int, Fd*, std::string*>{1, &output, &result.out}, {2, &error, &result.err}}) {
      if (watched[index].revents != 0) {
        char buffer[65536];
        const ssize_t got = ::read(fd->get(), buffer, sizeof buffer);
        if (got > 0) {
          text->append(buffer, static_cast<size_t>(got));
        } else {
          fd->reset();
        }
      }
    }
  }
  return true;
}

}  // namespace

Result run(const std::vector<std::string>& argv, const RunOptions& options) {
  ::signal(SIGPIPE, SIG_IGN);
  Pipe in = make_pipe();
  Pipe out = make_pipe();
  Pipe err = make_pipe();
  const pid_t pid = check(::fork(), "fork");
  if (pid == 0) {
    become(argv, options, in.read_end.get(), out.write_end.get(), err.write_end.get());
  }
  in.read_end.reset();
  out.write_end.reset();
  err.write_end.reset();
  if (options.input.empty()) {
    in.write_end.reset();
  }
  if (options.while_running) {
    options.while_running(pid);
  }
  Result result;
  const bool finished = converse(std::move(in.write_end), std::move(out.read_end), std::move(err.read_end), options, result);
  if (!finished) {
    ::kill(-pid, SIGKILL);
    ::kill(pid, SIGKILL);
  }
  int status = 0;
  ::waitpid(pid, &status, 0);
  result.code = !finished ? -1 : WIFSIGNALED(status) ? 128 + WTERMSIG(status) : WEXITSTATUS(status);
  return result;
}

Result sh(const std::string& script, const RunOptions& options) { return run({"sh", "-c", script}, options); }

std::string bin(const std::string& name) { return std::string(JIGSAW_BIN_DIR) + "/" + name; }

bool have_program(const std::string& name) { return run({"sh", "-c", "command -v " + name}).code == 0; }

bool is_root() { return ::geteuid() == 0; }

}  // namespace jigsaw::test

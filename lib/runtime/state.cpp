#include "runtime/state.h"

#include <fcntl.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <unistd.h>

#include <algorithm>
#include <nlohmann/json.hpp>

#include "base/error.h"
#include "base/json.h"
#include "base/sys.h"
#include "base/text.h"
#include "runtime/trusted.h"

namespace jigsaw::runtime {
namespace {

json::Value hooks_json(const std::vector<Hook>& hooks) {
  json::Value list = json::Value::array();
  for (const Hook& hook : hooks) {
    json::Value each{{"path", hook.path}, {"args", hook.args}};
    if (hook.env) {
      each["env"] = *hook.env;
    }
    if (hook.timeout) {
      each["timeout"] = hook.timeout->count();
    }
    list.push_back(std::move(each));
  }
  return list;
}

std::vector<Hook> hooks_from(const json::View& view, std::string_view key) {
  std::vector<Hook> result;
  if (const auto list = view.find(key)) {
    list->each([&](const json::View& each) {
      Hook hook{each.at("path").string(), each.strings_or_none("args"), std::nullopt, std::nullopt};
      if (const auto env = each.find("env")) {
        hook.env = env->strings();
      }
      if (const auto timeout = each.find("timeout")) {
        hook.timeout = std::chrono::seconds(timeout->integer());
      }
      result.push_back(std::move(hook));
    });
  }
  return result;
}

// The beginning of the file, of the same length for every state.
std::string progress(const State& state) {
  return fmt::format("{{\"pid\":{:>10},\"pidStart\":{:>20},\"complete\":{:>5},\"started\":{:>5},", state.pid, state.pid_start,
                     state.created, state.started);
}

// The file, or nothing if its creator died before it was written. Its progress may be changed while it is read: what was
// read twice alike was whole.
std::optional<std::string> read_unchanging(int file, const std::string& shown) {
  const auto read = [&](size_t size) {
    std::string text(size, '\0');
    text.resize(static_cast<size_t>(check(::pread(file, text.data(), text.size(), 0), "read {}", shown)));
    return text;
  };
  struct stat status {};
  check(::fstat(file, &status), "stat {}", shown);
  std::string text = read(static_cast<size_t>(status.st_size) + 1);
  while (!text.empty()) {
    std::string again = read(text.size() + 1);
    if (again == text) {
      return text;
    }
    text = std::move(again);
  }
  return std::nullopt;
}

void write_at_start(int file, const std::string& text, const std::string& shown) {
  for (size_t done = 0; done < text.size();) {
    done += static_cast<size_t>(check(::pwrite(file, text.data() + done, text.size() - done, static_cast<off_t>(done)), "write {}", shown));
  }
}

}  // namespace

void check_id(std::string_view id) {
  const bool known = std::all_of(id.begin(), id.end(), [](char c) {
    return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9') || c == '_' || c == '+' || c == '-' || c == '.';
  });
  if (id.empty() || id.size() > 255 || !known || id.front() == '.') {
    throw Error(fmt::format("container ID {} is malformed: {}", text::quoted(id),
                            id.empty() ? "it is empty" : known && id.front() != '.' ? "it is too long" : "an invalid character"),
                "an id is 1 to 255 letters, digits, '_', '+', '-' and '.', and does not begin with '.'");
  }
}

StateFile StateFile::make(const std::string& state_root, const std::string& id) {
  check_id(id);
  files::make_directories(state_root, 0700);
  check_state_root(state_root);
  const std::string path = fmt::format("{}/{}", state_root, id);
  Fd fd(::open(path.c_str(), O_RDWR | O_CREAT | O_EXCL | O_NOFOLLOW | O_CLOEXEC, 0600));
  if (!fd) {
    throw errno == EEXIST ? fail("container id {} is in use", id) : system_error(errno, fmt::format("make {}", path));
  }
  return StateFile(state_root, id, std::move(fd));
}

StateFile StateFile::open(const std::string& state_root, const std::string& id) {
  auto found = find(state_root, id);
  if (!found) {
    throw fail("container {} does not exist", id);
  }
  return std::move(*found);
}

std::optional<StateFile> StateFile::find(const std::string& state_root, const std::string& id) {
  check_id(id);
  const std::string path = fmt::format("{}/{}", state_root, id);
  check_state_root(state_root);
  Fd fd(::open(path.c_str(), O_RDWR | O_NOFOLLOW | O_NONBLOCK | O_CLOEXEC));
  if (!fd && errno == ENOENT) {
    return std::nullopt;
  }
  if (!fd && errno == EACCES) {
    check_state_file(files::open(path, O_PATH | O_NOFOLLOW).get(), path);  // says whose it is
  }
  check(fd ? 0 : -1, "open {}", path);
  check_state_file(fd.get(), path);
  return StateFile(state_root, id, std::move(fd));
}

std::string StateFile::path() const { return fmt::format("{}/{}", root_, id_); }

struct stat StateFile::status() const {
  struct stat status {};
  check(::fstat(fd_.get(), &status), "stat {}", path());
  return status;
}

std::string StateFile::beside(std::string_view what) const { return fmt::format("{}/.{}-{:x}", root_, what, status().st_ino); }

// Whether it is still the container's: while we waited for the lock another process may have removed it.
bool StateFile::exists() const { return status().st_nlink > 0; }

void StateFile::lock() {
  if (!lock_if_exists()) {
    throw fail("container {} does not exist", id_);
  }
}

bool StateFile::lock_if_exists() {
  check(::flock(fd_.get(), LOCK_EX), "lock {}", path());
  return exists();
}

bool StateFile::try_lock() {
  const int rc = ::flock(fd_.get(), LOCK_EX | LOCK_NB);
  return (rc == 0 || (errno != EWOULDBLOCK && check(rc, "lock {}", path()) == 0)) && exists();
}

void StateFile::unlock() { ::flock(fd_.get(), LOCK_UN); }

std::optional<State> StateFile::try_load() const {
  const std::string shown = path();
  auto text = read_unchanging(fd_.get(), shown);
  if (!text) {
    return std::nullopt;
  }
  const json::Document document(std::move(*text), shown);
  const json::View view = document.root();
  State state;
  state.id = view.at("id").string();
  state.version = view.at("ociVersion").string();
  state.bundle = view.at("bundle").string();
  state.rootfs = view.string_or("rootfs", "");
  state.pid = static_cast<pid_t>(view.at("pid").integer());
  state.pid_start = view.at("pidStart").unsigned_integer();
  state.created = view.at("complete").boolean();
  state.started = view.at("started").boolean();
  state.cgroup = view.string_or("cgroup", "");
  state.systemd = view.boolean_or("systemd", false);
  state.when = text::parse_rfc3339(view.at("when").string()).value_or(std::chrono::system_clock::time_point{});
  state.owner = view.string_or("owner", "");
  if (const auto annotations = view.find("annotations")) {
    state.annotations = annotations->string_map();
  }
  state.poststart = hooks_from(view, "poststart");
  state.poststop = hooks_from(view, "poststop");
  state.namespaces = view.at("namespaces").unsigned_integer();
  state.filtered = view.boolean_or("filtered", false);
  if (const auto listener = view.find("listener")) {
    state.listener_path = listener->at("path").string();
    state.listener_metadata = listener->at("metadata").string();
  }
  return state;
}

State StateFile::load() const {
  auto state = try_load();
  if (!state) {
    throw fail("container {} was never completed", id_);
  }
  return std::move(*state);
}

void StateFile::save(const State& state) const {
  json::Value value{{"id", state.id},
                    {"ociVersion", state.version},
                    {"bundle", state.bundle},
                    {"rootfs", state.rootfs},
                    {"cgroup", state.cgroup},
                    {"systemd", state.systemd},
                    {"when", text::rfc3339(state.when)},
                    {"owner", state.owner},
                    {"namespaces", state.namespaces}};
  if (!state.annotations.empty()) {
    value["annotations"] = state.annotations;
  }
  if (!state.poststart.empty()) {
    value["poststart"] = hooks_json(state.poststart);
  }
  if (!state.poststop.empty()) {
    value["poststop"] = hooks_json(state.poststop);
  }
  if (state.filtered) {
    value["filtered"] = true;
  }
  if (!state.listener_path.empty()) {
    value["listener"] = {{"path", state.listener_path}, {"metadata", state.listener_metadata}};
  }
  std::string text = progress(state) + json::dump(value).substr(1);
  text.resize(std::max(text.size(), static_cast<size_t>(status().st_size)), ' ');
  write_at_start(fd_.get(), text, path());
}

void StateFile::save_progress(const State& state) const { write_at_start(fd_.get(), progress(state), path()); }

void StateFile::remove() {
  for (const char* what : {"start", "filter"}) {
    ::unlink(beside(what).c_str());
  }
  if (::unlink(path().c_str()) != 0 && errno != ENOENT) {
    throw system_error(errno, fmt::format("remove {}", path()));
  }
}

std::string default_state_root() {
  const char* runtime = ::getenv("XDG_RUNTIME_DIR");
  if (::geteuid() == 0) {
    return "/run/jigsaw-oci";
  }
  return runtime != nullptr && *runtime == '/' ? fmt::format("{}/jigsaw-oci", runtime)
                                               : fmt::format("/tmp/jigsaw-oci-{}", ::geteuid());
}

std::vector<std::string> list_ids(const std::string& state_root) {
  std::vector<std::string> ids;
  if (!files::is_directory(state_root)) {
    return ids;
  }
  check_state_root(state_root);
  for (const std::string& name : files::list(state_root)) {
    if (!name.starts_with('.')) {
      ids.push_back(name);
    }
  }
  return ids;
}

}  // namespace jigsaw::runtime

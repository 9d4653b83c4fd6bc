#include "cgroups/stats.h"

#include <fmt/format.h>

#include <algorithm>

#include "base/files.h"
#include "base/log.h"
#include "base/text.h"

namespace jigsaw::cgroups {
namespace {

// The files of one cgroup directory, each absent or unreadable one counting as nothing.
struct Reader {
  const Place& place;

  bool v1() const { return place.hierarchy.version == Version::kV1; }
  std::string text(const std::string& file) const {
    return files::read_if_exists(fmt::format("{}/{}", place.directory, file)).value_or("");
  }
  std::optional<uint64_t> number(const std::string& file) const { return text::to_u64(text::trim(text(file))); }
  // v1 says "no limit" with the largest number of pages, v2 with "max".
  std::optional<uint64_t> limit(const std::string& file) const {
    const auto value = number(file);
    return value && *value < uint64_t{1} << 62U ? value : std::nullopt;
  }
  // The number after `key` in lines "key number".
  static uint64_t field(std::string_view table, std::string_view key) {
    for (const std::string_view line : text::lines(table)) {
      const auto words = text::words(line);
      if (words.size() >= 2 && words[0] == key) {
        return text::to_u64(words[1]).value_or(0);
      }
    }
    return 0;
  }
};

MemoryStats read_memory(const Reader& reader) {
  MemoryStats stats;
  const std::string table = reader.text("memory.stat");
  if (reader.v1()) {
    stats.usage = reader.number("memory.usage_in_bytes").value_or(0);
    stats.peak = reader.number("memory.max_usage_in_bytes");
    stats.limit = reader.limit("memory.limit_in_bytes");
    stats.failures = reader.number("memory.failcnt").value_or(0);
    stats.oom_kills = Reader::field(reader.text("memory.oom_control"), "oom_kill");
    stats.cache = Reader::field(table, "total_cache");
    stats.anonymous = Reader::field(table, "total_rss");
    if (const auto both = reader.number("memory.memsw.usage_in_bytes")) {
      stats.swap = *both > stats.usage ? *both - stats.usage : 0;
      const auto most = reader.limit("memory.memsw.limit_in_bytes");
      stats.swap_limit = most && stats.limit && *most >= *stats.limit ? std::optional(*most - *stats.limit) : std::nullopt;
    }
    return stats;
  }
  const std::string events = reader.text("memory.events");
  stats.usage = reader.number("memory.current").value_or(0);
  stats.peak = reader.number("memory.peak");
  stats.limit = reader.limit("memory.max");
  stats.swap = reader.number("memory.swap.current");
  stats.swap_limit = reader.limit("memory.swap.max");
  stats.failures = Reader::field(events, "max");
  stats.oom_kills = Reader::field(events, "oom_kill");
  stats.cache = Reader::field(table, "file");
  stats.anonymous = Reader::field(table, "anon");
  return stats;
}

CpuStats read_cpu(const Cgroup& cgroup) {
  CpuStats stats;
  if (const Place* place = cgroup.find("cpuacct")) {
    const Reader reader{*place};
    stats.usage_ns = reader.number("cpuacct.usage").value_or(0);
    stats.user_ns = reader.number("cpuacct.usage_user").value_or(0);
    stats.system_ns = reader.number("cpuacct.usage_sys").value_or(0);
  }
  const Place* place = cgroup.find("cpu");
  place = place != nullptr ? place : cgroup.find("unified");
  if (place == nullptr) {
    return stats;
  }
  const Reader reader{*place};
  const std::string table = reader.text("cpu.stat");
  stats.periods = Reader::field(table, "nr_periods");
  stats.throttled_periods = Reader::field(table, "nr_throttled");
  if (reader.v1()) {
    stats.throttled_ns = Reader::field(table, "throttled_time");
  } else {
    stats.usage_ns = Reader::field(table, "usage_usec") * 1000;
    stats.user_ns = Reader::field(table, "user_usec") * 1000;
    stats.system_ns = Reader::field(table, "system_usec") * 1000;
    stats.throttled_ns = Reader::field(table, "throttled_usec") * 1000;
  }
  return stats;
}

IoStats& device(std::vector<IoStats>& all, std::string_view name) {
  const auto at = std::find_if(all.begin(), all.end(), [&](const IoStats& one) { return one.device == name; });
  if (at != all.end()) {
    return *at;
  }
  all.push_back(IoStats{std::string(name)});
  return all.back();
}

// v1: "8:0 Read 4096"; v2: "8:0 rbytes=4096 wbytes=0 rios=1 wios=0 …".
std::vector<IoStats> read_io(const Reader& reader) {
  std::vector<IoStats> result;
  if (!reader.v1()) {
    const std::string table = reader.text("io.stat");
    for (const std::string_view line : text::lines(table)) {
      const auto words = text::words(line);
      for (size_t at = 1; at < words.size(); ++at) {
        const size_t equals = words[at].find('=');
        const std::string_view key = words[at].substr(0, equals);
        const uint64_t value = equals == std::string_view::npos ? 0 : text::to_u64(words[at].substr(equals + 1)).value_or(0);
        IoStats& one = device(result, words[0]);
        (key == "rbytes" ? one.read_bytes : key == "wbytes" ? one.write_bytes : key == "rios" ? one.reads : one.writes) +=
            key == "rbytes" || key == "wbytes" || key == "rios" || key == "wios" ? value : 0;
      }
    }
    return result;
  }
  for (const auto& [file, bytes] : {std::pair{"blkio.throttle.io_service_bytes_recursive", true},
                                    std::pair{"blkio.throttle.io_serviced_recursive", false}}) {
    const std::string table = reader.text(file);
    for (const std::string_view line : text::lines(table)) {
      const auto words = text::words(line);
      if (words.size() == 3 && (words[1] == "Read" || words[1] == "Write")) {
        IoStats& one = device(result, words[0]);
        const bool read = words[1] == "Read";
        (bytes ? (read ? one.read_bytes : one.write_bytes) : (read ? one.reads : one.writes)) = text::to_u64(words[2]).value_or(0);
      }
    }
  }
  return result;
}

std::vector<HugepageStats> read_hugepages(const Reader& reader) {
  std::vector<HugepageStats> result;
  const std::string suffix = reader.v1() ? ".usage_in_bytes" : ".current";
  for (const std::string& name : files::list(reader.place.directory)) {
    if (!name.starts_with("hugetlb.") || !name.ends_with(suffix) || name.find(".rsvd") != std::string::npos) {
      continue;
    }
    const std::string size = name.substr(8, name.size() - 8 - suffix.size());
    HugepageStats one{size, reader.number(name).value_or(0)};
    one.peak = reader.number(fmt::format("hugetlb.{}.max_usage_in_bytes", size)).value_or(one.usage);
    one.failures = reader.v1() ? reader.number(fmt::format("hugetlb.{}.failcnt", size)).value_or(0)
                               : Reader::field(reader.text(fmt::format("hugetlb.{}.events", size)), "max");
    result.push_back(one);
  }
  return result;
}

std::string binary_size(uint64_t bytes) {
  static constexpr const char* kUnits[] = {"KiB", "MiB", "GiB", "TiB"};
  if (bytes < 1024) {
    return fmt::format("{}B", bytes);
  }
  double value = static_cast<double>(bytes);
  size_t unit = 0;
  for (value /= 1024; value >= 1024 && unit + 1 < std::size(kUnits); value /= 1024) {
    ++unit;
  }
  return fmt::format("{:.4g}{}", value, kUnits[unit]);
}

}  // namespace

Stats read_stats(const Cgroup& cgroup) {
  Stats stats;
  if (const Place* place = cgroup.find("memory")) {
    stats.memory = read_memory(Reader{*place});
  }
  if (cgroup.exists()) {
    stats.cpu = read_cpu(cgroup);
  }
  if (const Place* place = cgroup.find("pids")) {
    const Reader reader{*place};
    stats.pids = PidsStats{reader.number("pids.current").value_or(0), reader.limit("pids.max"),
                           Reader::field(reader.text("pids.events"), "max")};
  }
  if (const Place* place = cgroup.find("io")) {
    stats.io = read_io(Reader{*place});
  }
  if (const Place* place = cgroup.find("hugetlb")) {
    stats.hugepages = read_hugepages(Reader{*place});
  }
  return stats;
}

StatsTexts describe(const Stats& stats) {
  StatsTexts texts{"-", "-", "-", "-"};
  const auto of = [](const std::string& used, const std::optional<uint64_t>& limit, bool bytes) {
    return limit ? fmt::format("{} / {}", used, bytes ? binary_size(*limit) : fmt::format("{}", *limit)) : used;
  };
  if (stats.memory) {
    texts.memory = of(binary_size(stats.memory->usage), stats.memory->limit, true);
  }
  if (stats.cpu) {
    texts.cpu = fmt::format("{:.2f}s", static_cast<double>(stats.cpu->usage_ns) / 1e9);
    if (stats.cpu->periods > 0) {
      texts.cpu += fmt::format(" ({} of {} periods cut short)", stats.cpu->throttled_periods, stats.cpu->periods);
    }
  }
  if (stats.pids) {
    texts.pids = of(fmt::format("{}", stats.pids->current), stats.pids->limit, false);
  }
  uint64_t read = 0;
  uint64_t written = 0;
  for (const IoStats& one : stats.io) {
    read += one.read_bytes;
    written += one.write_bytes;
  }
  texts.io = fmt::format("{} read, {} written", binary_size(read), binary_size(written));
  return texts;
}

uint64_t oom_kills(const Cgroup& cgroup) {
  const Place* place = cgroup.find("memory");
  if (place == nullptr) {
    return 0;
  }
  const Reader reader{*place};
  return Reader::field(reader.text(reader.v1() ? "memory.oom_control" : "memory.events"), "oom_kill");
}

std::optional<std::string> oom_notice(const Cgroup& cgroup) {
  if (oom_kills(cgroup) == 0) {
    return std::nullopt;
  }
  const Reader reader{*cgroup.find("memory")};
  const auto limit = reader.limit(reader.v1() ? "memory.limit_in_bytes" : "memory.max");
  return limit ? fmt::format("killed by the kernel: out of memory (limit {})", binary_size(*limit))
               : "killed by the kernel: out of memory";
}

void warn_of_oom(const std::optional<Cgroup>& cgroup) {
  if (const auto notice = cgroup ? oom_notice(*cgroup) : std::nullopt) {
    log::warning("{}", *notice);
  }
}

}  // namespace jigsaw::cgroups

// Settings that are strange but legal, or look as if they were: limits that leave nothing, maps that map nothing, words that
// paint on the caller's terminal, and files of others where ours are looked for.
#include "bundle.h"

namespace jigsaw::runtime {
namespace {

class Settings : public Bundle {
 protected:
  test::Result run_in(const std::string& states) const {
    return test::sh(test::bin("jigsaw-oci") + " --root " + states + " run --bundle " + bundle() + " " + kId);
  }
  void refuse(const std::vector<std::string>& calls) {
    config["linux"]["seccomp"] = {{"defaultAction", "SCMP_ACT_ALLOW"},
                                  {"syscalls", {{{"names", calls}, {"action", "SCMP_ACT_ERRNO"}, {"errnoRet", 1}}}}};
    write();
  }
};

TEST_F(Settings, FiltersThatAnotherUserHasPutIntoTheCacheAreNotTaken) {
  const std::string states = bundle() + "/open";  // as /tmp is
  const std::string cache = states + "/.seccomp";
  script("echo x > /tmp/x && echo unfiltered");
  config["root"]["readonly"] = false;
  std::filesystem::create_directory(root("tmp"));
  const auto compiled = [&](const std::vector<std::string>& calls) {
    refuse(calls);
    run_in(states);
    const std::string name = files::list(cache).at(0);
    std::string text = files::read(cache + "/" + name);
    std::filesystem::remove_all(states);
    return std::pair{name, std::move(text)};
  };
  const auto harmless = compiled({"acct"}).second;
  const auto [name, wanted] = compiled({"open", "openat"});
  const auto rules = [](const std::string& text) {  // "FLAGS NOTIFIES LENGTH\n", rules of that length, instructions
    const size_t line = text.find('\n') + 1;
    return line + std::stoul(text.substr(text.rfind(' ', line) + 1));
  };
  for (const char* owner : {"1234", "0"}) {
    std::filesystem::remove_all(states);
    files::make_directories(cache, 0700);
    files::replace(cache + "/" + name, wanted.substr(0, rules(wanted)) + harmless.substr(rules(harmless)), {.mode = 0666});
    test::sh(std::string("chown -R ") + owner + " " + cache + "; chmod 1777 " + states + " " + cache);
    const auto result = run_in(states);
    EXPECT_EQ(result.out, "") << owner;
    EXPECT_NE(result.code, 0) << owner;
  }
}

TEST_F(Settings, AMountIsNotShownUnshiftedWhereAMapWasAskedFor) {
  config["process"]["args"] = {"true"};
  for (const char* word : {"idmap", "ridmap"}) {
    config["mounts"].push_back({{"destination", "/m"}, {"type", "bind"}, {"source", "/etc"}, {"options", {"bind", word}}});
    EXPECT_NE(run().err.find("idmap without uidMappings"), std::string::npos);
    config["mounts"].erase(config["mounts"].size() - 1);
  }
}

TEST_F(Settings, ALimitOfDescriptorsBelowWhatWeNeedHoldsForTheProgramOnly) {
  config["root"]["readonly"] = false;
  config["process"]["rlimits"] = {{{"type", "RLIMIT_NOFILE"}, {"soft", 3}, {"hard", 3}}};
  config["hooks"]["startContainer"] = {{{"path", "/bin/true"}}};
  script("ulimit -n; cat /etc/passwd 2>/dev/null || echo no more");
  files::replace(root("etc/passwd"), "", {.mode = 0644});
  EXPECT_EQ(run().out, "3\nno more\n");
  config["process"]["args"] = {"sleep", "60"};
  write();
  ASSERT_EQ(oci_detached("create --bundle " + bundle() + " " + kId), 0);
  const auto started = oci({"start", kId});
  EXPECT_EQ(started.code, 0) << started.err;
  EXPECT_EQ(nlohmann::json::parse(oci({"state", kId}).out)["status"], "running");
}

TEST_F(Settings, WordsOfAnImageDoNotPaintOnTheTerminal) {
  for (const char* program : {"\x1b]0;evil\x07\nlevel=error", "/\x1b[2J"}) {
    config["process"]["args"] = {program};
    const auto result = run();
    EXPECT_EQ(result.code, 127);
    EXPECT_EQ(result.err.find('\x1b'), std::string::npos) << result.err;
    EXPECT_NE(result.err.find("\\x1b"), std::string::npos) << result.err;
  }
}

TEST_F(Settings, ATmpfsIsFilledFromATreeThatIsWiderThanThereAreDescriptors) {
  for (int i = 0; i < 150; ++i) {
    files::make_directories(root("wide/" + std::to_string(i) + "/below"));
  }
  for (const char* name : {"find", "wc"}) {
    ::symlink("busybox", root(std::string("bin/") + name).c_str());
  }
  config["mounts"].push_back({{"destination", "/wide"}, {"type", "tmpfs"}, {"source", "tmpfs"}, {"options", {"tmpcopyup"}}});
  script("find /wide -type d | wc -l");
  write();
  const auto result = test::sh("ulimit -n 100; " + test::bin("jigsaw-oci") + " --root " + bundle() + "/states run --bundle " + bundle() + " " + kId);
  EXPECT_EQ(result.out, "301\n") << result.err;
}

TEST_F(Settings, TenThousandDevicesAreMadeWithoutComparingEachWithEach) {
  nlohmann::json devices = nlohmann::json::array();
  for (int i = 0; i < 10'000; ++i) {
    devices.push_back({{"path", "/dev/d" + std::to_string(i)}, {"type", "c"}, {"major", 1}, {"minor", 3}});
  }
  devices.push_back({{"path", "//dev/./d7"}, {"type", "p"}});  // again: the later one counts
  devices.push_back({{"path", "/dev/null"}, {"type", "p"}});
  config["linux"]["devices"] = devices;
  script("[ -c /dev/d9999 ] && [ -p /dev/d7 ] && [ -p /dev/null ] && [ -c /dev/zero ] && echo made");
  EXPECT_EQ(run().out, "made\n");
}

}  // namespace
}  // namespace jigsaw::runtime

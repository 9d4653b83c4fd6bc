// A container of a user without privilege: where there is no cgroup to be had it lives without, and is told apart.
#include "bundle.h"

namespace jigsaw::runtime {
namespace {

class Rootless : public Bundle {
 protected:
  void SetUp() override {
    Bundle::SetUp();
    if (IsSkipped()) {
      return;
    }
    if (!test::have_program("setpriv") || test::sh(as_user("unshare -U true")).code != 0) {
      GTEST_SKIP() << "needs setpriv and user namespaces for everybody";
    }
    ASSERT_EQ(test::sh("cp " + test::bin("jigsaw-oci") + " " + bundle() + "/program && chown -R " + kUser + ":" + kUser + " " + bundle()).code, 0);
    config["linux"]["namespaces"].push_back({{"type", "user"}});
    leave_out("namespaces", "network");
    config["linux"].erase("resources");
    config["linux"]["uidMappings"] = {{{"containerID", 0}, {"hostID", std::stoi(kUser)}, {"size", 1}}};
    config["linux"]["gidMappings"] = config["linux"]["uidMappings"];
    config["mounts"].erase(config["mounts"].size() - 1);  // cgroups
    for (auto& mount : config["mounts"]) {
      if (mount["type"] == "devpts") {
        mount["options"] = {"nosuid", "noexec", "newinstance", "ptmxmode=0666", "mode=0620"};  // no group 5
      }
    }
  }
  void leave_out(const char* list, const std::string& type) {
    auto& entries = config["linux"][list];
    for (size_t i = entries.size(); i-- > 0;) {
      if (entries[i]["type"] == type) {
        entries.erase(i);
      }
    }
  }
  static std::string as_user(const std::string& command) {
    return "setpriv --reuid " + kUser + " --regid " + kUser + " --clear-groups env -u XDG_RUNTIME_DIR " + command;
  }
  void write_for_user() const {
    write();
    test::sh("chown " + kUser + " " + bundle() + "/config.json");
  }
  test::Result user(const std::string& words) const {
    return test::sh(as_user(bundle() + "/program --root " + bundle() + "/states " + words), {.timeout = std::chrono::seconds(30)});
  }
  static inline const std::string kUser = std::to_string(200'000 + ::getpid() % 100'000);
};

TEST_F(Rootless, AContainerWithoutACgroupIsEnteredListedAndEnded) {
  config["process"]["args"] = {"sleep", "60"};
  write_for_user();
  ASSERT_EQ(user("run --detach --bundle " + bundle() + " " + kId + " </dev/null >/dev/null 2>&1").code, 0);
  const int pid = nlohmann::json::parse(user("state " + kId).out)["pid"];
  EXPECT_EQ(user("exec " + kId + " sh -c 'id -u; cat /proc/1/comm'").out, "0\nsleep\n");
  EXPECT_EQ(user("ps --format json " + kId).out, "[" + std::to_string(pid) + "]\n");
  if (test::host_snapshot().cgroups.find(kId) == std::string::npos) {
    for (const char* words : {"pause ", "resume ", "update --pids-limit 10 ", "events --stats ", "exec --cgroup x "}) {
      EXPECT_NE(user(words + kId + (std::string(words).starts_with("exec") ? " true" : "")).err.find("has no cgroup"), std::string::npos) << words;
    }
  }
  EXPECT_NE(oci({"kill", kId, "KILL"}).err.find("belongs to user " + kUser), std::string::npos);
  EXPECT_EQ(user("kill --all " + kId + " KILL").code, 0);
  for (int i = 0; i < 100 && user("state " + kId).out.find("\"stopped\"") == std::string::npos; ++i) {
    ::usleep(20'000);
  }
  EXPECT_EQ(user("delete " + kId).code, 0);
}

TEST_F(Rootless, AProgramThatIsAddedHasTheOomScoreThatWasAskedFor) {
  config["process"]["args"] = {"sleep", "60"};
  config["process"]["oomScoreAdj"] = 100;
  write_for_user();
  ASSERT_EQ(user("run --detach --bundle " + bundle() + " " + kId + " </dev/null >/dev/null 2>&1").code, 0);
  nlohmann::json process = config["process"];
  process["args"] = {"cat", "/proc/1/oom_score_adj", "/proc/self/oom_score_adj"};
  process["oomScoreAdj"] = 200;
  files::replace(bundle() + "/process.json", process.dump(), {.mode = 0644});
  const auto result = user("exec --process " + bundle() + "/process.json " + kId);
  EXPECT_EQ(result.out + result.err, "100\n200\n");
  EXPECT_EQ(user("delete --force " + kId).code, 0);
}

TEST_F(Rootless, TwoUsersMayGiveTheSameName) {
  config["process"]["args"] = {"true"};
  write_for_user();
  nlohmann::json roots = config;
  roots["process"]["args"] = {"sleep", "60"};
  roots["linux"]["uidMappings"] = roots["linux"]["gidMappings"] = {{{"containerID", 0}, {"hostID", std::stoi(kUser)}, {"size", 1000}}};
  files::replace(bundle() + "/roots.json", roots.dump());
  const std::string other = " --root " + bundle() + "/roots-states ";
  ASSERT_EQ(test::sh(test::bin("jigsaw-oci") + other + "run --detach --config roots.json --bundle " + bundle() + " " + kId + " </dev/null >/dev/null 2>&1").code, 0);
  const auto result = user("run --bundle " + bundle() + " " + kId);
  EXPECT_EQ(result.code, 0) << result.err;
  EXPECT_NE(test::sh(test::bin("jigsaw-oci") + other + "state " + kId).out.find("\"running\""), std::string::npos);
  EXPECT_EQ(test::sh(test::bin("jigsaw-oci") + other + "delete --force " + kId).code, 0);
}

}  // namespace
}  // namespace jigsaw::runtime

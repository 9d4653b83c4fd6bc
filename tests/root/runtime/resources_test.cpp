// What is changed, counted and stopped while a container runs: update, pause, ps, events, and limits that can't be had.
#include <signal.h>

#include "bundle.h"

namespace jigsaw::runtime {
namespace {

class Resources : public Bundle {
 protected:
  // The content of a file of the container's cgroup, under its name in v1 (with the tree) or in v2.
  static std::string value(const std::string& v1_tree, const std::string& v1, const std::string& v2) {
    for (const std::string& path : {"/sys/fs/cgroup/" + v1_tree + "/jigsaw-" + kId + "/" + v1, "/sys/fs/cgroup/unified/jigsaw-" + kId + "/" + v2,
                                    "/sys/fs/cgroup/jigsaw-" + kId + "/" + v2}) {
      if (auto text = files::read_if_exists(path)) {
        return text->substr(0, text->find('\n'));
      }
    }
    return "none";
  }
  // Whether `got` is what was wanted, in the words of v1 or of v2; or there is no such file on this machine.
  static bool is(const std::string& got, const std::string& v1, const std::string& v2) { return got == v1 || got == v2 || got == "none"; }
  std::string status() const { return nlohmann::json::parse(oci({"state", kId}).out)["status"]; }
  test::Result update(const std::string& text) const {
    files::replace(bundle() + "/resources.json", text);
    return oci({"update", "--resources", bundle() + "/resources.json", kId});
  }
};

TEST_F(Resources, EachIsUpdatedByAFlag) {
  ASSERT_NO_FATAL_FAILURE(start_idle());
  const auto flag = [&](const char* name, const char* text) {
    const auto result = oci({"update", name, text, kId});
    EXPECT_TRUE(result.code == 0 || result.err.find("controller") != std::string::npos || result.err.find("there is no") != std::string::npos)
        << name << result.err;
  };
  flag("--memory", "64m");
  flag("--memory-reservation", "32m");
  flag("--pids-limit", "77");
  flag("--cpu-share", "512");
  flag("--cpu-period", "50000");
  flag("--cpu-quota", "20000");
  flag("--cpuset-cpus", "0");
  flag("--cpuset-mems", "0");
  flag("--blkio-weight", "300");
  flag("--cpu-idle", "0");
  EXPECT_TRUE(is(value("memory", "memory.limit_in_bytes", "memory.max"), "67108864", "67108864"));
  EXPECT_TRUE(is(value("memory", "memory.soft_limit_in_bytes", "memory.low"), "33554432", "33554432"));
  EXPECT_TRUE(is(value("pids", "pids.max", "pids.max"), "77", "77"));
  EXPECT_TRUE(is(value("cpu", "cpu.shares", "cpu.weight"), "512", "59"));
  EXPECT_TRUE(is(value("cpu", "cpu.cfs_quota_us", "cpu.max"), "20000", "20000 50000"));
  EXPECT_TRUE(is(value("cpuset", "cpuset.cpus", "cpuset.cpus"), "0", "0"));
  flag("--memory", "-1");
  flag("--pids-limit", "-1");
  EXPECT_TRUE(is(value("pids", "pids.max", "pids.max"), "max", "max"));
  for (const char* wrong : {"--memory=1", "--memory=x", "--pids-limit=1.5", "--cpu-period=1", "--cpu-quota=5", "--cpuset-cpus=0-", "--blkio-weight=5"}) {
    EXPECT_NE(oci({"update", wrong, kId}).code, 0) << wrong;
  }
}

TEST_F(Resources, EachIsUpdatedByAFileOrStdin) {
  ASSERT_NO_FATAL_FAILURE(start_idle());
  EXPECT_EQ(update(R"({"memory":{"limit":50331648},"pids":{"limit":55},"cpu":{"shares":2048,"quota":30000,"period":60000,"cpus":"0"}})").code, 0);
  EXPECT_TRUE(is(value("memory", "memory.limit_in_bytes", "memory.max"), "50331648", "50331648"));
  EXPECT_TRUE(is(value("pids", "pids.max", "pids.max"), "55", "55"));
  EXPECT_TRUE(is(value("cpu", "cpu.shares", "cpu.weight"), "2048", "174")) << value("cpu", "cpu.shares", "cpu.weight");
  EXPECT_TRUE(is(value("cpu", "cpu.cfs_quota_us", "cpu.max"), "30000", "30000 60000"));
  EXPECT_EQ(test::sh("echo '{\"pids\":{\"limit\":66}}' | " + test::bin("jigsaw-oci") + " --root " + bundle() + "/states update --resources - " + kId).code, 0);
  EXPECT_TRUE(is(value("pids", "pids.max", "pids.max"), "66", "66"));
}

TEST_F(Resources, AHostileUpdateChangesNothing) {
  ASSERT_NO_FATAL_FAILURE(start_idle());
  ASSERT_EQ(update(R"({"pids":{"limit":55}})").code, 0);
  for (const std::string& text :
       {std::string(), std::string("null"), std::string("[]"), std::string("7"), std::string("{"), std::string(200'000, '['), "{\"a\":" + std::string(100'000, '['),
        std::string(R"({"pids":{"limit":"9"}})"), std::string(R"({"pids":[9]})"), std::string(R"({"pids":{"limit":9e99}})"),
        std::string(R"({"pids":{"limit":9},"pids":{"limit":8}})"), std::string(R"({"memory":{"limit":-5},"pids":{"limit":9}})"),
        std::string(R"({"unified":{"../../cgroup.procs":"1"}})"), std::string(R"({"unified":{"cgroup.procs":"1"}})"),
        std::string(R"({"unified":{"a/b.c":"1"}})"), std::string(R"({"unified":{"pids.max\u0000x":"9"}})"), std::string(R"({"cpu":{"cpus":"../0"}})"),
        std::string(R"({"hugepageLimits":[{"pageSize":"../../pids.max","limit":9}]})"), std::string(R"({"devices":[{"allow":true,"type":"x"}]})"),
        std::string(R"({"rdma":{"a":{"hcaHandles":-1}}})")}) {
    const auto result = update(text);
    EXPECT_GT(result.code, 0) << text.substr(0, 60);
    EXPECT_LT(result.code, 128) << text.substr(0, 60);
    EXPECT_NE(result.err, "") << text.substr(0, 60);
  }
  EXPECT_TRUE(is(value("pids", "pids.max", "pids.max"), "55", "55"));
}

TEST_F(Resources, WhatThisMachineCanNotLimitIsRefusedByName) {
  config["process"]["args"] = {"true"};
  const auto before = config;
  const auto refused = [&](const char* name, const nlohmann::json& limit, const std::string& tree) {
    if (std::filesystem::exists("/sys/fs/cgroup/" + tree) && !std::filesystem::is_empty("/sys/fs/cgroup/" + tree)) {
      return;  // this one has it
    }
    config["linux"]["resources"][name] = limit;
    const auto result = run();
    EXPECT_TRUE(result.code == 0 || result.err.find(tree) != std::string::npos || result.err.find("cgroup v") != std::string::npos) << name << result.err;
    EXPECT_LT(result.code, 128);
    config = before;
  };
  refused("rdma", {{"mlx5_0", {{"hcaHandles", 3}}}}, "rdma");
  refused("hugepageLimits", nlohmann::json{{{"pageSize", "3MB"}, {"limit", 0}}}, "hugetlb");
  refused("network", {{"classID", 7}}, "net_cls");
  refused("unified", {{"nosuch.max", "1"}}, "nosuch");
  config["linux"]["memoryPolicy"] = {{"mode", "MPOL_BIND"}, {"nodes", "0"}};
  EXPECT_EQ(run().code, 0);
  config["linux"]["memoryPolicy"] = {{"mode", "MPOL_NOSUCH"}};
  EXPECT_NE(run().err.find("memoryPolicy.mode"), std::string::npos);
  config = before;
  config["linux"]["intelRdt"] = {{"closID", "x"}};
  EXPECT_NE(run().err.find("intelRdt"), std::string::npos);
}

TEST_F(Resources, APausedContainerIsSignalledAndEnded) {
  config["process"]["args"] = {"sh", "-c", "trap 'exit 9' TERM; while :; do sleep 0.05; done"};
  write();
  EXPECT_NE(oci({"pause", kId}).code, 0);
  ASSERT_EQ(oci_detached("run --detach --bundle " + bundle() + " " + kId), 0);
  EXPECT_NE(oci({"resume", kId}).err.find("is not paused"), std::string::npos);
  ASSERT_EQ(oci({"pause", kId}).code, 0);
  EXPECT_EQ(oci({"pause", kId}).code, 0);  // it is, and stays so
  EXPECT_EQ(status(), "paused");
  EXPECT_EQ(oci({"update", "--pids-limit", "50", kId}).code, 0);
  EXPECT_NE(oci({"ps", kId}).out.find('\n'), std::string::npos);
  EXPECT_NE(oci({"delete", kId}).code, 0);
  ASSERT_EQ(oci({"kill", kId, "TERM"}).code, 0);
  EXPECT_EQ(status(), "paused");
  ASSERT_EQ(oci({"resume", kId}).code, 0);
  const auto ends = [&] {
    for (int i = 0; i < 150 && status() != "stopped"; ++i) {
      ::usleep(20'000);
    }
    return status() == "stopped";
  };
  EXPECT_TRUE(ends());
  EXPECT_EQ(oci({"ps", "--format", "json", kId}).out, "[]\n");
  EXPECT_EQ(oci({"delete", kId}).code, 0);
  for (const char* how : {"kill", "kill --all", "delete --force"}) {
    ASSERT_EQ(oci_detached("run --detach --bundle " + bundle() + " " + kId), 0);
    ASSERT_EQ(oci({"pause", kId}).code, 0);
    const bool deletes = std::string(how).starts_with("delete");
    EXPECT_EQ(oci_detached(std::string(how) + " " + kId + (deletes ? "" : " KILL")), 0) << how;
    EXPECT_TRUE(deletes || ends()) << how;
    EXPECT_EQ(oci({"delete", "--force", kId}).code, 0) << how;
  }
}

TEST_F(Resources, ProcessesAndUsageAreToldAsEnginesReadThem) {
  script("sleep 60 & sleep 61 & wait");
  write();
  ASSERT_EQ(oci_detached("run --detach --bundle " + bundle() + " " + kId), 0);
  for (int i = 0; i < 100 && nlohmann::json::parse(oci({"ps", "--format", "json", kId}).out).size() < 3; ++i) {
    ::usleep(20'000);
  }
  const auto pids = nlohmann::json::parse(oci({"ps", "--format", "json", kId}).out);
  EXPECT_EQ(pids.size(), 3U);
  EXPECT_EQ(pids.at(0), nlohmann::json::parse(oci({"state", kId}).out)["pid"]);
  const auto stats = nlohmann::json::parse(oci({"events", "--stats", kId}).out);
  EXPECT_EQ(stats["type"], "stats");
  EXPECT_EQ(stats["id"], kId);
  EXPECT_GE(stats["data"]["pids"]["current"], 3);
  EXPECT_GT(stats["data"]["memory"]["usage"]["usage"], 0);
  EXPECT_GT(stats["data"]["cpu"]["usage"]["total"], 0);
}

TEST_F(Resources, NothingIsStartedInAFrozenCgroup) {
  const std::string tree = std::filesystem::exists("/sys/fs/cgroup/freezer/freezer.state") || std::filesystem::exists("/sys/fs/cgroup/freezer/cgroup.procs")
                               ? "/sys/fs/cgroup/freezer/" : "/sys/fs/cgroup/";
  const std::string place = tree + "frozen-" + kId;
  const bool v1 = tree.ends_with("freezer/");
  ASSERT_EQ(test::sh("mkdir -p " + place + "/inner && echo " + (v1 ? "FROZEN > " + place + "/freezer.state" : "1 > " + place + "/cgroup.freeze")).code, 0);
  config["process"]["args"] = {"true"};
  for (const char* path : {"", "/inner", "/new"}) {
    config["linux"]["cgroupsPath"] = "/frozen-" + kId + path;
    const auto result = run();
    EXPECT_EQ(result.code, 125) << path;
    EXPECT_NE(result.err.find("frozen"), std::string::npos) << path << result.err;
  }
  test::sh("find /sys/fs/cgroup/ -depth -type d -path '*frozen-" + kId + "*' -exec rmdir {} ';'");
}

TEST_F(Resources, EventsTellOfMemoryThatRanOutAndEndWithTheContainer) {
#ifdef JIGSAW_SANITIZED
  GTEST_SKIP() << "the runtime built with sanitizers needs more than the limit itself";
#endif
  ::symlink("busybox", root("bin/tail").c_str());
  config["linux"]["resources"]["memory"] = {{"limit", 16 << 20}, {"swap", 16 << 20}};
  script("sleep 0.5; ( tail /dev/zero ); sleep 0.5");
  write();
  ASSERT_EQ(oci_detached("run --detach --bundle " + bundle() + " " + kId), 0);
  const auto result = oci({"events", "--interval", "200ms", kId});
  EXPECT_EQ(result.code, 0) << result.err;
  EXPECT_EQ(result.out.find("{\"type\":\"stats\",\"id\":\"" + kId), 0U) << result.out;
  EXPECT_NE(result.out.find("{\"type\":\"oom\",\"id\":\"" + kId + "\"}\n"), std::string::npos) << result.out;
}

TEST_F(Resources, AHalfMadeContainerIsListedAndRemoved) {
  const std::string place = bundle() + "/states/" + kId;
  const std::string begun = R"({"pid":         0,"pidStart":                   0,"complete":false,"started":false,"id":")" + kId +
                            R"(","ociVersion":"1.0.2","bundle":"/","rootfs":"","cgroup":"/jigsaw-)" + kId +
                            R"(","systemd":false,"when":"2026-01-01T00:00:00Z","owner":"root","namespaces":0})";
  for (const std::string& text : {std::string(), begun, std::string("{\"pid\":"), std::string("null")}) {
    files::make_directories(bundle() + "/states", 0700);
    files::replace(place, text);
    EXPECT_EQ(oci({"list"}).code, 0) << text;
    EXPECT_LT(oci({"state", kId}).code, 128) << text;
    EXPECT_NE(oci({"start", kId}).code, 0) << text;
    EXPECT_NE(oci({"exec", kId, "true"}).code, 0) << text;
    EXPECT_EQ(oci({"delete", "--force", kId}).code, 0) << text;
    EXPECT_FALSE(files::exists(place)) << text;
  }
}

}  // namespace
}  // namespace jigsaw::runtime

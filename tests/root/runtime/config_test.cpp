// What config.json says, as the program finds it: one property at a time, by its effect.
#include "bundle.h"

namespace jigsaw::runtime {
namespace {

class Config : public Bundle {
 protected:
  void SetUp() override {
    Bundle::SetUp();
    if (IsSkipped()) {
      return;
    }
    for (const char* name : {"grep", "awk", "stat", "hostname", "uname", "nproc", "wc", "sed", "mkdir", "chmod", "stty", "head", "date", "ln", "cut"}) {
      ::symlink("busybox", root(std::string("bin/") + name).c_str());
    }
    config["root"]["readonly"] = false;
    plain = config;
  }
  // What `text` prints in a container whose config.json is the plain one with `patch` merged into it.
  std::string with(const nlohmann::json& patch, const std::string& text) {
    config = plain;
    config.merge_patch(patch);
    script(text);
    const auto result = run();
    return result.out + result.err;
  }
  nlohmann::json plain;
};

TEST_F(Config, Process) {
  const nlohmann::json limits = {{{"type", "RLIMIT_NOFILE"}, {"soft", 77}, {"hard", 88}}, {{"type", "RLIMIT_CORE"}, {"soft", 0}, {"hard", 5}}};
  EXPECT_EQ(with({{"process", {{"cwd", "/etc"},
                               {"env", {"PATH=/bin", "A=b=c", "EMPTY="}},
                               {"user", {{"uid", 3}, {"gid", 4}, {"umask", 077}, {"additionalGids", {5, 6}}}},
                               {"noNewPrivileges", true},
                               {"oomScoreAdj", 321},
                               {"ioPriority", {{"class", "IOPRIO_CLASS_BE"}, {"priority", 6}}},
                               {"scheduler", {{"policy", "SCHED_BATCH"}, {"nice", 7}}},
                               {"rlimits", limits}}}},
                 "pwd; echo $A; [ -n \"${EMPTY+set}\" ] && echo set; echo $HOME; umask; id -u; id -g; id -G; grep NoNewPrivs /proc/self/status; "
                 "cat /proc/self/oom_score_adj; busybox ionice -p 1; awk '{print $19, $41}' /proc/self/stat; ulimit -Sn; ulimit -Hn; "
                 "grep core /proc/self/limits | awk '{print $5, $6}'"),
            "/etc\nb=c\nset\n/\n0077\n3\n4\n4 5 6\nNoNewPrivs:\t1\n321\nbest-effort: prio 6\n7 3\n77\n88\n0 5\n");
  files::replace(root("etc/passwd"), "root:x:0:0::/root-of-all:/bin/sh\n");
  EXPECT_EQ(with({{"process", {{"rlimits", {{{"type", "RLIMIT_NOFILE"}, {"soft", 1}, {"hard", 1}}}}}}}, "ulimit -n; echo $HOME"),
            "1\n/root-of-all\n");
  EXPECT_EQ(with({{"process", {{"noNewPrivileges", false}}}}, "umask; grep NoNewPrivs /proc/self/status"), "0022\nNoNewPrivs:\t0\n");
}

TEST_F(Config, Capabilities) {
  const nlohmann::json sets = {{"bounding", {"CAP_CHOWN", "CAP_KILL", "CAP_NET_RAW"}}, {"permitted", {"CAP_CHOWN", "CAP_KILL"}},
                               {"effective", {"CAP_CHOWN"}}, {"inheritable", {"CAP_KILL"}}, {"ambient", {"CAP_KILL"}}};
  EXPECT_EQ(with({{"process", {{"user", {{"uid", 3}, {"gid", 3}}}, {"capabilities", sets}}}}, "grep Cap /proc/self/status | cut -f2 | sed 's/^0*//'"),
            "20\n20\n20\n2021\n20\n");  // what a program of another user than root keeps over execve is the ambient set
}

TEST_F(Config, NamesAndClocks) {
  EXPECT_EQ(with({{"hostname", "inner"}, {"domainname", "example"}}, "hostname; cat /proc/sys/kernel/domainname"), "inner\nexample\n");
  config = plain;
  config["linux"]["namespaces"].push_back({{"type", "time"}});
  config["linux"]["timeOffsets"] = {{"boottime", {{"secs", 31'536'000}, {"nanosecs", 0}}}};
  script("[ $(cut -d. -f1 /proc/uptime) -gt 31536000 ] && echo shifted");
  const auto result = run();
  EXPECT_EQ(result.out, "shifted\n") << result.err;
}

TEST_F(Config, PersonalityAndMemoryPolicy) {
  EXPECT_EQ(with({{"linux", {{"personality", {{"domain", "LINUX32"}}}}}}, "cat /proc/self/personality"), "00000008\n");
  if (files::exists("/proc/self/numa_maps")) {
    EXPECT_NE(with({{"linux", {{"memoryPolicy", {{"mode", "MPOL_BIND"}, {"nodes", "0"}}}}}}, "cat /proc/self/numa_maps").find("bind:0"), std::string::npos);
  }
}

TEST_F(Config, PathsThatAreMaskedOrReadOnly) {
  files::make_directories(root("hidden"));
  files::replace(root("hidden/file"), "x");
  files::replace(root("etc/file"), "x");
  files::make_directories(root("fixed/below"));
  EXPECT_EQ(with({{"linux", {{"maskedPaths", {"/hidden", "/hidden", "/etc/file", "/nosuch"}}}}},
                 "ls /hidden; cat /etc/file; touch /hidden/x 2>/dev/null || echo read-only; [ -e /nosuch ] || echo none"), "read-only\nnone\n");
  EXPECT_EQ(with({{"linux", {{"readonlyPaths", {"/fixed", "/nosuch", "/etc/file"}}}}},
                 "touch /fixed/x 2>/dev/null || echo one; touch /fixed/below/x 2>/dev/null || echo two; touch /etc/x && echo three; "
                 "(echo y > /etc/file) 2>/dev/null || echo four"), "one\ntwo\nthree\nfour\n");
  EXPECT_EQ(with({{"root", {{"readonly", true}}}}, "touch /x 2>/dev/null || echo read-only; touch /dev/shm/x && echo shm"), "read-only\nshm\n");
}

TEST_F(Config, MountsAndTheirOptions) {
  const auto tmpfs = [&](const char* destination, std::vector<std::string> options) {
    plain["mounts"].push_back({{"destination", destination}, {"type", "tmpfs"}, {"source", "tmpfs"}, {"options", std::move(options)}});
  };
  files::make_directories(root("filled"));
  files::replace(root("filled/file"), "was there\n", {.mode = 0600});
  tmpfs("/a", {"nosuid", "nodev", "noexec", "ro", "noatime"});
  tmpfs("/b", {"nosuid", "suid", "ro", "rw", "strictatime", "nodiratime", "nosymfollow"});
  tmpfs("/c", {"sync", "dirsync", "lazytime", "iversion", "nomand", "silent", "loud", "remount", "defaults", "size=64k"});
  tmpfs("/d", {"mode=1750", "uid=3", "gid=4"});
  tmpfs("/filled", {"tmpcopyup"});
  EXPECT_EQ(with(nlohmann::json::object(),
                 "for m in a b; do grep \" /$m \" /proc/self/mountinfo | awk '{print $6}'; done; "
                 "grep ' /c ' /proc/self/mountinfo | sed 's/.* rw,/rw,/;s/,inode.*//'; stat -c '%a %u %g' /d; cat /filled/file; : > /filled/new"),
            "ro,nosuid,nodev,noexec,noatime\nrw,nodiratime,nosymfollow\nrw,sync,dirsync,lazytime,size=64k\n1750 3 4\nwas there\n");
  EXPECT_FALSE(files::exists(root("filled/new")));
}

TEST_F(Config, BindMountsAndTheirOptions) {
  const files::TemporaryDirectory outer;
  files::make_directories(outer.path() + "/below");
  files::replace(outer.path() + "/file", "found\n", {.mode = 0644});
  ASSERT_EQ(test::sh("mount -t tmpfs inner " + outer.path() + "/below && touch " + outer.path() + "/below/deep").code, 0);
  const auto bind = [&](const char* destination, std::vector<std::string> options, const char* type = "none", const char* below = "") {
    plain["mounts"].push_back({{"destination", destination}, {"type", type}, {"source", outer.path() + below}, {"options", std::move(options)}});
  };
  bind("/a", {"bind", "shared"});
  bind("/b", {"rbind", "ro", "private"});
  bind("/c", {"rbind", "rro"});
  bind("/d", {"bind", "unbindable"});
  bind("/etc/here", {"ro"}, "bind", "/file");
  EXPECT_EQ(with(nlohmann::json::object(),
                 "cat /a/file; ls /a/below /b/below; for f in /a/x /b/x /b/below/x /c/x /c/below/x /etc/here; do touch $f 2>/dev/null && echo $f; done; "
                 "cat /etc/here; for m in a b d; do grep \" /$m \" /proc/self/mountinfo | grep -o -E 'shared:|master:|unbindable' | sed 's/:.*//'; done"),
            "found\n/a/below:\n\n/b/below:\ndeep\n/a/x\n/b/below/x\nfound\nshared\nunbindable\n");
  EXPECT_EQ(test::sh("umount " + outer.path() + "/below").code, 0);
}

TEST_F(Config, PropagationOfTheRoot) {
  const std::string any = "grep -E '^[0-9]+ [0-9]+ [^ ]+ [^ ]+ / ' /proc/self/mountinfo | grep -o -E 'shared:|unbindable' | sed 's/:.*//' | head -n 1";
  EXPECT_EQ(with({{"linux", {{"rootfsPropagation", "shared"}}}}, any), "shared\n");
  EXPECT_EQ(with({{"linux", {{"rootfsPropagation", "unbindable"}}}}, any), "unbindable\n");
}

TEST_F(Config, DevicesOfItsOwn) {
  const nlohmann::json devices = {{{"path", "/dev/own"}, {"type", "c"}, {"major", 1}, {"minor", 5}, {"fileMode", 0640}, {"uid", 3}, {"gid", 4}},
                                  {{"path", "/dev/queue"}, {"type", "p"}, {"fileMode", 0600}}};
  EXPECT_EQ(with({{"linux", {{"devices", devices}}}}, "stat -c '%F %a %u %g %t:%T' /dev/own; stat -c '%F %a' /dev/queue"),
            "character special file 640 3 4 1:5\nfifo 600\n");
  EXPECT_EQ(with(nlohmann::json::object(), "stat -c '%n %t:%T %a' /dev/null /dev/zero /dev/full /dev/random /dev/urandom /dev/tty; for l in fd stdin ptmx; do readlink /dev/$l; done"),
            "/dev/null 1:3 666\n/dev/zero 1:5 666\n/dev/full 1:7 666\n/dev/random 1:8 666\n/dev/urandom 1:9 666\n/dev/tty 5:0 666\n"
            "/proc/self/fd\n/proc/self/fd/0\npts/ptmx\n");
}

TEST_F(Config, SeccompOperators) {
  struct Case {
    const char* operation;
    uint64_t value, second;
    const char* refused;  // which of the signals 6, 7 and 8
  };
  const std::vector<Case> cases = {{"SCMP_CMP_EQ", 7, 0, "7"},   {"SCMP_CMP_NE", 7, 0, "6 8"}, {"SCMP_CMP_LT", 7, 0, "6"}, {"SCMP_CMP_LE", 7, 0, "6 7"},
                                   {"SCMP_CMP_GT", 7, 0, "8"},   {"SCMP_CMP_GE", 7, 0, "7 8"}, {"SCMP_CMP_MASKED_EQ", 6, 6, "6 7"}};
  // kill(2) with signals to processes that are not there, one for each case: ESRCH, or what the filter answers.
  nlohmann::json rules = nlohmann::json::array();
  std::string expected;
  for (size_t i = 0; i < cases.size(); ++i) {
    const nlohmann::json signal = {{"index", 1}, {"value", cases[i].value}, {"valueTwo", cases[i].second}, {"op", cases[i].operation}};
    rules.push_back({{"names", {"kill"}}, {"action", "SCMP_ACT_ERRNO"}, {"errnoRet", 95},
                     {"args", {{{"index", 0}, {"value", 90'000 + i}, {"op", "SCMP_CMP_EQ"}}, signal}}});
    expected += std::string(cases[i].refused) + " \n";
  }
  EXPECT_EQ(with({{"linux", {{"seccomp", {{"defaultAction", "SCMP_ACT_ALLOW"}, {"syscalls", rules}}}}}},
                 "for p in 0 1 2 3 4 5 6; do for s in 6 7 8; do kill -$s 9000$p 2>&1 | grep -q -i 'not supported' && echo -n \"$s \"; done; echo; done"),
            expected);
}

TEST_F(Config, SeccompActions) {
  const auto filter = [](const char* action) {
    return nlohmann::json{{"linux", {{"seccomp", {{"defaultAction", "SCMP_ACT_ALLOW"}, {"syscalls", {{{"names", {"mkdir", "mkdirat"}}, {"action", action}}}}}}}}};
  };
  EXPECT_NE(with(filter("SCMP_ACT_ERRNO"), "mkdir /x").find("not permitted"), std::string::npos);
  EXPECT_EQ(with(filter("SCMP_ACT_LOG"), "mkdir /logged && echo made"), "made\n");
  EXPECT_EQ(with(filter("SCMP_ACT_KILL_PROCESS"), "mkdir /x 2>/dev/null; echo $?").substr(0, 4), "159\n");
  EXPECT_EQ(with(filter("SCMP_ACT_TRAP"), "mkdir /x 2>/dev/null; echo $?").find("159"), 0U);
  EXPECT_NE(with(filter("SCMP_ACT_NOSUCH"), "true").find("SCMP_ACT_NOSUCH"), std::string::npos);
}

TEST_F(Config, WhatIsNotSupportedIsRefused) {
  EXPECT_NE(with({{"linux", {{"intelRdt", {{"closID", "x"}}}}}}, "true").find("intelRdt is not supported"), std::string::npos);
  EXPECT_NE(with({{"linux", {{"personality", {{"domain", "LINUX"}, {"flags", {"X"}}}}}}}, "true").find("no flags"), std::string::npos);
}

}  // namespace
}  // namespace jigsaw::runtime

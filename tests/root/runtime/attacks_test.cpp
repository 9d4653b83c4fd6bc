// What hostile images and configurations try, for real; the host must be untouched.
#include "bundle.h"

namespace jigsaw::runtime {
namespace {

class Attack : public Bundle {
 protected:
  // A directory of the host that nobody may write to.
  std::string outside() const { return outside_.path(); }
  void expect_outside_untouched() const { EXPECT_TRUE(files::list(outside_.path()).empty()); }

 private:
  files::TemporaryDirectory outside_;
};

TEST_F(Attack, TheRuntimesBinaryIsNotWritable) {  // CVE-2019-5736
  config["root"]["readonly"] = false;
  config["process"]["args"] = {"/exe"};
  ::symlink("/proc/self/exe", root("exe").c_str());
  const std::string before = files::read(test::bin("jigsaw-oci"), 1U << 30);
  const auto result = run();  // executes jigsaw-oci itself in the container, harmlessly
  EXPECT_NE(result.code, 0);
  ASSERT_NO_FATAL_FAILURE(start_idle());
  oci({"exec", kId, "sh", "-c", "echo x > /proc/self/exe; ( : >> /proc/$PPID/exe ) 2>/dev/null; true"});
  EXPECT_EQ(files::read(test::bin("jigsaw-oci"), 1U << 30), before);
}

TEST_F(Attack, AScriptWhoseInterpreterIsTheRuntimeCanNotWriteToIt) {
  config["root"]["readonly"] = false;
  files::replace(root("script"), "#!/proc/self/exe\n", {.mode = 0755});
  config["process"]["args"] = {"/script"};
  const std::string before = files::read(test::bin("jigsaw-oci"), 1U << 30);
  EXPECT_NE(run().code, 0);
  EXPECT_EQ(files::read(test::bin("jigsaw-oci"), 1U << 30), before);
}

TEST_F(Attack, DescriptorsOfTheCallerAreNoWayOut) {  // CVE-2024-21626
  for (int fd = 3; fd < 12; ++fd) {
    config["process"]["cwd"] = "/proc/self/fd/" + std::to_string(fd);
    config["process"]["args"] = {"ls", "."};
    write();
    const auto result = test::sh("exec 7</; exec " + test::bin("jigsaw-oci") + " --root " + bundle() + "/states run -b " + bundle() +
                                 " " + kId, {.timeout = std::chrono::seconds(20)});
    EXPECT_EQ(result.out.find("usr"), std::string::npos) << fd;
  }
  config["process"]["cwd"] = "/";
  script("ls -l /proc/self/fd");
  write();
  const auto result = test::sh("exec 7</; exec " + test::bin("jigsaw-oci") + " --root " + bundle() + "/states run -b " + bundle() + " " + kId);
  EXPECT_EQ(result.out.find(" 7 "), std::string::npos);
}

TEST_F(Attack, LinksInTheRootLeadNowhere) {  // CVE-2019-19921, CVE-2021-30465, CVE-2026-41579
  std::filesystem::create_directory_symlink(outside(), root("dev"));
  config["process"]["args"] = {"true"};
  run();
  expect_outside_untouched();
  std::filesystem::create_directory_symlink(outside(), root("mnt"));
  config["mounts"].push_back({{"destination", "/mnt/a"}, {"type", "tmpfs"}, {"source", "tmpfs"}});
  config["mounts"].push_back({{"destination", "/../../../../" + outside() + "/b"}, {"type", "tmpfs"}, {"source", "tmpfs"}});
  run();
  expect_outside_untouched();
}

TEST_F(Attack, ProcThatIsALinkIsRefused) {
  std::filesystem::create_directory_symlink("etc", root("proc"));
  config["process"]["args"] = {"true"};
  EXPECT_NE(run().code, 0);
}

TEST_F(Attack, DevicesStayInTheRoot) {
  config["linux"]["devices"] = {{{"path", "/../../../../" + outside() + "/null"}, {"type", "c"}, {"major", 1}, {"minor", 3}}};
  config["process"]["args"] = {"true"};
  run();
  expect_outside_untouched();
}

TEST_F(Attack, IdsAndCgroupsArePathsOfNobody) {
  config["process"]["args"] = {"true"};
  write();
  for (const char* id : {"../x", "a/b", "", ".", "..", "a\nb", "a b", ".hidden"}) {
    EXPECT_NE(oci({"run", "--bundle", bundle(), id}).code, 0) << id;
  }
  for (const char* path : {"/../../x", "../x", "/a/../../b", "a/../../../c"}) {
    config["linux"]["cgroupsPath"] = path;
    EXPECT_NE(run().code, 0) << path;
  }
}

TEST_F(Attack, SysctlsOfTheHostAreRefusedInEverySpelling) {
  config["process"]["args"] = {"true"};
  for (const char* key : {"kernel.core_pattern", "kernel/core_pattern", "kernel.domainname/../core_pattern", "net/../kernel/core_pattern",
                          "vm.overcommit_memory", "fs.file-max", "/kernel/core_pattern", "net.ipv4/../../kernel/core_pattern"}) {
    config["linux"]["sysctl"] = {{key, "1"}};
    EXPECT_NE(run().code, 0) << key;
  }
  config["linux"]["sysctl"] = {{"net.ipv4.ip_forward", "1"}};
  script("cat /proc/sys/net/ipv4/ip_forward");
  EXPECT_EQ(run().out, "1\n");
}

TEST_F(Attack, AccountFilesThatHangAreNotWaitedFor) {  // CVE-2024-9676
  ASSERT_EQ(::mkfifo(root("etc/passwd").c_str(), 0600), 0);
  config["process"]["args"] = {"true"};
  EXPECT_EQ(run().code, 0);
}

TEST_F(Attack, MalformedConfigurationsAreRefusedAtOnce) {
  for (const std::string& text : {std::string("null"), std::string("[]"), std::string("{"), std::string(200'000, '['), std::string("{\"ociVersion\":1}"),
                                  std::string("{\"ociVersion\":\"1.0.0\",\"process\":7}"), std::string("{\"ociVersion\":\"9.0.0\"}"),
                                  std::string("{\"a\":1,\"a\":2}"), std::string("\xff\xfe"), std::string("{\"ociVersion\":\"1.0\\u0000.0\"}")}) {
    files::replace(bundle() + "/config.json", text);
    const auto result = oci({"run", "--bundle", bundle(), kId});
    EXPECT_GT(result.code, 0) << text.substr(0, 40);
    EXPECT_LT(result.code, 128) << text.substr(0, 40);
  }
}

}  // namespace
}  // namespace jigsaw::runtime

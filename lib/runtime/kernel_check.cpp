#include "runtime/kernel_check.h"

#include "base/error.h"
#include "base/files.h"
#include "base/log.h"
#include "runtime/root.h"

namespace jigsaw::runtime {
namespace {

// Without a mount namespace of its own a container gets a root by chroot(2) and no mounts.
void check_mounts(const Spec& spec) {
  if (has_own_mounts(spec)) {
    return;
  }
  if (spec.root_read_only) {
    throw Error("root.readonly needs a mount namespace of the container's own", "add {\"type\": \"mount\"} to linux.namespaces");
  }
  if (spec.root_propagation != 0) {
    throw Error("rootfsPropagation needs a mount namespace of the container's own", "add {\"type\": \"mount\"} to linux.namespaces");
  }
  const size_t count = spec.mounts.size() + spec.masked_paths.size() + spec.read_only_paths.size();
  if (count > 0) {
    log::warning("the container has no mount namespace of its own: its {} mounts, masked and read-only paths are left out, "
                 "they would be the host's", count);
  }
}

}  // namespace

const SecurityModules& security_modules() {
  static const SecurityModules modules = {
      .apparmor = files::read_if_exists("/sys/module/apparmor/parameters/enabled").value_or("N").starts_with('Y'),
      .selinux = files::exists("/sys/fs/selinux/enforce")};
  return modules;
}

void check_against_kernel(const Process& process) {
  if (!process.apparmor_profile.empty() && process.apparmor_profile != "unconfined" && !security_modules().apparmor) {
    log::warning("the AppArmor profile {} is left out: this kernel runs without AppArmor", process.apparmor_profile);
  }
  if (!process.selinux_label.empty() && !security_modules().selinux) {
    throw fail("the SELinux label {} can't be applied: this kernel runs without SELinux", process.selinux_label);
  }
}

void check_against_kernel(const Spec& spec) {
  if (spec.process) {
    check_against_kernel(*spec.process);
  }
  if (!spec.mount_label.empty() && !security_modules().selinux) {
    log::warning("mountLabel {} is left out: this kernel runs without SELinux", spec.mount_label);
  }
  check_mounts(spec);
  if (!spec.annotation("run.oci.keep_original_groups").empty()) {  // podman's --group-add keep-groups; an image may bring it as well
    log::warning("the annotation run.oci.keep_original_groups is not followed: the groups of whoever starts a container are never its own "
                 "(CVE-2022-36109)");
  }
}

}  // namespace jigsaw::runtime

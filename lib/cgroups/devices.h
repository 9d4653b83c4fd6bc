// Devices: which device files a cgroup may open or make.
//
// v1 has files for it: "c 1:3 rwm" written to devices.allow. v2 has none: there a BPF_PROG_TYPE_CGROUP_DEVICE program,
// attached to the cgroup's directory, is asked at each open and mknod and answers 1 or 0 (bpf(2), cgroup-v2.rst
// "Device controller"). We write that program ourselves: a dozen instructions per rule, from the last rule to the first.
#pragma once

#include <linux/bpf.h>

#include <span>
#include <string>
#include <vector>

#include "cgroups/limits.h"

namespace jigsaw::cgroups {

// "c 1:3 rwm", "b 8:* r", "a *:* rwm": the line for devices.allow or devices.deny.
std::string device_line(const DeviceRule& rule);

// The program for `rules`. Each bit of access (read, write, mknod) is decided by the last rule that speaks of it, as
// on v1; what no rule speaks of is allowed, so that only the parents' programs decide.
std::vector<bpf_insn> device_program(std::span<const DeviceRule> rules);

// Loads the program and puts it on the cgroup behind `directory`, in place of the one that was there.
void attach_device_program(int directory, std::span<const bpf_insn> program, std::string_view shown);

}  // namespace jigsaw::cgroups

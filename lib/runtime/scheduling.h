// Scheduling: how much of the processor, the disk and which memory a process gets compared with others.
#pragma once

#include "runtime/spec.h"

namespace jigsaw::runtime {

// scheduler, ioPriority and memoryPolicy, for the calling process.
void set_scheduling(const Process& process, const Spec& spec);
// "0-2,7" as execCPUAffinity has it: sched_setaffinity(2) of the calling process; "" does nothing.
void set_affinity(const std::string& cpus);
// Throws on policies, classes, modes and flags that are unknown.
void validate_scheduling(const Process& process);
void validate(const MemoryPolicy& policy);

}  // namespace jigsaw::runtime

// Which stage is built when, and in which process.
//
// Every stage first goes as far as the cache carries it, here. A single one with work left goes on here too. Several
// that wait for nobody become processes side by side; each hands its result back in a file of the build's own
// directory. They die with us, and what they run dies with them.
#pragma once

#include "build/stage_runner.h"

namespace jigsaw::build {

// Fills workshop.stages for every stage in the plan's order. Throws the first error; the other stages are stopped.
void build_stages(Workshop& workshop);

}  // namespace jigsaw::build

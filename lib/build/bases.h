// What stages start from and copy from, beside each other: images of the store or a registry, named contexts.
#pragma once

#include "build/stage_runner.h"

namespace jigsaw::build {

// Loads every image that a needed stage refers to, and adds the ONBUILD triggers of the bases, until nothing new turns
// up: a trigger may need stages that nobody needed before.
enum class Bases { kFetched, kAtHand };  // kAtHand: those that the store does not have are left out
void load_bases(Workshop& workshop, Bases bases);

// Where a stage begins: scratch, an image, a named context, or another stage that is finished.
StageResult base_of(const Workshop& workshop, const Stage& stage);

}  // namespace jigsaw::build

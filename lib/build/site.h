// The site of a build: all that is opened before the first step, in the order in which it depends on each other.
//
// A build, a check (--check) and a picture (--graph) stand on the same site; the latter two execute no step, and fetch
// no base image: they know of one what the store knows.
#pragma once

#include "build/cache.h"
#include "build/checks.h"
#include "build/context_sources.h"
#include "build/run_states.h"
#include "build/stage_runner.h"

namespace jigsaw::build {

struct Site {
  enum class Purpose { kBuild, kCheck, kPicture };
  // `options` must live as long as the site.
  Site(const BuildOptions& options, Purpose purpose);
  Site(const Site&) = delete;
  Site& operator=(const Site&) = delete;

  // What the build checks find, with what is known of the base images that are loaded.
  CheckResult check() const;

  const image::Store store;
  const files::Lock in_use;
  StepCache cache;
  const RunStates states;
  const files::TemporaryDirectory shared;
  const ContextAndFile input;
  const Recipe recipe;
  const PlanOptions options_of_plan;
  LastBuild last;
  Workshop workshop;
};

}  // namespace jigsaw::build

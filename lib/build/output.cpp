#include "build/output.h"

#include <fcntl.h>
#include <unistd.h>

#include "base/error.h"
#include "base/files.h"
#include "base/text.h"
#include "build/copy.h"
#include "build/fetch.h"
#include "image/layer_create.h"

namespace jigsaw::build {
namespace {

std::vector<std::string> known_types() { return {"local", "tar", "oci", "docker", "image", "registry"}; }

OutputPlan::Kind kind_of(std::string_view type) {
  if (type == "local") {
    return OutputPlan::Kind::kLocal;
  }
  if (type == "tar") {
    return OutputPlan::Kind::kTar;
  }
  if (type == "oci") {
    return OutputPlan::Kind::kOci;
  }
  if (type == "docker") {
    return OutputPlan::Kind::kDocker;
  }
  if (type == "image" || type == "registry") {
    return OutputPlan::Kind::kImage;
  }
  throw fail("--output type must be {}, not '{}'{}", text::join(known_types(), ", "), type, text::did_you_mean(type, known_types()));
}

void copy_files(const StageResult& result, const Workshop& workshop, const std::string& directory) {
  files::make_directories(directory, 0755);
  Tree tree(workshop.store.lower_directories(result.directories()));
  LayerWriter target(directory, {});
  const CopySource source{.tree = &tree, .path = "/", .shown = "/"};
  copy_source(target, source, {"/", "/"}, "/", {});
}

void write_tar(const StageResult& result, const Workshop& workshop, const std::string& destination) {
  const files::TemporaryDirectory merged(workshop.store.temporary_directory(), "output-");
  copy_files(result, workshop, merged.path() + "/root");
  image::CreateOptions options{.form = image::LayerForm::kPlain};
  if (workshop.epoch) {
    options.newest = workshop.epoch->tv_sec;
  }
  const Fd file = destination == "-" ? duplicate(1) : files::open(destination, O_WRONLY | O_CREAT | O_TRUNC, 0644);
  image::create_layer(merged.path() + "/root", options,
                      [&](std::string_view bytes) { files::write_all(file.get(), bytes, destination); });
}

}  // namespace

namespace {

// What follows from the words taken together.
void settle(OutputPlan& plan, bool as_directory) {
  using Kind = OutputPlan::Kind;
  if (plan.kind == Kind::kDocker && plan.destination.empty()) {
    plan.kind = Kind::kImage;
  }
  if (plan.destination.empty() && (plan.kind == Kind::kTar || (plan.kind == Kind::kOci && !as_directory))) {
    plan.destination = "-";
  }
  if (as_directory && plan.kind != Kind::kOci) {
    throw fail("--output tar=false is for type=oci");
  }
  if (as_directory) {
    plan.kind = Kind::kOciDirectory;
  }
  if (plan.destination.empty() && (plan.kind == Kind::kLocal || plan.kind == Kind::kOciDirectory)) {
    throw fail("this --output needs dest=DIR");
  }
}

}  // namespace

std::optional<OutputPlan> parse_output(const std::string& text) {
  if (text.empty()) {
    return std::nullopt;
  }
  if (text.find('=') == std::string::npos) {
    return OutputPlan{text == "-" ? OutputPlan::Kind::kTar : OutputPlan::Kind::kLocal, text};
  }
  OutputPlan plan;
  bool has_type = false;
  bool as_directory = false;
  for (const std::string_view word : text::split(text, ',')) {
    const size_t equals = word.find('=');
    const std::string_view key = word.substr(0, equals);
    const std::string_view value = equals == std::string_view::npos ? "" : word.substr(equals + 1);
    if (key == "type") {
      plan.kind = kind_of(value);
      plan.push = plan.push || value == "registry";
      has_type = true;
    } else if (key == "name") {
      plan.names.emplace_back(value);
    } else if (key == "push" && (value == "true" || value == "false")) {
      plan.push = plan.push || value == "true";
    } else if (key.starts_with("annotation.")) {
      plan.annotations[std::string(key.substr(11))] = value;
    } else if (key == "compression" || key == "compression-level" || key == "force-compression") {
      throw fail("--output {} can't be had: layers are kept as they are and compressed on their way out", key)
          .with_hint("jigsaw push --compression zstd, say");
    } else if (key == "dest") {
      plan.destination = value;
    } else if (key == "tar" && (value == "true" || value == "false")) {
      as_directory = value == "false";
    } else {
      throw fail("--output knows type=, dest=, tar=, name=, push= and annotation.KEY=, not '{}'", word);
    }
  }
  if (!has_type) {
    throw fail("--output needs type={}", text::join(known_types(), ", "));
  }
  settle(plan, as_directory);
  return plan;
}

void write_output(const OutputPlan& plan, const Workshop& workshop, const StageResult& result) {
  if (plan.kind == OutputPlan::Kind::kLocal) {
    copy_files(result, workshop, plan.destination);
  } else if (plan.kind == OutputPlan::Kind::kTar) {
    write_tar(result, workshop, plan.destination);
  }
}

void write_archive(const OutputPlan& plan, const engine::Paths& paths, const std::string& id) {
  const char* format = plan.kind == OutputPlan::Kind::kOci      ? "oci-archive"
                       : plan.kind == OutputPlan::Kind::kDocker ? "docker-archive"
                                                                : "oci-dir";
  const bool to_stdout = plan.destination == "-";
  run_transfer(paths, {"save", "--quiet", "--format", format, "--output", plan.destination, id},
               fmt::format("the image can't be written to {}", to_stdout ? "the standard output" : plan.destination),
               to_stdout ? 1 : 2);
}

}  // namespace jigsaw::build

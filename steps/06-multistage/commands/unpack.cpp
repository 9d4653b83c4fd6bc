#include <CLI/CLI.hpp>

#include "base/cli.h"
#include "base/error.h"
#include "base/progress.h"
#include "base/text.h"
#include "commands/image_commands.h"
#include "image/names.h"
#include "image/unpack.h"

namespace jigsaw::commands {
namespace {

struct UnpackOptions {
  std::string image;
  std::string directory;
  std::string platform;
  bool quiet = false;
};

// "oci:DIR:TAG" and "oci:DIR"; a directory may have colons in its name, the last one separates.
image::LayoutImage from_layout(std::string_view text, const image::Platform& platform) {
  const std::string whole(text);
  if (files::is_directory(whole)) {
    return image::open_layout(whole, "", platform);
  }
  for (size_t colon = whole.find(':'); colon != std::string::npos; colon = whole.find(':', colon + 1)) {
    if (files::is_directory(whole.substr(0, colon))) {
      return image::open_layout(whole.substr(0, colon), whole.substr(colon + 1), platform);
    }
  }
  throw Error(fmt::format("{} is no directory", text::quoted(whole)), "write oci:DIRECTORY:TAG");
}

int unpack(const UnpackOptions& options) {
  const image::Platform platform =
      options.platform.empty() ? image::host_platform() : image::parse_platform(options.platform);
  const auto progress =
      progress::make_reporter(2, options.quiet ? progress::Style::kQuiet : progress::Style::kAuto);
  const image::UnpackOptions how{.on_layer = [&](const image::Descriptor& layer) {
    progress->line(fmt::format("unpack {} ({})", layer.digest.short_id(), text::human_size(layer.size)));
  }};
  if (options.image.starts_with("oci:")) {
    const image::LayoutImage layout = from_layout(std::string_view(options.image).substr(4), platform);
    image::unpack_image(layout.image, layout.open, options.directory, how);
    return 0;
  }
  const image::Store store = open_store();
  const files::Lock lock = store.use();
  const image::Tag tag = image::named(store, options.image);
  const image::Image image = store.read_image(tag.descriptor, options.image, platform);
  image::unpack_image(
      image, [&](const image::Descriptor& blob) { return store.open_blob(blob.digest); }, options.directory,
      how);
  return 0;
}

}  // namespace

void add_unpack(CLI::App& app) {
  static UnpackOptions options;
  CLI::App* command = app.add_subcommand("unpack", "write an image's root file system to a directory");
  command->add_option("image", options.image, "an image of the store, or oci:DIRECTORY:TAG")->required();
  command->add_option("directory", options.directory, "where to: a new or empty directory")->required();
  command->add_option("--platform", options.platform, "of several, the image for OS/ARCH[/VARIANT]");
  command->add_flag("-q,--quiet", options.quiet, "no progress");
  cli::on_run(*command, [] { return unpack(options); });
}

}  // namespace jigsaw::commands

// The commands about images: one file each, which adds its subcommand to the program.
#pragma once

#include <string>

#include "commands/settings.h"
#include "image/store.h"

namespace CLI {
class App;
}

namespace jigsaw::commands {

void add_diff(CLI::App& app);
void add_export(CLI::App& app);
void add_history(CLI::App& app);
void add_images(CLI::App& app);
void add_import(CLI::App& app);
void add_inspect(CLI::App& app);
void add_rmi(CLI::App& app);
void add_system(CLI::App& app);
void add_tag(CLI::App& app);
void add_unpack(CLI::App& app);

image::Store open_store();
// The image that a user's words stand for: a reference with parts left out, an id or the beginning of one. jigsaw/base
// is put into the store when it is first asked for. Throws "no such image" with the nearest name.
image::Tag named_image(const image::Store& store, const std::string& text);
// "alpine:3.19" -> "docker.io/library/alpine:3.19"
std::string full_name(const std::string& text);
// The other way round; "" stays "".
std::string short_name(const std::string& full);

}  // namespace jigsaw::commands

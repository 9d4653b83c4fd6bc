// The rule behind unpacking all layers at once: mounted together they are what applying them in order gives.
#include <fcntl.h>
#include <gtest/gtest.h>

#include <random>

#include "base/error.h"
#include "base/files.h"
#include "image/layer_apply.h"
#include "image/layer_create.h"
#include "support/layers.h"
#include "support/run.h"
#include "unionfs/overlay.h"

namespace jigsaw::image {
namespace {

using namespace jigsaw::test;

using Layer = std::vector<Item>;

// What a tree is, as text: the tar stream of it, with all new times made equal.
std::string picture(int directory) {
  struct Lines : TarSink {
    std::string text;
    void begin(const TarEntry& entry) override {
      text += fmt::format("{} {} -> {} {:04o} {}:{} {} {}", static_cast<int>(entry.type), entry.name, entry.link, entry.mode,
                          entry.uid, entry.gid, entry.mtime.tv_sec, entry.device_minor);
      for (const auto& [key, value] : entry.xattrs) {
        text += fmt::format(" {}={}", key, value);
      }
      text += "\n";
    }
    void data(uint64_t, std::string_view bytes) override { text += fmt::format("  {}\n", bytes); }
    void end() override {}
  } lines;
  TarReader reader(lines);
  create_layer_at(directory, {.form = LayerForm::kPlain, .newest = 100000, .root_entry = CreateOptions::RootEntry::kInclude},
                  [&](std::string_view bytes) { reader.feed(bytes); });
  reader.finish();
  return lines.text;
}

// Each gives the picture, or "error" if the image is refused.
std::string in_order(const std::vector<Layer>& layers) {
  const files::TemporaryDirectory place("/tmp", "store-order-");
  try {
    for (const Layer& layer : layers) {
      LayerApplier applier(place.path(), {.form = LayerForm::kPlain});
      applier.write(tar(layer));
      applier.end();
    }
  } catch (const Error& error) {
    return fmt::format("error: {}", error.message());
  }
  ::chmod(place.path().c_str(), 0755);
  const timespec times[2] = {{.tv_sec = 5, .tv_nsec = 0}, {.tv_sec = 5, .tv_nsec = 0}};
  ::utimensat(AT_FDCWD, place.path().c_str(), times, 0);
  return picture(files::open(place.path(), O_RDONLY | O_DIRECTORY).get());
}

std::string side_by_side(const std::vector<Layer>& layers, int* again = nullptr) {
  const files::TemporaryDirectory place("/tmp", "store-order-");
  std::vector<std::string> below;  // bottom first
  try {
    std::vector<std::unique_ptr<LayerApplier>> appliers;
    for (size_t i = 0; i < layers.size(); ++i) {  // as a pull does: none knows the others
      const std::string directory = fmt::format("{}/{}", place.path(), i);
      files::make_directories(directory);
      appliers.push_back(std::make_unique<LayerApplier>(directory, ApplyOptions{}));
      appliers.back()->write(tar(layers[i]));
      appliers.back()->end();
    }
    for (size_t i = 0; i < layers.size(); ++i) {
      std::string directory = appliers[i]->directory();
      if (appliers[i]->finish(below) == LayerApplier::Finish::kApplyAgain) {
        directory = fmt::format("{}/again{}", place.path(), i);
        files::make_directories(directory);
        appliers[i] = std::make_unique<LayerApplier>(directory, ApplyOptions{.parents = below});
        appliers[i]->write(tar(layers[i]));
        appliers[i]->end();
        appliers[i]->finish(below);
        if (again != nullptr) {
          ++*again;
        }
      }
      if (appliers[i]->facts().opaque_root) {
        below.clear();
      }
      below.push_back(directory);
    }
  } catch (const Error& error) {
    return fmt::format("error: {}", error.message());
  }
  const timespec times[2] = {{.tv_sec = 5, .tv_nsec = 0}, {.tv_sec = 5, .tv_nsec = 0}};
  ::utimensat(AT_FDCWD, below.back().c_str(), times, 0);
  const Fd mount = unionfs::mount_overlay({.lowers = {below.rbegin(), below.rend()}});
  return picture(mount.get());
}

bool is_error(const std::string& picture) { return picture.starts_with("error"); }

class LayerOrder : public ::testing::Test {
 protected:
  void SetUp() override {
    if (!is_root()) {
      GTEST_SKIP() << "overlay mounts need root";
    }
  }
  static void expect_same(const std::vector<Layer>& layers) {
    const std::string one = in_order(layers);
    const std::string other = side_by_side(layers);
    if (is_error(one) || is_error(other)) {
      EXPECT_EQ(is_error(one), is_error(other)) << one << "\n---\n" << other;
    } else {
      EXPECT_EQ(one, other);
    }
  }
};

TEST_F(LayerOrder, DirectoriesThatALayerDoesNotDescribeKeepTheirAttributes) {
  expect_same({{directory("a", 0700), directory("a/b", 01777), file("a/b/old")}, {file("a/b/new")}});
}

TEST_F(LayerOrder, APathLeadsThroughALinkOfALowerLayer) {
  int again = 0;
  const std::vector<Layer> layers = {{directory("usr"), directory("usr/lib"), link("lib", "usr/lib")}, {file("lib/libc.so")}};
  EXPECT_NE(side_by_side(layers, &again).find("usr/lib/libc.so"), std::string::npos);
  EXPECT_EQ(again, 1);
  expect_same(layers);
}

TEST_F(LayerOrder, ADirectoryReplacesALinkThatItIsNamedLike) {
  expect_same({{directory("usr"), directory("usr/lib"), link("lib", "usr/lib")}, {directory("lib"), file("lib/x")}});
}

TEST_F(LayerOrder, AHardLinkToAFileOfALowerLayer) {
  expect_same({{directory("d", 0711), file("d/a", "hello", 04755)}, {hard_link("d/b", "d/a"), hard_link("c", "d/a")}});
}

TEST_F(LayerOrder, WhiteoutsHideOnlyWhatIsBelow) {
  const std::vector<Layer> base = {{directory("a"), file("a/1"), file("a/2"), directory("a/d"), file("a/d/x")}};
  for (const Layer& layer : std::vector<Layer>{
           {file("a/.wh.1", "")},
           {file("a/.wh.d", "")},
           {file(".wh.a", "")},
           {file("a/1", "new"), file("a/.wh.1", "")},
           {file("a/.wh.1", ""), file("a/1", "new")},
           {file(".wh.a", ""), directory("a", 0700), file("a/new")},
           {directory("a", 0700), file("a/new"), file(".wh.a", "")},
           {directory("a"), file("a/.wh..wh..opq", ""), file("a/new")},
           {directory("a"), file("a/new"), file("a/.wh..wh..opq", "")},
           {file(".wh..wh..opq", ""), file("only")},
           {file("only"), file(".wh..wh..opq", "")},
           {directory("a"), directory("a/d", 0700), file("a/.wh..wh..opq", "")},
           {file("a", "a file over a directory")},
           {file("a"), directory("a"), file("a/again")},
           {directory("a/1"), file("a/1/deep")},
           {file("none/.wh.x", "")},
           {file("a/none/deep/.wh.x", "")},
           {file("a/.wh.none", "")}}) {
    expect_same({base[0], layer});
    expect_same({base[0], layer, {file("a/later")}});
  }
}

TEST_F(LayerOrder, RandomLayers) {
  std::mt19937 random(20240501);
  const auto pick = [&](size_t count) { return static_cast<size_t>(random() % count); };
  const std::vector<std::string> names = {"a", "b", "c"};
  const auto path = [&] {
    std::string result = names[pick(3)];
    for (size_t depth = pick(3); depth > 0; --depth) {
      result += "/" + names[pick(3)];
    }
    return result;
  };
  const auto whiteout = [&](const std::string& of) {
    const size_t slash = of.rfind('/');
    return slash == std::string::npos ? ".wh." + of : of.substr(0, slash + 1) + ".wh." + of.substr(slash + 1);
  };
  int refused = 0;
  for (int round = 0; round < 150 && !HasFailure(); ++round) {
    std::vector<Layer> layers(1 + pick(3));
    std::string story;
    for (Layer& layer : layers) {
      story += "layer:\n";
      for (size_t entries = 1 + pick(6); entries > 0; --entries) {
        const size_t kind = pick(10);
        const std::string name = path();
        layer.push_back(kind < 3   ? file(name, fmt::format("{}", random() % 100))
                        : kind < 6 ? directory(name, pick(2) == 0 ? 0755 : 0711)
                        : kind < 7 ? link(name, pick(2) == 0 ? "/" + path() : path())
                        : kind < 8 ? hard_link(name, path())
                        : kind < 9 ? file(whiteout(name), "")
                                   : file(name + "/.wh..wh..opq", ""));
        story += fmt::format("  {} {} {}\n", static_cast<int>(layer.back().entry.type), layer.back().entry.name, layer.back().entry.link);
      }
    }
    const std::string one = in_order(layers);
    const std::string other = side_by_side(layers);
    refused += is_error(one) ? 1 : 0;
    if (is_error(one) || is_error(other)) {
      EXPECT_EQ(is_error(one), is_error(other)) << story << one << "\n---\n" << other;
    } else {
      EXPECT_EQ(one, other) << story;
    }
  }
  EXPECT_LT(refused, 120);
}

}  // namespace
}  // namespace jigsaw::image

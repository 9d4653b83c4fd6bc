// The store: names, blobs, layers, the embedded image, clean-up.
#include "image/store.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "base/error.h"
#include "image/embedded.h"
#include "image/names.h"
#include "image/unpack.h"
#include "rootfs/base_tree.h"

namespace jigsaw::image {
namespace {

using ::testing::HasSubstr;

std::string_view busybox() {
  for (const rootfs::BaseLayer& layer : rootfs::base_layers()) {
    for (const rootfs::BaseEntry& entry : layer.entries) {
      if (entry.path == "bin/busybox") {
        return entry.content;
      }
    }
  }
  return {};
}

class StoreTest : public ::testing::Test {
 protected:
  files::TemporaryDirectory place_{"/tmp", "store-test-"};
  Store store_ = Store::open(place_.path() + "/root");
};

TEST_F(StoreTest, TheEmbeddedImageIsTheSameEveryTime) {
  const Descriptor first = add_embedded(store_);
  const Store other = Store::open(place_.path() + "/other");
  EXPECT_EQ(add_embedded(other).digest, first.digest);
  const Image image = store_.image(kEmbeddedName);
  EXPECT_EQ(image.manifest.layers.size(), 3U);
  // This busybox, this image: a change of the tables or of a writer shows here.
  if (digest_of(busybox()).hex() == "3d9f2889d6782537624a4e1a10e68a2ddd53e0ee8bac02676f27308f42ec6bf6") {
    EXPECT_EQ(first.digest.text(), "sha256:bf28478721d411ee92819d7495223a2a629b52b6d3acbed89b643a67a6b32bd7");
  }
}

TEST_F(StoreTest, LayersAreUnpackedOnceAndShared) {
  add_embedded(store_);
  const Image image = store_.image(kEmbeddedName);
  const std::vector<LayerDirectory> layers = store_.unpack_image(image, {});
  ASSERT_EQ(layers.size(), 3U);
  EXPECT_EQ(files::read(layers[0].path + "/bin/busybox"), busybox());
  EXPECT_EQ(store_.unpack_image(image, {})[2].path, layers[2].path);
  EXPECT_EQ(store_.lower_directories(layers).front(), layers[2].path);
  EXPECT_TRUE(files::list(store_.temporary_directory()).empty());
}

TEST_F(StoreTest, ImagesAreFoundByNameDigestAndBeginningOfTheirId) {
  const Descriptor manifest = add_embedded(store_);
  const Image image = store_.image(kEmbeddedName);
  EXPECT_EQ(store_.find(image.id().short_id())->descriptor.digest, manifest.digest);
  EXPECT_EQ(store_.find(image.id().text())->descriptor.digest, manifest.digest);
  EXPECT_EQ(store_.find("docker.io/jigsaw/base@" + manifest.digest.text())->descriptor.digest, manifest.digest);
  EXPECT_FALSE(store_.find("docker.io/other/base@" + manifest.digest.text()));
  EXPECT_FALSE(store_.find("docker.io/jigsaw/base:other"));
}

TEST_F(StoreTest, ANameMovesAndItsFormerImageStaysWithoutOne) {
  const Descriptor manifest = add_embedded(store_);
  const Descriptor other = store_.add_blob("{}", media::kManifest);
  store_.tag("x:1", manifest);
  store_.tag("x:1", other);
  EXPECT_EQ(store_.tags().size(), 2U);  // the embedded image keeps its first name
  EXPECT_TRUE(store_.untag("docker.io/jigsaw/base:latest"));
  store_.tag("x:1", manifest);
  ASSERT_EQ(store_.tags().size(), 2U);
  EXPECT_EQ(store_.tags()[0].name, "");
}

TEST_F(StoreTest, CleanUpRemovesWhatNothingNeeds) {
  const Descriptor manifest = add_embedded(store_);
  store_.unpack_image(store_.image(kEmbeddedName), {});
  store_.add_blob("nobody wants this", media::kLayer);
  files::make_directories(store_.temporary_directory() + "/layer-of-a-killed-process/diff");
  EXPECT_EQ(store_.collect(Store::Wait::kYes)->blobs, 1U);
  EXPECT_TRUE(files::list(store_.temporary_directory()).empty());
  store_.hold("container-1", {.images = {manifest.digest}, .blobs = {}, .layers = {}});
  store_.remove_image(manifest.digest);
  EXPECT_EQ(store_.collect(Store::Wait::kYes)->layers, 0U);
  store_.release("container-1");
  const auto collected = store_.collect(Store::Wait::kYes);
  EXPECT_EQ(collected->layers, 3U);
  EXPECT_EQ(collected->blobs, 5U);
  EXPECT_TRUE(files::list(store_.root() + "/blobs/sha256").empty());
}

TEST_F(StoreTest, ARootThatAPowerCutEmptiedStopsNoCleanUp) {
  const Descriptor manifest = add_embedded(store_);
  store_.hold("container-1", {.images = {manifest.digest}, .blobs = {}, .layers = {}});
  for (const char* text : {"", R"({"layers": [7]})", R"({"images": ["sha256:1"]})"}) {
    files::replace(store_.root() + "/roots/container-2", text);
    EXPECT_EQ(store_.collect(Store::Wait::kYes)->blobs, 0U) << text;
  }
}

TEST_F(StoreTest, TheNearestNameIsOneThatIsHere) {
  const Descriptor manifest = add_embedded(store_);
  EXPECT_EQ(nearest_name(Store::open(place_.path() + "/empty"), "jigsaw/bse"), "jigsaw/base") << "it is always here";
  store_.tag("docker.io/library/ab:latest", manifest);
  store_.tag("localhost:5000/me/thing:1.0", manifest);
  EXPECT_EQ(nearest_name(store_, "jigsaw/base:ltest"), "jigsaw/base");
  EXPECT_EQ(nearest_name(store_, "localhost:5000/me/thnig:1.0"), "localhost:5000/me/thing:1.0");
  EXPECT_EQ(nearest_name(store_, "xy"), std::nullopt) << "the usual tag, which both have, makes them no nearer";
}

TEST_F(StoreTest, CleanUpWaitsForUsers) {
  const files::Lock lock = store_.use();
  EXPECT_FALSE(store_.collect(Store::Wait::kNo));
}

TEST_F(StoreTest, ABlobWithAnotherDigestIsRefused) {
  BlobWriter writer = store_.new_blob();
  writer.write("hello");
  EXPECT_THROW(writer.commit(digest_of("other")), Error);
  EXPECT_FALSE(store_.has_blob(digest_of("hello")));
}

TEST_F(StoreTest, ADamagedBlobIsNoticed) {
  const Descriptor blob = store_.add_blob("hello", media::kConfig);
  files::replace(store_.blob_path(blob.digest), "hallo");
  EXPECT_THROW(store_.read_blob(blob, 100), Error);
}

TEST_F(StoreTest, ANewerSchemaIsRefused) {
  files::replace(store_.root() + "/jigsaw.json", R"({"schema": 2})");
  EXPECT_THROW(Store::open(store_.root()), Error);
}

TEST_F(StoreTest, TooManyAndTooFewDiffIdsAreRefused) {
  add_embedded(store_);
  Image image = store_.image(kEmbeddedName);
  image.config.diff_ids.pop_back();
  EXPECT_THROW(store_.unpack_image(image, {}), Error);
  image = store_.image(kEmbeddedName);
  std::swap(image.config.diff_ids[0], image.config.diff_ids[1]);
  try {
    store_.unpack_image(image, {});
    FAIL() << "swapped diff_ids were accepted";
  } catch (const Error& error) {
    EXPECT_THAT(error.message(), HasSubstr("but the config says"));
  }
  EXPECT_TRUE(files::list(store_.temporary_directory()).empty());
}

TEST_F(StoreTest, TheStoreIsALayoutThatUnpackReads) {
  add_embedded(store_);
  const LayoutImage layout = open_layout(store_.root(), kEmbeddedName);
  const std::string out = place_.path() + "/out";
  unpack_image(layout.image, layout.open, out, {});
  EXPECT_EQ(files::read(out + "/bin/busybox"), busybox());
  EXPECT_THAT(files::read(out + "/etc/passwd"), HasSubstr("root:x:0:0"));
  EXPECT_THROW(unpack_image(layout.image, layout.open, out, {}), Error);  // not empty
  EXPECT_THROW(open_layout(store_.root(), "none"), Error);
}

}  // namespace
}  // namespace jigsaw::image

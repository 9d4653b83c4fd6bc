#include "image/layout.h"

#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>

#include <algorithm>

#include "base/error.h"
#include "base/files.h"
#include "base/text.h"

namespace jigsaw::image {
namespace {

constexpr size_t kBuffer = 256U << 10;
constexpr std::string_view kMarker = R"({"imageLayoutVersion":"1.0.0"})";

std::string blob_name(const Digest& digest) {
  return fmt::format("blobs/{}/{}", digest.algorithm_name(), digest.hex());
}

std::string tag_of(const Descriptor& entry) {
  const auto found = entry.annotations.find(std::string(kRefNameAnnotation));
  return found == entry.annotations.end() ? "" : found->second;
}

class Directory : public LayoutFiles {
 public:
  explicit Directory(std::string path) : path_(std::move(path)) {
    if (!files::exists(path_ + "/oci-layout")) {
      throw Error(fmt::format("{} is no image layout: it has no oci-layout", path_),
                  "an image layout is what skopeo copy … oci:DIR:TAG makes");
    }
  }
  std::string text(const std::string& name, size_t limit) override { return files::read(path_ + "/" + name, limit); }
  void read(const std::string& name, const Source::Take& take) override {
    const Fd file = files::open(path_ + "/" + name, O_RDONLY | O_NONBLOCK);
    struct stat status {};
    check(::fstat(file.get(), &status), "stat {}", name);
    if (!S_ISREG(status.st_mode)) {
      throw fail("{}/{} is no file", path_, name);
    }
    std::string buffer(kBuffer, '\0');
    while (const auto got = check(::read(file.get(), buffer.data(), buffer.size()), "read {}", name)) {
      take(std::string_view(buffer).substr(0, static_cast<size_t>(got)));
    }
  }

 private:
  std::string path_;
};

class Archive : public LayoutFiles {
 public:
  explicit Archive(std::shared_ptr<TarIndex> archive) : archive_(std::move(archive)) {}
  std::string text(const std::string& name, size_t limit) override { return archive_->read(name, limit); }
  void read(const std::string& name, const Source::Take& take) override { archive_->read(name, take); }

 private:
  std::shared_ptr<TarIndex> archive_;
};

void add_entry(Index& index, const Descriptor& descriptor, const std::string& tag) {
  std::erase_if(index.manifests, [&](const Descriptor& each) {
    return tag.empty() ? each.digest == descriptor.digest : tag_of(each) == tag;
  });
  Descriptor entry = descriptor;
  entry.annotations.clear();
  if (!tag.empty()) {
    entry.annotations[std::string(kRefNameAnnotation)] = tag;
  }
  index.manifests.push_back(std::move(entry));
}

}  // namespace

std::unique_ptr<LayoutFiles> layout_directory(const std::string& directory) { return std::make_unique<Directory>(directory); }
std::unique_ptr<LayoutFiles> layout_archive(std::shared_ptr<TarIndex> archive) {
  return std::make_unique<Archive>(std::move(archive));
}

LayoutSource::LayoutSource(std::unique_ptr<LayoutFiles> files, std::string tag, std::string description)
    : files_(std::move(files)), tag_(std::move(tag)), description_(std::move(description)) {}

Index LayoutSource::entries(LayoutFiles& files, const std::string& description) {
  check_layout_version(files.text("oci-layout", 4096), description);
  return parse_index(files.text("index.json", kIndexLimit), "index.json of " + description);
}

std::optional<FetchedManifest> LayoutSource::root(const std::optional<Digest>& known) {
  const Index index = entries(*files_, description_);
  std::vector<Descriptor> found;
  for (const Descriptor& each : index.manifests) {
    if (tag_.empty() || tag_of(each) == tag_ || each.digest.text() == tag_) {
      found.push_back(each);
    }
  }
  if (found.empty() || (tag_.empty() && found.size() > 1)) {
    std::vector<std::string> tags;
    for (const Descriptor& each : index.manifests) {
      tags.push_back(tag_of(each));
    }
    throw Error(found.empty() ? fmt::format("{} has no image {}{}", description_, tag_, about_foreign(index))
                              : fmt::format("{} has more than one image", description_),
                fmt::format("it has: {}", fmt::join(tags, ", ")));
  }
  if (std::any_of(found.begin(), found.end(), [&](const Descriptor& each) { return each.digest != found.front().digest; })) {
    throw fail("{} names two images {}", description_, text::quoted(tag_));
  }
  if (known && *known == found.front().digest) {
    return std::nullopt;
  }
  FetchedManifest document = this->document(found.front());
  document.media_type = found.front().media_type;
  return document;
}

FetchedManifest LayoutSource::document(const Descriptor& descriptor) {
  return {fetch_text(*this, descriptor, kManifestLimit), descriptor.media_type, descriptor.digest};
}

void LayoutSource::fetch(const Descriptor& descriptor, const Take& take) {
  uint64_t size = 0;
  files_->read(blob_name(descriptor.digest), [&](std::string_view bytes) {
    size += bytes.size();
    if (size > descriptor.size) {
      throw fail("{} has more than the {} bytes of its descriptor", descriptor.digest.text(), descriptor.size);
    }
    take(bytes);
  });
  if (size != descriptor.size) {
    throw fail("{} has {} bytes, not {} as its descriptor says", descriptor.digest.text(), size, descriptor.size);
  }
}

// --- writing a directory

LayoutDestination::LayoutDestination(std::string directory, std::string tag)
    : directory_(std::move(directory)), tag_(std::move(tag)) {
  files::make_directories(directory_ + "/blobs/sha256");
  if (!files::exists(directory_ + "/oci-layout")) {
    files::replace(directory_ + "/oci-layout", kMarker, {.mode = 0644});
  }
}

std::string LayoutDestination::blob_path(const Digest& digest) const { return directory_ + "/" + blob_name(digest); }

bool LayoutDestination::has(const Descriptor& blob) { return files::exists(blob_path(blob.digest)); }

void LayoutDestination::put(const Descriptor& blob, const Open& open) {
  put_stream(open, [&] { return blob.digest; });
}

void LayoutDestination::put_stream(const Open& open, const std::function<Digest()>& finished) {
  const std::string temporary = fmt::format("{}/blobs/.{}", directory_, files::random_hex(8));
  try {
    const Fd file = files::open(temporary, O_WRONLY | O_CREAT | O_EXCL, 0644);
    const Read read = open();
    std::string buffer(kBuffer, '\0');
    while (const size_t got = read(buffer)) {
      files::write_all(file.get(), std::string_view(buffer).substr(0, got), temporary);
    }
    const std::string place = blob_path(finished());
    files::make_directories(place.substr(0, place.rfind('/')));
    check(::rename(temporary.c_str(), place.c_str()), "rename {} to {}", temporary, place);
  } catch (...) {
    ::unlink(temporary.c_str());
    throw;
  }
}

void LayoutDestination::put_document(const std::string& text, const Descriptor& descriptor, Role role) {
  files::replace(blob_path(descriptor.digest), text, {.mode = 0644});
  if (role == Role::kRoot) {
    const std::string path = directory_ + "/index.json";
    const auto before = files::read_if_exists(path, kIndexLimit);
    Index index = before ? parse_index(*before, path) : Index{.manifests = {}};
    add_entry(index, descriptor, tag_);
    files::replace(path, write_index(index), {.mode = 0644});
  }
}

// --- writing an archive

LayoutArchiveDestination::LayoutArchiveDestination(const std::string& path, const std::string& temporary_directory)
    : writer_(path, temporary_directory), index_{.manifests = {}} {
  writer_.add("oci-layout", kMarker);
  writer_.add_directory("blobs/");
  writer_.add_directory("blobs/sha256/");
}

void LayoutArchiveDestination::put(const Descriptor& blob, const Open& open) {
  writer_.add(blob_name(blob.digest), [&](const ArchiveWriter::Put& write) {
    const Read read = open();
    std::string buffer(kBuffer, '\0');
    while (const size_t got = read(buffer)) {
      write(std::string_view(buffer).substr(0, got));
    }
  });
  written_.insert(blob.digest.text());
}

void LayoutArchiveDestination::put_stream(const Open&, const std::function<Digest()>&) {
  throw Error("an archive's layers can't be compressed on the way");
}

void LayoutArchiveDestination::put_document(const std::string& text, const Descriptor& descriptor, Role role) {
  if (written_.insert(descriptor.digest.text()).second) {
    writer_.add(blob_name(descriptor.digest), text);
  }
  if (role == Role::kRoot) {
    add_entry(index_, descriptor, tag_);
  }
}

void LayoutArchiveDestination::close() {
  writer_.add("index.json", write_index(index_));
  writer_.finish();
}

}  // namespace jigsaw::image

# What comes from the distribution. Everything here is a Debian package (see quickstart).

find_package(PkgConfig REQUIRED)
find_package(fmt REQUIRED)            # libfmt-dev
find_package(CLI11 REQUIRED)          # libcli11-dev
find_package(nlohmann_json REQUIRED)  # nlohmann-json3-dev
find_package(Threads REQUIRED)
if(JIGSAW_TESTS)
  find_package(GTest REQUIRED)        # libgtest-dev libgmock-dev
endif()

# fmt has no static archive in Debian, so a static program takes its headers.
target_link_libraries(jigsaw_flags INTERFACE fmt::fmt-header-only)

# What image and build need where no network is involved: hashes, decompression, and libarchive for the formats that
# Dockerfiles and `import` meet. Static archives, so that a static program can take them; the linker leaves out what
# is not used. A program links this one or jigsaw_remote_libraries, never both.
add_library(jigsaw_local_libraries INTERFACE)
foreach(library archive crypto zstd lzma bz2 z)
  find_library(JIGSAW_STATIC_${library} NAMES lib${library}.a REQUIRED)
  mark_as_advanced(JIGSAW_STATIC_${library})
  target_link_libraries(jigsaw_local_libraries INTERFACE ${JIGSAW_STATIC_${library}})
endforeach()
target_link_libraries(jigsaw_local_libraries INTERFACE Threads::Threads)

# What moves images over the network, on top of that: for dynamically linked programs (05-image, jigsaw-transfer).
pkg_check_modules(JIGSAW_REMOTE REQUIRED IMPORTED_TARGET libcurl libisal libzstd libcrypto libarchive)
add_library(jigsaw_remote_libraries INTERFACE)
target_link_libraries(jigsaw_remote_libraries INTERFACE PkgConfig::JIGSAW_REMOTE Threads::Threads)

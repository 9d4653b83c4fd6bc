# What comes from the distribution. Everything here is a Debian package (see quickstart).

find_package(PkgConfig REQUIRED)
find_package(fmt REQUIRED)            # libfmt-dev
find_package(CLI11 REQUIRED)          # libcli11-dev
find_package(nlohmann_json REQUIRED)  # nlohmann-json3-dev
find_package(Threads REQUIRED)
if(JIGSAW_TESTS)
  find_package(GTest REQUIRED)        # libgtest-dev libgmock-dev
endif()

# fmt has no static archive in Debian. Version 9 is compiled once, in lib/base/fmt_library.cpp; others, whose insides
# differ, are taken header-only, which works with any but makes each of our files slower to compile.
if(fmt_VERSION VERSION_GREATER_EQUAL 9 AND fmt_VERSION VERSION_LESS 10)
  get_target_property(fmt_headers fmt::fmt-header-only INTERFACE_INCLUDE_DIRECTORIES)
  target_include_directories(jigsaw_flags SYSTEM INTERFACE ${fmt_headers})
else()
  target_link_libraries(jigsaw_flags INTERFACE fmt::fmt-header-only)
endif()

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
pkg_check_modules(JIGSAW_REMOTE REQUIRED IMPORTED_TARGET libcurl libdeflate libisal libzstd libcrypto libarchive zlib)
add_library(jigsaw_remote_libraries INTERFACE)
target_link_libraries(jigsaw_remote_libraries INTERFACE PkgConfig::JIGSAW_REMOTE Threads::Threads)

# The compiler of system call filters, as an archive: jigsaw and jigsaw-oci are static.
find_library(JIGSAW_SECCOMP NAMES libseccomp.a REQUIRED)  # libseccomp-dev
mark_as_advanced(JIGSAW_SECCOMP)

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

# How every target of this project is compiled, and the two functions that declare one.

set(CMAKE_CXX_STANDARD 20)
set(CMAKE_CXX_STANDARD_REQUIRED ON)
set(CMAKE_CXX_EXTENSIONS OFF)
set(CMAKE_EXPORT_COMPILE_COMMANDS ON)
if(NOT CMAKE_BUILD_TYPE)
  set(CMAKE_BUILD_TYPE RelWithDebInfo CACHE STRING "" FORCE)
endif()
set(JIGSAW_OPTIMISE "-O2 -g1" CACHE STRING "optimisation and debug information of the default build type")
set(CMAKE_CXX_FLAGS_RELWITHDEBINFO "${JIGSAW_OPTIMISE}")

add_library(jigsaw_flags INTERFACE)
target_compile_options(jigsaw_flags INTERFACE
  -Wall -Wextra -Wshadow -Wnon-virtual-dtor -Wold-style-cast -Wno-missing-field-initializers
  -fPIE -ffunction-sections -fdata-sections)
target_compile_definitions(jigsaw_flags INTERFACE _GNU_SOURCE JIGSAW_VERSION="${PROJECT_VERSION}")
target_include_directories(jigsaw_flags INTERFACE ${PROJECT_SOURCE_DIR}/lib)
target_link_options(jigsaw_flags INTERFACE -Wl,--gc-sections)
if(JIGSAW_WERROR)
  target_compile_options(jigsaw_flags INTERFACE -Werror)
endif()
if(JIGSAW_PRECOMPILE AND CMAKE_CXX_COMPILER_ID STREQUAL GNU)
  # It forgets that a precompiled <string> is the system's, and shows the false alarms in it.
  target_compile_options(jigsaw_flags INTERFACE -Wno-array-bounds -Wno-stringop-overread)
endif()
if(JIGSAW_SANITIZE)
  set(JIGSAW_STATIC OFF)
  target_compile_definitions(jigsaw_flags INTERFACE JIGSAW_SANITIZED)
  target_compile_options(jigsaw_flags INTERFACE
    -fsanitize=${JIGSAW_SANITIZE} -fno-sanitize-recover=all -fno-omit-frame-pointer)
  target_link_options(jigsaw_flags INTERFACE -fsanitize=${JIGSAW_SANITIZE})
endif()

# jigsaw_precompile(unit_base HEADERS...): what nearly all its files include is read once, not by each of them. What few include
# (JSON, command lines) is no gain: every file would compile the inline functions of it.
function(jigsaw_precompile name)
  target_precompile_headers(${name} PRIVATE <algorithm> <functional> <map> <optional> <string> <vector> <fmt/format.h> ${ARGN})
endfunction()

# jigsaw_optimise(jigsaw_base TRUE)
#
# Time goes into system calls where a container is made, and memory into the pages of the program: small code is the fastest there.
# With JIGSAW_PRECOMPILE, headers are read once for all that is small and once for the rest, by the first target of each.
function(jigsaw_optimise name small)
  if(JIGSAW_SANITIZE)
    set(small FALSE)
  elseif(small)
    target_compile_options(${name} PRIVATE -Os)
  endif()
  get_property(reader GLOBAL PROPERTY jigsaw_precompiled_${small})
  if(JIGSAW_PRECOMPILE AND reader)
    target_precompile_headers(${name} REUSE_FROM ${reader})
  elseif(JIGSAW_PRECOMPILE)
    jigsaw_precompile(${name})
    set_property(GLOBAL PROPERTY jigsaw_precompiled_${small} ${name})
  endif()
endfunction()

# jigsaw_library(image [SMALL] DEPENDS base unionfs EXTERNAL PkgConfig::archive)
#
# One folder below lib/, one target, one namespace. DEPENDS are the folders it may include; a gtest
# reads the #include lines and holds them against this list.
function(jigsaw_library name)
  cmake_parse_arguments(ARG "SMALL" "" "DEPENDS;EXTERNAL" ${ARGN})
  file(GLOB sources CONFIGURE_DEPENDS ${CMAKE_CURRENT_SOURCE_DIR}/*.cpp ${CMAKE_CURRENT_SOURCE_DIR}/*.S)
  add_library(jigsaw_${name} STATIC ${sources})
  list(TRANSFORM ARG_DEPENDS PREPEND jigsaw_)
  target_link_libraries(jigsaw_${name} PUBLIC ${ARG_DEPENDS} jigsaw_flags PRIVATE ${ARG_EXTERNAL})
  jigsaw_optimise(jigsaw_${name} ${ARG_SMALL})
endfunction()

# jigsaw_program(01-process SOURCES main.cpp LINK jigsaw_base jigsaw_process [STATIC] [SMALL] [LIBEXEC])
#
# An executable. STATIC ones are linked without a dynamic loader when JIGSAW_STATIC is on. It is installed in bin, or with
# LIBEXEC in libexec/jigsaw: then it is executed by another program of ours, never typed by a user.
add_custom_target(programs)
function(jigsaw_program name)
  cmake_parse_arguments(ARG "STATIC;SMALL;LIBEXEC" "" "SOURCES;LINK" ${ARGN})
  add_executable(${name} ${ARG_SOURCES})
  add_dependencies(programs ${name})
  target_link_libraries(${name} PRIVATE ${ARG_LINK} jigsaw_flags)
  jigsaw_optimise(${name} ${ARG_SMALL})
  if(ARG_STATIC AND JIGSAW_STATIC)
    # -static-pie, not -static: the unwinder of a plain static program sorts all its tables, three milliseconds, when the
    # first exception is thrown.
    target_link_options(${name} PRIVATE -static-pie -Wl,-T,${PROJECT_SOURCE_DIR}/cmake/seldom_run.ld)
    set_property(TARGET ${name} APPEND PROPERTY LINK_DEPENDS ${PROJECT_SOURCE_DIR}/cmake/seldom_run.ld)
  endif()
  # Each file of a command line would compile the whole of CLI11 anew, five seconds of its seven.
  set_target_properties(${name} PROPERTIES RUNTIME_OUTPUT_DIRECTORY ${PROJECT_BINARY_DIR}/bin UNITY_BUILD ON UNITY_BUILD_BATCH_SIZE 8)
  if(ARG_LIBEXEC)
    install(TARGETS ${name} RUNTIME DESTINATION ${CMAKE_INSTALL_LIBEXECDIR}/jigsaw)
  else()
    install(TARGETS ${name} RUNTIME DESTINATION ${CMAKE_INSTALL_BINDIR})
  endif()
endfunction()

# The program begins in lib/runtime/own_binary_entry.cpp where it is static and the processor is one that file knows;
# elsewhere its main() does the same.
function(jigsaw_leaves_own_binary name)
  if(JIGSAW_STATIC AND CMAKE_SYSTEM_PROCESSOR MATCHES "x86_64|amd64")
    target_link_options(${name} PRIVATE -Wl,-e,jigsaw_entry -Wl,-u,jigsaw_entry)
  endif()
endfunction()

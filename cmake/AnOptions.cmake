# What a user may choose at configure time.
set(CMAKE_C_STANDARD 11)
set(CMAKE_C_STANDARD_REQUIRED ON)
set(CMAKE_C_EXTENSIONS OFF)
set(CMAKE_EXPORT_COMPILE_COMMANDS ON)

if(NOT CMAKE_BUILD_TYPE)
  set(CMAKE_BUILD_TYPE RelWithDebInfo CACHE STRING "Build type" FORCE)
endif()
# RelWithDebInfo is what is shipped and measured: full optimisation, symbols for perf and gdb.
set(CMAKE_C_FLAGS_RELWITHDEBINFO "-O3 -g")

set(AN_SANITIZE "" CACHE STRING "Sanitizers for every target: address,undefined or thread")
set(AN_CUDA AUTO CACHE STRING "CUDA backend: AUTO (if a toolkit is found), ON (required), OFF")
set_property(CACHE AN_CUDA PROPERTY STRINGS AUTO ON OFF)
set(AN_MPI AUTO CACHE STRING "Replicas in several processes: AUTO (if an MPI is found), ON (required), OFF")
set_property(CACHE AN_MPI PROPERTY STRINGS AUTO ON OFF)
option(AN_FUZZ "Build the libFuzzer targets (needs clang)" OFF)
# For pyproject.toml and tools/wheel.sh.
option(AN_ONLY_PYTHON "Only what the Python package consists of; then neither oneDNN, OpenBLAS, CUDA, Cairo nor cmocka is needed" OFF)
option(AN_ONLY_DECODER "Only the module that decodes on CUDA devices, for the package an-loader-cuda13; needs the CUDA toolkit alone" OFF)
option(AN_STATIC_ARCHIVE "Link libarchive statically: of its formats, programs then hold only those that they read" OFF)
option(AN_WERROR "Warnings are errors" ON)

# Repeated builds of the same sources (presets, branches) come out of ccache where it is installed.
find_program(AN_CCACHE ccache)
if(AN_CCACHE AND NOT CMAKE_C_COMPILER_LAUNCHER)
  set(CMAKE_C_COMPILER_LAUNCHER "${AN_CCACHE}")
  set(CMAKE_CUDA_COMPILER_LAUNCHER "${AN_CCACHE}")
endif()

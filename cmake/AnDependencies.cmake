# Libraries, all from Debian 12. docs/architecture.md says why each is here.
find_package(PkgConfig REQUIRED)
find_package(Threads REQUIRED)

# an_dependency(NAME pkg-config-module package): imported target an::NAME, or an error that names the Debian package.
function(an_dependency name module package)
  pkg_check_modules(AN_DEP_${name} IMPORTED_TARGET GLOBAL ${module})
  if(NOT AN_DEP_${name}_FOUND)
    message(FATAL_ERROR "${module} not found: install it with 'apt-get install ${package}'")
  endif()
  add_library(an::${name} ALIAS PkgConfig::AN_DEP_${name})
endfunction()

an_dependency(lmdb lmdb liblmdb-dev)
an_dependency(jpeg libjpeg libjpeg62-turbo-dev)
an_dependency(uring liburing liburing-dev)
an_dependency(xxhash libxxhash libxxhash-dev)
an_dependency(jansson jansson libjansson-dev)
an_dependency(zlib zlib zlib1g-dev)
an_dependency(png libpng libpng-dev)
if(NOT AN_STATIC_ARCHIVE)
  an_dependency(archive libarchive libarchive-dev)
else()
  add_library(an_archive INTERFACE)
  foreach(library archive lzma bz2 zstd lz4) # libarchive, and what it unpacks with
    find_library(AN_STATIC_${library} lib${library}.a)
    if(NOT AN_STATIC_${library})
      message(FATAL_ERROR "lib${library}.a not found: tools/packages.sh wheel installs it")
    endif()
    target_link_libraries(an_archive INTERFACE "${AN_STATIC_${library}}")
  endforeach()
  target_link_libraries(an_archive INTERFACE an::zlib)
  add_library(an::archive ALIAS an_archive)
endif()
if(AN_ONLY_PYTHON)
  return()
endif()

an_dependency(matio matio libmatio-dev)
an_dependency(cairo cairo libcairo2-dev)
an_dependency(pango pangocairo libpango1.0-dev)
an_dependency(openblas openblas libopenblas-dev)
an_dependency(cmocka cmocka libcmocka-dev)

# Not through oneDNN's own CMake package: Debian's asks for OpenCL headers that nothing here uses.
find_path(AN_DNNL_INCLUDE oneapi/dnnl/dnnl.h)
find_library(AN_DNNL_LIBRARY dnnl)
if(NOT AN_DNNL_INCLUDE OR NOT AN_DNNL_LIBRARY)
  message(FATAL_ERROR "oneDNN not found: install it with 'apt-get install libdnnl-dev'")
endif()
file(STRINGS "${AN_DNNL_INCLUDE}/oneapi/dnnl/dnnl_version.h" AN_DNNL_DEFINES REGEX "DNNL_VERSION_(MAJOR|MINOR|PATCH) [0-9]+")
string(REGEX REPLACE "[^0-9;]" "" AN_DNNL_VERSION "${AN_DNNL_DEFINES}")
string(REPLACE ";" "." AN_DNNL_VERSION "${AN_DNNL_VERSION}")
string(REGEX MATCH "^[0-9]+" AN_DNNL_MAJOR "${AN_DNNL_VERSION}")
if(NOT AN_DNNL_MAJOR MATCHES "^[23]$")
  message(FATAL_ERROR "oneDNN ${AN_DNNL_VERSION} found: versions 2.6 to 3.x are known here")
endif()
add_library(an_dnnl INTERFACE)
target_include_directories(an_dnnl SYSTEM INTERFACE "${AN_DNNL_INCLUDE}")
target_link_libraries(an_dnnl INTERFACE "${AN_DNNL_LIBRARY}")
add_library(an::dnnl ALIAS an_dnnl)

# OpenMP. oneDNN brings libgomp along, which is GCC's. Clang's code needs libomp, which serves oneDNN's calls as well.
add_library(an_openmp INTERFACE)
if(CMAKE_C_COMPILER_ID STREQUAL "GNU")
  target_link_libraries(an_openmp INTERFACE gomp)
else()
  include(CheckCSourceCompiles)
  set(CMAKE_REQUIRED_FLAGS -fopenmp)
  check_c_source_compiles("#include <omp.h>\nint main(void) { return omp_get_max_threads() == 0; }" AN_HAVE_LIBOMP)
  unset(CMAKE_REQUIRED_FLAGS)
  if(NOT AN_HAVE_LIBOMP)
    message(FATAL_ERROR "${CMAKE_C_COMPILER} finds no libomp: install it with 'apt-get install libomp-dev'")
  endif()
  target_link_options(an_openmp INTERFACE -fopenmp)
endif()

# Sanitizers cannot see into these libraries; tests run with the suppressions kept beside them.
set(AN_TEST_ENVIRONMENT
  "TSAN_OPTIONS=allocator_may_return_null=1:ignore_noninstrumented_modules=1:halt_on_error=1:second_deadlock_stack=1"
  "ASAN_OPTIONS=detect_leaks=1:strict_string_checks=1:allocator_may_return_null=1"
  "LSAN_OPTIONS=suppressions=${PROJECT_SOURCE_DIR}/tests/lsan.supp:print_suppressions=0"
  "UBSAN_OPTIONS=print_stacktrace=1"
  "AN_SOURCE_DIR=${PROJECT_SOURCE_DIR}"
  "AN_BIN_DIR=${PROJECT_BINARY_DIR}/bin"
  "PATH=${PROJECT_BINARY_DIR}/bin:$ENV{PATH}")


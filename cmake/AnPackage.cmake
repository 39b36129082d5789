# The target `package`: Debian packages (an; liban0 and liban-dev, the library for other programs; an-mpi and an-cuda, where their modules are
# built) and a relocatable tarball with all libraries beside the programs, but for those of the modules. All from the same installation, in
# build/.../packages. tools/packaging says how each is made, and tries them.
set(CPACK_GENERATOR DEB TGZ)
set(CPACK_PACKAGE_NAME an)
set(CPACK_PACKAGE_VERSION "${PROJECT_VERSION}")
set(CPACK_PACKAGE_VENDOR "the an developers")
set(AN_PACKAGE_CONTACT "The an developers <an@packages.invalid>" CACHE STRING "Maintainer of packages: a name and an address")
set(CPACK_PACKAGE_CONTACT "${AN_PACKAGE_CONTACT}")
set(CPACK_PACKAGE_DESCRIPTION_SUMMARY "${PROJECT_DESCRIPTION}")
set(CPACK_PACKAGE_DIRECTORY "${PROJECT_BINARY_DIR}/packages")
set(CPACK_PACKAGE_FILE_NAME "an-${PROJECT_VERSION}-linux-x86_64")
set(CPACK_INSTALL_DEFAULT_DIRECTORY_PERMISSIONS
  OWNER_READ OWNER_WRITE OWNER_EXECUTE GROUP_READ GROUP_EXECUTE WORLD_READ WORLD_EXECUTE)
set(CPACK_STRIP_FILES ON)
set(CPACK_PRE_BUILD_SCRIPTS "${PROJECT_SOURCE_DIR}/tools/packaging/prepare.cmake")
set(CPACK_AN_SOURCE "${PROJECT_SOURCE_DIR}")
set(CPACK_VERBATIM_VARIABLES ON)

set(CPACK_COMPONENTS_ALL programs library development)
if(AN_HAVE_MPI)
  list(APPEND CPACK_COMPONENTS_ALL mpi)
endif()
if(AN_HAVE_CUDA)
  list(APPEND CPACK_COMPONENTS_ALL cuda)
endif()
set(CPACK_DEB_COMPONENT_INSTALL ON)
set(CPACK_DEBIAN_FILE_NAME DEB-DEFAULT)
set(CPACK_DEBIAN_PACKAGE_SECTION science)
set(CPACK_DEBIAN_PACKAGE_SHLIBDEPS ON)
set(CPACK_DEBIAN_PROGRAMS_PACKAGE_NAME an)
set(CPACK_DEBIAN_PROGRAMS_DESCRIPTION "an-ingest packs labelled images into one LMDB file, an io_uring reader feeds
threaded decoding and augmentation, an-train trains convolutional networks on
processors, an-bench-io measures the data path and names its limit, an-show
draws networks and what they learned.")
set(CPACK_DEBIAN_PROGRAMS_PACKAGE_SUGGESTS "an-mpi")
set(CPACK_DEBIAN_LIBRARY_PACKAGE_NAME liban0)
set(CPACK_DEBIAN_LIBRARY_PACKAGE_SECTION libs)
# Which package programs that were linked with the library depend on, and ldconfig by a trigger, which CPack's own scripts are not.
file(WRITE "${PROJECT_BINARY_DIR}/packaging/shlibs" "liban 0 liban0 (>= ${PROJECT_VERSION})\n")
file(WRITE "${PROJECT_BINARY_DIR}/packaging/triggers" "activate-noawait ldconfig\n")
set(CPACK_DEBIAN_LIBRARY_PACKAGE_CONTROL_EXTRA "${PROJECT_BINARY_DIR}/packaging/shlibs" "${PROJECT_BINARY_DIR}/packaging/triggers")
set(CPACK_DEBIAN_LIBRARY_PACKAGE_CONTROL_STRICT_PERMISSION ON)
set(CPACK_DEBIAN_LIBRARY_DESCRIPTION "liban opens datasets that an-ingest wrote and loads batches of
their images: read, decoded, cropped and mirrored by threads of its own, in an
order that many processes can share and that can be resumed anywhere.")
set(CPACK_DEBIAN_DEVELOPMENT_PACKAGE_NAME liban-dev)
set(CPACK_DEBIAN_DEVELOPMENT_PACKAGE_SECTION libdevel)
set(CPACK_DEBIAN_DEVELOPMENT_PACKAGE_SHLIBDEPS OFF)
set(CPACK_DEBIAN_DEVELOPMENT_PACKAGE_DEPENDS "liban0 (= ${PROJECT_VERSION})")
set(CPACK_DEBIAN_DEVELOPMENT_DESCRIPTION "These are the headers of liban, with which programs
open datasets of images and load batches of them, and what pkg-config and CMake
need to find the library.")
set(CPACK_DEBIAN_MPI_PACKAGE_NAME an-mpi)
set(CPACK_DEBIAN_MPI_PACKAGE_DEPENDS "an (= ${PROJECT_VERSION})") # and the MPI that it was built with, by dpkg-shlibdeps
set(CPACK_DEBIAN_MPI_PACKAGE_RECOMMENDS "openmpi-bin")
set(CPACK_DEBIAN_MPI_DESCRIPTION "This is what an-train needs to train one network in several
processes, on one machine or on many, which mpirun or srun starts: a module
that it loads then, for the MPI of this Debian.")
set(CPACK_DEBIAN_CUDA_PACKAGE_NAME an-cuda)
# Not by dpkg-shlibdeps: NVIDIA's libraries are in none of Debian's packages.
set(CPACK_DEBIAN_CUDA_PACKAGE_SHLIBDEPS OFF)
set(CPACK_DEBIAN_CUDA_PACKAGE_DEPENDS "an (= ${PROJECT_VERSION}), libc6 (>= 2.34)")
set(CPACK_DEBIAN_CUDA_DESCRIPTION "This is the backend for NVIDIA GPUs,
which an-train loads when a device called cuda is asked for, and the decoder
that unpacks coefficients on them. The backend needs NVIDIA's driver, the
CUDA 13 runtime, cuBLASLt and cuDNN 9, which are not part of Debian; an-train
--devices list says which of them is missing. The decoder needs the driver.")

install(FILES LICENSE README.md CHANGELOG.md DESTINATION "${CMAKE_INSTALL_DATADIR}/doc/an")
install(DIRECTORY docs/ DESTINATION "${CMAKE_INSTALL_DATADIR}/doc/an/docs"
  FILES_MATCHING PATTERN "*.md" PATTERN "*.png" PATTERN "*.svg" PATTERN "*.py" PATTERN man EXCLUDE)
install(DIRECTORY recipes DESTINATION "${CMAKE_INSTALL_DATADIR}/an")
include(CPack)

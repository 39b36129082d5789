# Printed at the end of configuring: what this build contains.
message(STATUS "an ${PROJECT_VERSION}: ${CMAKE_BUILD_TYPE}, compiler ${CMAKE_C_COMPILER_ID} ${CMAKE_C_COMPILER_VERSION}")
message(STATUS "  sanitizers    ${AN_SANITIZE}")
message(STATUS "  CPU backend   oneDNN ${AN_DNNL_VERSION}")
message(STATUS "  CUDA          ${AN_CUDA_STATUS}")
message(STATUS "  Python        ${AN_PYTHON_STATUS}")
message(STATUS "  LMDB ${AN_DEP_lmdb_VERSION}, libjpeg-turbo ${AN_DEP_jpeg_VERSION}, liburing ${AN_DEP_uring_VERSION}, xxHash ${AN_DEP_xxhash_VERSION}")

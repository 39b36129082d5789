# The one platform: Linux on 64-bit x86. The SIMD code, the file formats and the readers rely on it. Also runs as a script,
# for the test: cmake -D CMAKE_SYSTEM_NAME=... -D CMAKE_SYSTEM_PROCESSOR=... -D CMAKE_SIZEOF_VOID_P=... -P AnPlatform.cmake
if(NOT CMAKE_SYSTEM_NAME STREQUAL "Linux")
  message(FATAL_ERROR "this builds on Linux only, not on ${CMAKE_SYSTEM_NAME}")
endif()
if(NOT CMAKE_SYSTEM_PROCESSOR MATCHES "^(x86_64|AMD64|amd64)$")
  message(FATAL_ERROR "this builds for x86-64 only, not for ${CMAKE_SYSTEM_PROCESSOR}")
endif()
if(NOT CMAKE_SIZEOF_VOID_P EQUAL 8)
  message(FATAL_ERROR "this builds for x86-64 only: the compiler's pointers have ${CMAKE_SIZEOF_VOID_P} bytes, not 8")
endif()

# One interface target that carries the flags of all our code.
add_library(an_flags INTERFACE)
target_compile_features(an_flags INTERFACE c_std_11)
target_compile_definitions(an_flags INTERFACE _GNU_SOURCE _FILE_OFFSET_BITS=64)
target_compile_options(an_flags INTERFACE
  -Wall -Wextra $<$<BOOL:${AN_WERROR}>:-Werror> -Wpedantic -Wshadow -Wstrict-prototypes -Wmissing-prototypes -Wvla -Wpointer-arith
  -Wwrite-strings -Wundef -Wformat=2 -Wno-unknown-pragmas -fno-common -fno-math-errno)
target_include_directories(an_flags INTERFACE "${PROJECT_SOURCE_DIR}" "${PROJECT_BINARY_DIR}")
if(AN_SANITIZE)
  target_compile_options(an_flags INTERFACE -fsanitize=${AN_SANITIZE} -fno-omit-frame-pointer -fno-sanitize-recover=all)
  target_link_options(an_flags INTERFACE -fsanitize=${AN_SANITIZE})
endif()

# an_library(NAME sources... [SHARED] [LINK libraries...]): the static library of one folder. SHARED: it also goes into shared objects.
# Its symbols are hidden then: they stay inside the object, and the compiler may go on inlining functions that are not static.
function(an_library name)
  cmake_parse_arguments(ARG "SHARED" "" "LINK" ${ARGN})
  add_library(an_${name} STATIC ${ARG_UNPARSED_ARGUMENTS})
  target_link_libraries(an_${name} PUBLIC an_flags ${ARG_LINK})
  if(ARG_SHARED)
    set_target_properties(an_${name} PROPERTIES POSITION_INDEPENDENT_CODE ON C_VISIBILITY_PRESET hidden)
  endif()
endfunction()

# an_program(NAME sources... [LINK libraries...]): an installed program.
function(an_program name)
  cmake_parse_arguments(ARG "" "" "LINK" ${ARGN})
  add_executable(${name} ${ARG_UNPARSED_ARGUMENTS})
  target_link_libraries(${name} PRIVATE an_flags ${ARG_LINK})
  set_target_properties(${name} PROPERTIES RUNTIME_OUTPUT_DIRECTORY "${PROJECT_BINARY_DIR}/bin")
  add_dependencies(${name} an_commit)
  install(TARGETS ${name} RUNTIME DESTINATION ${CMAKE_INSTALL_BINDIR})
endfunction()

# an_test(NAME sources... [LINK libraries...] [TIMEOUT seconds]): a cmocka program run by CTest. Exit code 77 = skipped.
function(an_test name)
  cmake_parse_arguments(ARG "" "TIMEOUT" "LINK" ${ARGN})
  if(NOT ARG_TIMEOUT)
    set(ARG_TIMEOUT 300)
  endif()
  add_executable(test_${name} ${ARG_UNPARSED_ARGUMENTS})
  target_link_libraries(test_${name} PRIVATE an_flags ${ARG_LINK} an::cmocka)
  add_test(NAME ${name} COMMAND test_${name})
  set_tests_properties(${name} PROPERTIES SKIP_RETURN_CODE 77 TIMEOUT ${ARG_TIMEOUT}
    ENVIRONMENT "${AN_TEST_ENVIRONMENT}")
endfunction()

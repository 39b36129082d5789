# base/program/commit.h in the build folder: AN_COMMIT, the commit of these sources, "-modified" where files differ from it; without git
# AN_COMMIT_OTHERWISE, if whoever configures knows it, or "unknown". Made when configuring and looked at again by every
# build, which rewrites it only if it says something else. Only the programs' main files include it. Also the script of that step:
# cmake -D AN_COMMIT_SOURCE=... -D AN_COMMIT_HEADER=... -D AN_COMMIT_OTHERWISE=... -P AnCommit.cmake
if(NOT CMAKE_SCRIPT_MODE_FILE)
  set(AN_COMMIT_HEADER "${PROJECT_BINARY_DIR}/base/program/commit.h")
  set(AN_COMMIT_OTHERWISE "" CACHE STRING "The commit of sources that are no checkout")
  mark_as_advanced(AN_COMMIT_OTHERWISE)
  set(command "${CMAKE_COMMAND}" -D "AN_COMMIT_SOURCE=${PROJECT_SOURCE_DIR}" -D "AN_COMMIT_HEADER=${AN_COMMIT_HEADER}"
    -D "AN_COMMIT_OTHERWISE=${AN_COMMIT_OTHERWISE}" -P "${CMAKE_CURRENT_LIST_FILE}")
  execute_process(COMMAND ${command})
  add_custom_target(an_commit COMMAND ${command} BYPRODUCTS "${AN_COMMIT_HEADER}" COMMENT "Commit" VERBATIM)
  return()
endif()

set(AN_COMMIT "unknown")
if(AN_COMMIT_OTHERWISE)
  set(AN_COMMIT "${AN_COMMIT_OTHERWISE}")
endif()
find_program(git git)
if(git AND EXISTS "${AN_COMMIT_SOURCE}/.git") # not that of another repository that these sources happen to lie in
  execute_process(COMMAND "${git}" describe --always --abbrev=12 --exclude=* --dirty=-modified
    WORKING_DIRECTORY "${AN_COMMIT_SOURCE}" OUTPUT_VARIABLE described OUTPUT_STRIP_TRAILING_WHITESPACE ERROR_QUIET
    RESULT_VARIABLE failed)
  if(NOT failed)
    set(AN_COMMIT "${described}")
  endif()
endif()
set(text "#ifndef AN_BASE_PROGRAM_COMMIT_H\n#define AN_BASE_PROGRAM_COMMIT_H\n\n#define AN_COMMIT \"${AN_COMMIT}\"\n\n#endif\n")
set(present "")
if(EXISTS "${AN_COMMIT_HEADER}")
  file(READ "${AN_COMMIT_HEADER}" present)
endif()
if(NOT present STREQUAL text)
  file(WRITE "${AN_COMMIT_HEADER}" "${text}")
endif()

# CPack runs this between installing into its folder and packing it, once for each kind of package.
execute_process(COMMAND "${CPACK_AN_SOURCE}/tools/packaging/prepare.sh" "${CPACK_GENERATOR}" "${CPACK_TEMPORARY_INSTALL_DIRECTORY}"
  "${CPACK_PACKAGE_VERSION}" "${CPACK_PACKAGE_CONTACT}" RESULT_VARIABLE failed)
if(failed)
  message(FATAL_ERROR "tools/packaging/prepare.sh failed for ${CPACK_GENERATOR}")
endif()

# Installs the library, its headers and its CMake package. In a wheel they live inside the Python package, where
# `python -m kcore --cmake-dir` finds them.
include(CMakePackageConfigHelpers)
if(SKBUILD)
  set(KCORE_PREFIX kcore/native/)
else()
  set(KCORE_PREFIX "")
endif()
set(KCORE_CMAKE_DIR ${KCORE_PREFIX}lib/cmake/kcore)

install(TARGETS kcore EXPORT kcoreTargets ARCHIVE DESTINATION ${KCORE_PREFIX}lib LIBRARY DESTINATION ${KCORE_PREFIX}lib
        INCLUDES DESTINATION ${KCORE_PREFIX}include)
install(DIRECTORY csrc/api/kcore DESTINATION ${KCORE_PREFIX}include)
install(EXPORT kcoreTargets NAMESPACE kcore:: DESTINATION ${KCORE_CMAKE_DIR})
configure_package_config_file(cmake/kcoreConfig.cmake.in ${PROJECT_BINARY_DIR}/kcoreConfig.cmake
                              INSTALL_DESTINATION ${KCORE_CMAKE_DIR})
write_basic_package_version_file(${PROJECT_BINARY_DIR}/kcoreConfigVersion.cmake COMPATIBILITY SameMinorVersion)
install(FILES ${PROJECT_BINARY_DIR}/kcoreConfig.cmake ${PROJECT_BINARY_DIR}/kcoreConfigVersion.cmake
        DESTINATION ${KCORE_CMAKE_DIR})

# nlohmann-json, for program files: headers only, and not in any header that is installed. From where CMake finds them
# (nlohmann-json3-dev of Debian), or from the Python package nlohmann-json.
find_path(KCORE_JSON_INCLUDE_DIR nlohmann/json.hpp)
if(NOT KCORE_JSON_INCLUDE_DIR)
  find_package(Python COMPONENTS Interpreter)
  execute_process(COMMAND "${Python_EXECUTABLE}" -c "import nlohmann_json; print(list(nlohmann_json.__path__)[0])"
                  OUTPUT_VARIABLE KCORE_JSON_PACKAGE OUTPUT_STRIP_TRAILING_WHITESPACE ERROR_QUIET)
  find_path(KCORE_JSON_INCLUDE_DIR nlohmann/json.hpp HINTS ${KCORE_JSON_PACKAGE}/include NO_DEFAULT_PATH)
endif()
if(NOT KCORE_JSON_INCLUDE_DIR)
  message(FATAL_ERROR "nlohmann/json.hpp was not found: pip install nlohmann-json, or set KCORE_JSON_INCLUDE_DIR")
endif()

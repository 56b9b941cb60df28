// CHECK(condition) and CHECK_THROWS(expression, part of the message): print what failed and count it.
#pragma once

#include <cstdio>
#include <cstring>

#include "kcore/tensor.h"

inline int failures = 0;

#define CHECK(condition)                                                  \
  do {                                                                    \
    if (!(condition)) {                                                   \
      std::printf("%s:%d: failed: %s\n", __FILE__, __LINE__, #condition); \
      ++failures;                                                         \
    }                                                                     \
  } while (false)

#define CHECK_THROWS(expression, part)                                                    \
  do {                                                                                    \
    bool thrown = false;                                                                  \
    try {                                                                                 \
      expression;                                                                         \
    } catch (const kcore::Error& e) {                                                     \
      thrown = std::strstr(e.what(), part) != nullptr;                                    \
      if (!thrown) std::printf("%s:%d: message was: %s\n", __FILE__, __LINE__, e.what()); \
    }                                                                                     \
    if (!thrown) {                                                                        \
      std::printf("%s:%d: expected an error with \"%s\"\n", __FILE__, __LINE__, part);    \
      ++failures;                                                                         \
    }                                                                                     \
  } while (false)

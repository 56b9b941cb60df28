// Topics are a comma-separated list read once from the environment.
#include "base/log.h"

#include <cstdio>
#include <cstdlib>

namespace kcore {

bool log_enabled(const char* topic) {
  static const std::string topics = [] {
    const char* value = std::getenv("KCORE_LOG");
    return std::string(",") + (value ? value : "") + ",";
  }();
  return topics.find(std::string(",") + topic + ",") != std::string::npos;
}

void log(const char* topic, const std::string& message) {
  std::fprintf(stderr, "kcore %s: %s\n", topic, message.c_str());
}

}  // namespace kcore

// KCORE_LOG=dispatch,memory,... prints what the named parts decide, to standard error.
#pragma once

#include <string>

namespace kcore {

bool log_enabled(const char* topic);
void log(const char* topic, const std::string& message);

}  // namespace kcore

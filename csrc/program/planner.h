// Where the values of a program lie while it runs.
#pragma once

#include <cstddef>
#include <vector>

#include "program/program.h"

namespace kcore {

enum class Where { arena, input, variable, constant, fresh };

struct Place {
  Where where = Where::arena;
  // In the arena: the offset in bytes. Else the number of the input, of the variable, of the constant, or of the array
  // that each run allocates because it outlives it.
  std::size_t at = 0;
};

struct Plan {
  std::vector<int> roots;  // for each value: the one whose memory it shares (a reshape shares its input's, and what is
                           // computed in place), or itself
  std::vector<Place> places;  // for each root
  std::vector<int> fresh;     // the roots that each run allocates
  std::size_t arena_bytes = 0;
  std::size_t value_bytes = 0;  // what the values in the arena would take if each had memory of its own
};

Plan plan_memory(const Program& program);

}  // namespace kcore

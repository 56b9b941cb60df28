// Where the values of a program lie while it runs.
#pragma once

#include <cstddef>
#include <vector>

#include "program/program.h"

namespace kcore {

enum class Where { arena, input, variable, constant, fresh, update };

struct Place {
  Where where = Where::arena;
  // In the arena: the offset in bytes. Else the number of the input, of the variable, of the constant, of the array
  // that each run allocates because it outlives it, or of the update.
  std::size_t at = 0;
};

// A variable's new value that is written over the old one, if nobody else has that: else each run allocates it.
struct Update {
  int value;
  std::size_t variable;  // its number in the program
};

struct Plan {
  std::vector<int> roots;  // for each value: the one whose memory it shares (a reshape shares its input's, and what is
                           // computed in place), or itself
  std::vector<Place> places;  // for each root
  std::vector<int> fresh;     // the roots that each run allocates
  std::vector<Update> updates;
  std::size_t first_update = 0;  // the calls from this one on write over variables; they cannot fail
  std::size_t arena_bytes = 0;
  std::size_t value_bytes = 0;  // what the values in the arena would take if each had memory of its own
};

Plan plan_memory(const Program& program);
// The same for a program whose calls from `first_update` on may write over variables.
Plan plan_memory(const Program& program, std::size_t first_update);

// Moves the calls that may write a variable over its old value to the end, with those that read what they write, as far
// as all of these cannot fail (updates.cc). Gives the first one.
std::size_t put_updates_last(Program& program);
// Which values are written over variables. `roots` are those of views.
std::vector<Update> find_updates(const Program& program, const std::vector<int>& roots, std::size_t first_update);

}  // namespace kcore

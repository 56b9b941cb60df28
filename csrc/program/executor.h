// Runs a program again and again.
#pragma once

#include <memory>
#include <mutex>
#include <string>
#include <vector>

#include "program/planner.h"

namespace kcore {

// Memory for the values of runs: taken by a run, given back after it. Programs that do not run at the same time (those
// of a full batch and of the last, short one) share it.
class Arenas {
 public:
  struct Arena {
    std::shared_ptr<void> memory;
    std::size_t bytes = 0;
  };
  Arena take(std::size_t bytes);
  void give(Arena arena);

 private:
  std::mutex mutex_;
  std::vector<Arena> free_;
};

// Between hold and release no step begins to write over variables; wait (without the lock of the cells) until none
// does. For fork(), which would leave half-written ones in a child.
void hold_updates();
void release_updates();
void wait_for_updates();

struct Context;  // the views of a run

class Executor {
 public:
  // Runs what the passes (passes.h) make of the program.
  Executor(Program program, std::shared_ptr<Arenas> arenas);
  ~Executor();

  const Program& recorded() const { return recorded_; }
  const Program& program() const { return program_; }
  const Plan& plan() const { return plan_; }
  // For people to read: "72 calls of ops, 118 as recorded; 15 MB of memory for values of 42 MB", and all that runs.
  std::string summary() const;
  std::string to_string() const;

  // One run. Made from the inputs, it reads the variables; run() computes; commit() writes the variables and gives the
  // outputs. A run that fails has changed nothing.
  //
  // What can be written over the old values of variables is computed last, and cannot fail: prepare_update() sees who
  // else has those values, whom new arrays keep from seeing them change; update() computes. commit() does both if
  // nobody has. All but run() and update() need the lock of the cells (cell.h).
  class Step {
   public:
    // Throws Error if the inputs are not those that the program was recorded with.
    Step(Executor& executor, std::vector<Array> inputs);
    ~Step();
    Step(const Step&) = delete;
    Step& operator=(const Step&) = delete;
    void run();
    bool prepare_update();  // false: there is nothing to update
    std::size_t bytes_to_update() const;
    void update() noexcept;
    std::vector<Array> commit();

   private:
    Array array_of(int value) const;

    Executor& executor_;
    std::unique_ptr<Context> context_;
    Arenas::Arena arena_;
    std::vector<Array> inputs_, variables_, fresh_, updated_;
    std::vector<Update> lent_;  // those that are written over the old values
    bool ready_ = false;        // prepare_update() was called
  };

 private:
  void prepare();
  void wait() const;  // until no other step writes over what this one reads

  Program recorded_, program_;
  Plan plan_;
  std::shared_ptr<Arenas> arenas_;
  // Computes what depends on variables alone, when those have changed; null if there is nothing of the kind.
  std::unique_ptr<Executor> preparation_;
  std::vector<std::uint64_t> prepared_from_;  // the ids of the arrays that those variables held
  std::mutex mutex_;
  std::vector<std::unique_ptr<Context>> idle_;
};

}  // namespace kcore

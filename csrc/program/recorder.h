// Listens to what runs in a thread and writes it down as a Program. Either the ops do run, and the results of the step
// that is recorded are there as if it were not; or what depends on a run is symbolic, nothing is computed, and the
// program has to run for the results.
#pragma once

#include <map>
#include <memory>
#include <stdexcept>
#include <unordered_map>
#include <vector>

#include "program/program.h"

namespace kcore {

// What was done cannot be part of a program; the message says what to do instead.
class RecordingError : public std::runtime_error {
 public:
  using std::runtime_error::runtime_error;
};

// A symbolic recorder met what takes values: the ops have to run.
class NeedsValues : public std::runtime_error {
 public:
  using std::runtime_error::runtime_error;
};

class Recorder {
 public:
  // Listens to the calling thread until finish or abort; a recorder inside a recorder listens alone.
  // fold: what depends on no input and no cell is computed once, now, instead of in every run. Not for programs that
  // will run with batches of other sizes.
  // symbolic: inputs and variables have no values, but for integer scalars, by which Python may decide (counters). The
  // cells stay as they are: other threads may read them.
  explicit Recorder(const std::vector<Array>& inputs, bool fold = true, bool symbolic = false);
  ~Recorder();
  Recorder(const Recorder&) = delete;
  Recorder& operator=(const Recorder&) = delete;

  // The one that listens to this thread; nullptr if none does.
  static Recorder* active();

  // Listens to the function that a loop or a branch of the listening recorder's step runs: its program is a body
  // (control.h). Nothing is computed that depends on a run: such arrays are symbolic, the inputs among them. What the
  // function uses of the step around it is captured, and becomes further inputs.
  static std::unique_ptr<Recorder> of_body(const std::vector<Array>& inputs);
  bool is_body() const { return is_body_; }
  bool is_symbolic() const { return symbolic_; }
  // What of the run cannot be told without computing; throws if this recorder is symbolic.
  void need_values(const char* what);
  // A symbolic array of this step.
  Array symbol(const TensorSpec& spec) const { return Array::symbolic(spec, symbols_); }
  // Whether anybody still has a symbolic array of this step, which has ended: he would find no values in it.
  bool has_leaked() const { return symbols_.use_count() > 1; }
  // Whether an array depends on the run, here or in the step around this body.
  bool varies(const Array& array) const;

  // The inputs under identities of their own, which is how the step must use them: in another run, two that are the
  // same array now may differ.
  const std::vector<Array>& inputs() const { return inputs_; }

  // An op ran: absent inputs are given as views only.
  void called(const OpDef& def, const std::shared_ptr<void>& attrs, const Views& views,
              const std::vector<Array>& inputs, const std::vector<Array>& outputs, const Bodies& bodies = {});
  // What a cell held before the step.
  const Array& before(const std::shared_ptr<Cell>& cell) const;
  // What a cell holds now in the step, which reads it.
  const Array& read(const std::shared_ptr<Cell>& cell);
  // The same, unheard.
  const Array& current(const std::shared_ptr<Cell>& cell) const;
  void write(const std::shared_ptr<Cell>& cell, const Array& value);
  // Until release, the cell is a place like any other, holding `value`: not heard of when it is read or written.
  void hold(const std::shared_ptr<Cell>& cell, const Array& value);
  void release(const std::shared_ptr<Cell>& cell);
  bool holds(const Cell* cell) const { return held_.count(cell) > 0; }
  // A variable was made: what is recorded will not be done again as it was.
  void made();
  bool has_made() const { return made_; }
  // Somebody wants to know what is in an array: an error unless that is the same in every run.
  void looked_at(const Array& array, const char* how);

  // The program that gives these outputs.
  Program finish(const std::vector<Array>& outputs);
  // The body that gives these outputs; the variables hold what they held before. Its inputs are those it was made with,
  // then what it captured.
  struct Body {
    std::shared_ptr<const Program> program;
    std::vector<Array> captured;
  };
  Body finish_body(const std::vector<Array>& outputs);
  // Stops, and gives the variables back what they held.
  void abort();

 private:
  Recorder() = default;
  int value_of(const Array& array);
  int add(const Array& array, bool constant);
  void note_read(const std::shared_ptr<Cell>& cell);
  void stop();

  Program program_;
  std::vector<Array> inputs_;
  std::unordered_map<std::uint64_t, int> numbers_;  // of arrays, by their id
  std::vector<char> constant_;                      // for each value: whether it is the same in every run
  std::map<int, Array> kept_;                       // constants
  std::unordered_map<Cell*, std::size_t> variables_;
  std::vector<Array> originals_;  // for each variable, what it held before the step; no value if it is not written
  std::vector<Array> now_;        // for each variable, what it holds, where the recorder is symbolic
  std::shared_ptr<void> symbols_ = std::make_shared<char>();  // alive in every symbolic array of the step
  Recorder* outer_ = nullptr;
  bool listening_ = false, made_ = false, is_body_ = false, fold_ = true, symbolic_ = false, needs_values_ = false;
  std::vector<Array> captured_;
  // Those held, with what they held before; the same cell may be held again.
  std::unordered_map<const Cell*, std::vector<Array>> held_;
};

// While it lives, nobody listens to the calling thread.
class Unheard {
 public:
  Unheard();
  ~Unheard();
  Unheard(const Unheard&) = delete;
  Unheard& operator=(const Unheard&) = delete;

 private:
  Recorder* recorder_;
};

}  // namespace kcore

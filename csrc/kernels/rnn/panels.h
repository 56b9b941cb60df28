// The recurrent kernel as the steps multiply with it: panels of vectors of columns.
//
// A panel is V vectors of columns over all k. With several gates it holds the same units of each gate, so that a tile
// has all that these units need; with one gate, up to kPanelVectors vectors of units. The last vector is padded with
// zeros.
//
// A Step multiplies rows of the state with a panel (steps.h), in one of two ways: tile.h, tile_packed.h.
//   Value                            the type of states and gates
//   kMostRows, rows_of(wide)         rows of a tile at most, and with a panel of `wide` vectors
//   panel_bytes(k, wide)             size of a packed panel
//   pack(matrix, first, wide, to, k0, k1)     rows [k0, k1) of the panel from vector `first` of units on
//   operand_bytes(rows, k), prepare(to, a, lda, rows, k)      room for the rows of a state, rewritten for multiply
//   multiply(k, operand, tile, a, lda, rows, panel, wide, z)  z (rows, wide vectors) = a tile of rows times a panel
//   begin(), end()                   around the use of the Step on this thread
#pragma once

#include "kernels/gemm/pack.h"
#include "kernels/math.h"
#include "kernels/rnn/rnn.h"

namespace kcore::kernels::KCORE_ISA {
namespace {

constexpr int kPanelVectors = 4;

template <class T>
int vectors_of(std::int64_t units) {
  return static_cast<int>((units + kLanes<T> - 1) / kLanes<T>);
}

// What a step multiplies with.
template <class Step>
struct Panels {
  const void* data;
  std::int64_t k, units;
  int gates;
};

// Calls body(first, wide, offset) for panels [begin, end) of a matrix: its first vector of units, its width in vectors,
// and where it begins, in bytes.
template <class Step, class Body>
void for_panels(std::int64_t k, std::int64_t units, int gates, int begin, int end, const Body& body) {
  const int vectors = vectors_of<typename Step::Value>(units), per_panel = gates == 1 ? kPanelVectors : 1;
  const std::size_t whole = Step::panel_bytes(k, per_panel * gates);
  for (int p = begin; p < end; ++p) {
    const int first = p * per_panel, groups = vectors - first < per_panel ? vectors - first : per_panel;
    body(first, groups * gates, static_cast<std::size_t>(p) * whole);
  }
}
template <class T>
int panel_count(std::int64_t units, int gates) {
  const int vectors = vectors_of<T>(units);
  return gates == 1 ? (vectors + kPanelVectors - 1) / kPanelVectors : vectors;
}

// Rows [k, k + count) of vectors [v, v + vectors) of the panel from vector `first` of units on:
// to[kk * width + v * lanes + l].
template <class T>
void pack_vectors(const RecurrentMatrix<T>& m, int first, int v, int vectors, T* to, std::int64_t width, std::int64_t k,
                  std::int64_t count) {
  constexpr int L = kLanes<T>;
  if (k < m.inputs) {
    const std::int64_t above = m.inputs - k < count ? m.inputs - k : count;
    pack_vectors(RecurrentMatrix<T>{m.input, m.ld, false, m.inputs, m.units, m.gates}, first, v, vectors, to, width, k,
                 above);
    to += above * width, k += above, count -= above;
  }
  k -= m.inputs;
  for (const int end = v + vectors; v < end; ++v, to += L) {
    const std::int64_t unit = static_cast<std::int64_t>(first + (m.gates == 1 ? v : 0)) * L;
    const std::int64_t column = unit + (m.gates == 1 ? 0 : v * m.units);
    const int exist = static_cast<int>(m.units - unit < L ? m.units - unit : L);
    if (m.transposed) {
      const T* from[L];
      for (int l = 0; l < exist; ++l) from[l] = m.data + (column + l) * m.ld + k;
      transpose_rows(to, width, from, exist, count);
    } else {
      copy_runs(to, width, m.data + k * m.ld + column, m.ld, exist, count);
    }
    for (std::int64_t kk = 0; kk < count; ++kk)
      for (int l = exist; l < L; ++l) to[kk * width + l] = 0;
  }
}

template <class Step>
std::size_t packed_bytes(std::int64_t k, std::int64_t units, int gates) {
  const int per_panel = gates == 1 ? kPanelVectors : 1;
  return static_cast<std::size_t>(panel_count<typename Step::Value>(units, gates)) *
         Step::panel_bytes(k, per_panel * gates);
}

template <class Step>
void pack_panels(const RecurrentMatrix<typename Step::Value>& m, void* to, std::int64_t k0, std::int64_t k1) {
  for_panels<Step>(m.k, m.units, m.gates, 0, panel_count<typename Step::Value>(m.units, m.gates),
                   [&](int first, int wide, std::size_t offset) {
                     Step::pack(m, first, wide, static_cast<char*>(to) + offset, k0, k1);
                   });
}

}  // namespace
}  // namespace kcore::kernels::KCORE_ISA

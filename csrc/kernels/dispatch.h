// How a kernel family offers one table per ISA and how its users get the right one.
//
// FAMILY.h declares a struct of function pointers, then KCORE_KERNELS(Struct, family).
// generic.cc is compiled once per ISA with KCORE_ISA set to its namespace, and defines
//   namespace kcore::kernels::KCORE_ISA { const Struct family_table = {...}; }
// kernels::family() is the table of the selected ISA.
//
// Families that multiply matrices (KCORE_PRODUCT_KERNELS) have tables for avx512_bf16 and amx too, with what these add;
// kernels::family(isa) is the table of an ISA that select_gemm chose.
//
// Files compiled for an ISA include no STL containers or algorithms and export nothing but their table: otherwise the
// linker might keep an AVX-512 copy of an inline function for everybody.
#pragma once

#include "base/isa.h"

#if defined(KCORE_VECTOR_KERNELS)
#define KCORE_VECTOR_TABLES(Struct, family) \
  namespace scalar {                        \
  extern const Struct family##_table;       \
  }                                         \
  namespace avx2 {                          \
  extern const Struct family##_table;       \
  }                                         \
  namespace avx512 {                        \
  extern const Struct family##_table;       \
  }
#define KCORE_KERNELS(Struct, family)                                                          \
  namespace kcore::kernels {                                                                   \
  KCORE_VECTOR_TABLES(Struct, family)                                                          \
  inline const Struct& family() {                                                              \
    [[maybe_unused]] static const bool logged = log_dispatch(#family);                         \
    static constexpr const Struct* tables[] = {&scalar::family##_table, &avx2::family##_table, \
                                               &avx512::family##_table};                       \
    return *tables[static_cast<int>(vector_isa())];                                            \
  }                                                                                            \
  }
#define KCORE_PRODUCT_KERNELS(Struct, family)                                                                  \
  namespace kcore::kernels {                                                                                   \
  KCORE_VECTOR_TABLES(Struct, family)                                                                          \
  namespace avx512_bf16 {                                                                                      \
  extern const Struct family##_table;                                                                          \
  }                                                                                                            \
  namespace amx {                                                                                              \
  extern const Struct family##_table;                                                                          \
  }                                                                                                            \
  inline const Struct& family(Isa isa = vector_isa()) {                                                        \
    static constexpr const Struct* tables[kIsaCount] = {&scalar::family##_table, &avx2::family##_table,        \
                                                        &avx512::family##_table, &avx512_bf16::family##_table, \
                                                        &amx::family##_table};                                 \
    return *tables[static_cast<int>(isa)];                                                                     \
  }                                                                                                            \
  }
#else
#define KCORE_KERNELS(Struct, family)                              \
  namespace kcore::kernels {                                       \
  namespace scalar {                                               \
  extern const Struct family##_table;                              \
  }                                                                \
  inline const Struct& family() { return scalar::family##_table; } \
  }
#define KCORE_PRODUCT_KERNELS(Struct, family)                                       \
  namespace kcore::kernels {                                                        \
  namespace scalar {                                                                \
  extern const Struct family##_table;                                               \
  }                                                                                 \
  inline const Struct& family(Isa = Isa::scalar) { return scalar::family##_table; } \
  }
#endif

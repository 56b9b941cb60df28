// Which instruction set the kernels use: the best the CPU and the operating system have, capped by KCORE_ISA.
#pragma once

namespace kcore {

// Each includes those before it. avx512_bf16 and amx add products of bfloat16, which only the families that multiply
// matrices have kernels for.
enum class Isa { scalar, avx2, avx512, avx512_bf16, amx };
inline constexpr int kIsaCount = 5;

const char* name_of(Isa isa);
// Throws Error for an unknown name.
Isa isa_named(const char* name);

// What the machine supports, whatever KCORE_ISA says.
Isa detected_isa();

// What kernels are chosen for: detected_isa() or less.
Isa selected_isa();

// The same for families without kernels for products of bfloat16: at most avx512.
Isa vector_isa();

// Changes the choice for the whole process. Throws Error for an unknown name and for one the machine lacks. For tests
// and comparisons; not while ops are running.
void select_isa(const char* name);

// Tells KCORE_LOG=dispatch which ISA a family of kernels runs on, and why the better ones do not. Always true.
bool log_dispatch(const char* family);

}  // namespace kcore

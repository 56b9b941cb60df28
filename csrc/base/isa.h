// Which instruction set the kernels use: the best the CPU and the operating system have, capped by KCORE_ISA.
#pragma once

namespace kcore {

enum class Isa { scalar, avx2, avx512 };
inline constexpr int kIsaCount = 3;

const char* name_of(Isa isa);

// What the machine supports, whatever KCORE_ISA says.
Isa detected_isa();

// What kernels are chosen for: detected_isa() or less.
Isa selected_isa();

// Changes the choice for the whole process: "scalar", "avx2" or "avx512". Throws Error for an unknown name and for one
// the machine lacks. For tests and comparisons; not while ops are running.
void select_isa(const char* name);

// Tells KCORE_LOG=dispatch which ISA a family of kernels runs on, and why the better ones do not. Always true.
bool log_dispatch(const char* family);

}  // namespace kcore

# One object library per ISA: every csrc/kernels/*/generic.cc compiled with that ISA's flags and namespace, and the
# files named after the ISA (csrc/kernels/gemm/avx512.cc) where a family has one.
# -fno-math-errno and friends let loops vectorize; NaN and Inf keep their IEEE meaning (no -ffast-math).
if(KCORE_SANITIZE)
  set(KCORE_KERNEL_OPTIMIZATION -O1)  # the sanitizers' checks make -O3 take minutes
else()
  set(KCORE_KERNEL_OPTIMIZATION -O3)
endif()
set(KCORE_KERNEL_FLAGS ${KCORE_KERNEL_OPTIMIZATION} -fno-math-errno -fno-trapping-math -ffp-contract=fast -fopenmp-simd)
set(KCORE_ISA_FLAGS_scalar "")
set(KCORE_ISA_FLAGS_avx2 -mavx2 -mfma -mf16c -mbmi2)
set(KCORE_ISA_FLAGS_avx512 -mavx512f -mavx512bw -mavx512dq -mavx512vl -mavx2 -mfma -mbmi2 -mprefer-vector-width=512)

set(KCORE_ISAS scalar)
if(CMAKE_SYSTEM_PROCESSOR MATCHES "x86_64|AMD64")
  list(APPEND KCORE_ISAS avx2 avx512)
endif()

file(GLOB KCORE_GENERIC_KERNELS CONFIGURE_DEPENDS ${PROJECT_SOURCE_DIR}/csrc/kernels/*/generic*.cc)

function(kcore_add_isa_kernels isa)
  file(GLOB special CONFIGURE_DEPENDS ${PROJECT_SOURCE_DIR}/csrc/kernels/*/${isa}.cc)
  add_library(kcore_kernels_${isa} OBJECT ${KCORE_GENERIC_KERNELS} ${special})
  target_include_directories(kcore_kernels_${isa} PRIVATE ${PROJECT_SOURCE_DIR}/csrc ${PROJECT_SOURCE_DIR}/csrc/api)
  target_compile_definitions(kcore_kernels_${isa} PRIVATE KCORE_ISA=${isa})
  target_compile_options(kcore_kernels_${isa} PRIVATE ${KCORE_KERNEL_FLAGS} ${KCORE_ISA_FLAGS_${isa}})
  set_target_properties(kcore_kernels_${isa} PROPERTIES POSITION_INDEPENDENT_CODE ON)
endfunction()

foreach(isa IN LISTS KCORE_ISAS)
  kcore_add_isa_kernels(${isa})
endforeach()

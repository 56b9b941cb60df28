# One object library per ISA: every csrc/kernels/*/generic.cc compiled with that ISA's flags and namespace, and
# for the ISAs that add products of bfloat16 those of the families that multiply matrices.
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

set(KCORE_ISA_FLAGS_avx512_bf16 ${KCORE_ISA_FLAGS_avx512} -mavx512bf16)
# The tile instructions are written as such: they need the assembler, not the compiler.
set(KCORE_ISA_FLAGS_amx ${KCORE_ISA_FLAGS_avx512_bf16})
if(KCORE_AMX_MODEL)
  set(KCORE_ISA_FLAGS_amx -Wno-psabi)  # runs where there is not even AVX2
  add_compile_definitions(KCORE_AMX_MODEL)
endif()

option(KCORE_VECTOR_KERNELS "Kernels for AVX2, AVX-512 and AMX beside the baseline's, chosen at run time (x86-64)" ON)
set(KCORE_ISAS scalar)
if(KCORE_VECTOR_KERNELS AND CMAKE_SYSTEM_PROCESSOR MATCHES "x86_64|AMD64")
  add_compile_definitions(KCORE_VECTOR_KERNELS)
  list(APPEND KCORE_ISAS avx2 avx512 avx512_bf16 amx)
endif()

file(GLOB KCORE_GENERIC_KERNELS CONFIGURE_DEPENDS ${PROJECT_SOURCE_DIR}/csrc/kernels/*/generic*.cc)
# The families with kernels for products of bfloat16 (KCORE_PRODUCT_KERNELS).
set(KCORE_PRODUCT_FAMILIES conv gemm rnn)

function(kcore_add_isa_kernels isa)
  if(isa MATCHES "avx512_bf16|amx")
    list(TRANSFORM KCORE_PRODUCT_FAMILIES REPLACE "(.+)" "${PROJECT_SOURCE_DIR}/csrc/kernels/\\1/generic.cc" OUTPUT_VARIABLE sources)
  else()
    set(sources ${KCORE_GENERIC_KERNELS})
  endif()
  string(TOUPPER ${isa} name)
  add_library(kcore_kernels_${isa} OBJECT ${sources})
  target_include_directories(kcore_kernels_${isa} PRIVATE ${PROJECT_SOURCE_DIR}/csrc ${PROJECT_SOURCE_DIR}/csrc/api)
  target_compile_definitions(kcore_kernels_${isa} PRIVATE KCORE_ISA=${isa} KCORE_ISA_IS_${name})
  target_compile_options(kcore_kernels_${isa} PRIVATE ${KCORE_KERNEL_FLAGS} ${KCORE_ISA_FLAGS_${isa}})
  set_target_properties(kcore_kernels_${isa} PROPERTIES POSITION_INDEPENDENT_CODE ON)
endfunction()

foreach(isa IN LISTS KCORE_ISAS)
  kcore_add_isa_kernels(${isa})
endforeach()

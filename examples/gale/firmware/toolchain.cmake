# Clang and LLD for Cortex-M3 without an operating system.
set(CMAKE_SYSTEM_NAME Generic)
set(CMAKE_SYSTEM_PROCESSOR arm)
set(CMAKE_C_COMPILER clang-22)
set(CMAKE_ASM_COMPILER clang-22)
set(CMAKE_C_COMPILER_TARGET thumbv7m-none-eabi)
set(CMAKE_ASM_COMPILER_TARGET thumbv7m-none-eabi)
set(CMAKE_C_FLAGS_INIT -mcpu=cortex-m3)
set(CMAKE_ASM_FLAGS_INIT -mcpu=cortex-m3)
set(CMAKE_AR llvm-ar-22)
set(CMAKE_RANLIB llvm-ranlib-22)
set(CMAKE_EXE_LINKER_FLAGS_INIT -fuse-ld=lld-22)
# There is nothing yet that a test program could be linked with.
set(CMAKE_TRY_COMPILE_TARGET_TYPE STATIC_LIBRARY)

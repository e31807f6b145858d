# Compiles WebAssembly modules with wasm-pvm as parts of a build.
#
#   wasm_pvm_add_object(NAME MODULE file [CPU core] [LEVEL 0|2|s|z] [MEMORY native|symbol|register]
#                       [RENAMES file] [OPTIONS option...])
#
# makes a static library NAME of one object. CPU is a name that `wasm-pvm compile --cpu` knows, cortex-m3 by default; the
# level is z by default. OPTIONS go to the command line as they are. The compiler is `wasm-pvm` in the path, or
# what the variable WASM_PVM says. The object is $<TARGET_PROPERTY:NAME,WASM_PVM_OBJECT>.

find_program(WASM_PVM wasm-pvm REQUIRED)

function(wasm_pvm_add_object name)
  cmake_parse_arguments(PARSE_ARGV 1 arg "" "MODULE;CPU;LEVEL;MEMORY;RENAMES" "OPTIONS")
  if(NOT arg_MODULE OR arg_UNPARSED_ARGUMENTS)
    message(FATAL_ERROR "wasm_pvm_add_object(${name}): MODULE is needed; not known: ${arg_UNPARSED_ARGUMENTS}")
  endif()
  if(NOT arg_CPU)
    set(arg_CPU cortex-m3)
  endif()
  if(NOT DEFINED arg_LEVEL)
    set(arg_LEVEL z)
  endif()
  if(arg_CPU MATCHES "^(cortex-)?m(0|0plus|0\\+|1)$")
    set(target thumbv6m)
  elseif(arg_CPU MATCHES "^(cortex-)?m3$")
    set(target thumbv7m)
  elseif(arg_CPU MATCHES "^(cortex-)?m23$")
    set(target thumbv8m.base)
  elseif(arg_CPU MATCHES "^(cortex-)?m33f?$")
    set(target thumbv8m.main)
  elseif(arg_CPU MATCHES "^(cortex-)?m(52|55|55dp|85|85dp)$")
    set(target thumbv8.1m.main)
  else()
    set(target thumbv7em)
  endif()
  get_filename_component(module "${arg_MODULE}" ABSOLUTE)
  set(options --target ${target} --cpu ${arg_CPU} -O${arg_LEVEL})
  set(inputs "${module}")
  if(arg_MEMORY)
    list(APPEND options --memory ${arg_MEMORY})
  endif()
  if(arg_RENAMES)
    get_filename_component(renames "${arg_RENAMES}" ABSOLUTE)
    list(APPEND options --rename-file "${renames}")
    list(APPEND inputs "${renames}")
  endif()
  set(object "${CMAKE_CURRENT_BINARY_DIR}/${name}.o")
  add_custom_command(
    OUTPUT "${object}"
    COMMAND "${WASM_PVM}" compile "${module}" ${options} ${arg_OPTIONS} -o "${object}"
    DEPENDS ${inputs} "${WASM_PVM}"
    COMMENT "Compiling ${arg_MODULE} for ${arg_CPU}"
    VERBATIM)
  add_library(${name} STATIC "${object}")
  set_target_properties(${name} PROPERTIES LINKER_LANGUAGE C WASM_PVM_OBJECT "${object}")
endfunction()

# Language, warnings and sanitizers as one INTERFACE target, and the one way to declare a library of the project.

add_library(ntt_settings INTERFACE)
add_library(ntt::settings ALIAS ntt_settings)
target_compile_features(ntt_settings INTERFACE cxx_std_20)
set(CMAKE_CXX_EXTENSIONS OFF)
set(CMAKE_POSITION_INDEPENDENT_CODE ON)
set(CMAKE_EXPORT_COMPILE_COMMANDS ON)
target_include_directories(ntt_settings INTERFACE ${CMAKE_SOURCE_DIR}/src)
target_compile_definitions(ntt_settings INTERFACE _FILE_OFFSET_BITS=64 NTT_VERSION="${PROJECT_VERSION}")
target_compile_options(ntt_settings INTERFACE
    -Wall -Wextra -Wconversion -Wsign-conversion -Wshadow -Wold-style-cast -Wnon-virtual-dtor -Woverloaded-virtual
    -Wimplicit-fallthrough -Wcast-qual -Wformat=2)

# g++ 12, when it optimises, sees overlapping copies and uninitialised bytes in std::string where there are none. clang's
# warnings and the sanitizers look after the real ones.
target_compile_options(ntt_settings INTERFACE $<$<CXX_COMPILER_ID:GNU>:-Wno-restrict -Wno-maybe-uninitialized>)

option(NTT_WERROR "treat warnings as errors" ON)
if(NTT_WERROR)
    target_compile_options(ntt_settings INTERFACE -Werror)
endif()

# address = AddressSanitizer and UndefinedBehaviorSanitizer; fuzzer = these two with clang's libFuzzer; thread = ThreadSanitizer
set(NTT_SANITIZE "" CACHE STRING "empty, address, fuzzer or thread")
if(NTT_SANITIZE STREQUAL "address")
    add_compile_options(-fsanitize=address,undefined -fno-sanitize-recover=undefined -fno-omit-frame-pointer)
    add_link_options(-fsanitize=address,undefined)
elseif(NTT_SANITIZE STREQUAL "fuzzer")
    add_compile_options(-fsanitize=fuzzer-no-link,address,undefined -fno-sanitize-recover=undefined -fno-omit-frame-pointer)
    add_link_options(-fsanitize=address,undefined)
elseif(NTT_SANITIZE STREQUAL "thread")
    add_compile_options(-fsanitize=thread -fno-omit-frame-pointer)
    add_link_options(-fsanitize=thread)
elseif(NTT_SANITIZE)
    message(FATAL_ERROR "NTT_SANITIZE must be empty, address, fuzzer or thread")
endif()

find_program(NTT_CCACHE ccache)
if(NTT_CCACHE)
    set(CMAKE_CXX_COMPILER_LAUNCHER ${NTT_CCACHE})
    set(CMAKE_C_COMPILER_LAUNCHER ${NTT_CCACHE})
endif()

# ntt_library(name sources...): static library ntt_<name>, one for each folder of src/.
function(ntt_library name)
    add_library(ntt_${name} STATIC ${ARGN})
    target_link_libraries(ntt_${name} PUBLIC ntt::settings)
endfunction()

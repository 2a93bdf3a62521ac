# Libraries of the system; nothing is vendored or downloaded. The Debian packages are listed in packaging/packages.txt.

find_package(Threads REQUIRED)
find_package(PkgConfig REQUIRED)
find_package(fmt REQUIRED)
find_package(spdlog REQUIRED)
find_package(CLI11 REQUIRED)
find_package(nlohmann_json REQUIRED)
find_package(tomlplusplus REQUIRED)
pkg_check_modules(sqlite3 REQUIRED IMPORTED_TARGET GLOBAL sqlite3)
pkg_check_modules(seccomp REQUIRED IMPORTED_TARGET GLOBAL libseccomp)

# libtsk 4.11.1 of Debian has a pkg-config file without its private libraries; the shared library brings them.
pkg_check_modules(tsk REQUIRED IMPORTED_TARGET GLOBAL tsk)

# BLAKE3: a system libblake3 where there is one, else the official C and assembly sources that librust-blake3-dev installs.
pkg_check_modules(blake3 QUIET IMPORTED_TARGET GLOBAL libblake3)
if(blake3_FOUND)
    add_library(ntt::blake3 ALIAS PkgConfig::blake3)
else()
    file(GLOB blake3_dirs /usr/share/cargo/registry/blake3-*/c)
    if(NOT blake3_dirs)
        message(FATAL_ERROR "BLAKE3 not found: install libblake3-dev or librust-blake3-dev")
    endif()
    list(GET blake3_dirs -1 blake3_dir)
    set(blake3_sources blake3.c blake3_dispatch.c blake3_portable.c)
    if(CMAKE_SYSTEM_PROCESSOR MATCHES "x86_64|AMD64")
        list(APPEND blake3_sources blake3_sse2_x86-64_unix.S blake3_sse41_x86-64_unix.S blake3_avx2_x86-64_unix.S
             blake3_avx512_x86-64_unix.S)
    elseif(CMAKE_SYSTEM_PROCESSOR MATCHES "aarch64|arm64")
        list(APPEND blake3_sources blake3_neon.c)
    endif()
    list(TRANSFORM blake3_sources PREPEND ${blake3_dir}/)
    add_library(ntt_blake3 STATIC ${blake3_sources})
    target_include_directories(ntt_blake3 SYSTEM PUBLIC ${blake3_dir})
    target_compile_options(ntt_blake3 PRIVATE -O3)
    add_library(ntt::blake3 ALIAS ntt_blake3)
endif()

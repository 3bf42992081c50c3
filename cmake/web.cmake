# The page's files become part of the program: a table of them (src/role/http_static.h), their bytes by .incbin.
function(signalbox_embed_web target directory)
  file(GLOB files CONFIGURE_DEPENDS ${directory}/*.html ${directory}/*.js ${directory}/*.css ${directory}/*.svg
       ${directory}/*.png ${directory}/*.webmanifest)
  list(SORT files)
  set(bytes "")
  set(rows "")
  set(number 0)
  foreach(file ${files})
    get_filename_component(name ${file} NAME)
    string(APPEND bytes "INCLUDE(${number}, \"${file}\")\n")
    string(APPEND rows "    {\"/${name}\", file_${number}_begin, file_${number}_end},\n")
    math(EXPR number "${number} + 1")
  endforeach()
  set(generated ${CMAKE_CURRENT_BINARY_DIR}/web_files.c)
  file(CONFIGURE OUTPUT ${generated} @ONLY CONTENT [[
/* Made by cmake/web.cmake. */
#include "role/http_static.h"

#define INCLUDE(number, path)                                                                      \
    __asm__(".pushsection .rodata\n"                                                               \
            "file_" #number "_begin:\n"                                                            \
            ".incbin \"" path "\"\n"                                                               \
            "file_" #number "_end:\n"                                                              \
            ".byte 0\n"                                                                            \
            ".popsection\n");                                                                      \
    extern const char file_##number##_begin[], file_##number##_end[];
@bytes@
const struct http_file http_files[] = {
@rows@    {0, 0, 0},
};
]])
  set_source_files_properties(${generated} PROPERTIES OBJECT_DEPENDS "${files}")
  target_sources(${target} PRIVATE ${generated})
endfunction()

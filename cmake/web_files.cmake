# cmake -DFOLDER=... -DTABLE=... -P web_files.cmake: writes the table of the page's files.
file(GLOB_RECURSE names RELATIVE ${FOLDER} ${FOLDER}/*)
list(SORT names)
set(bytes "")
set(rows "")
set(number 0)
foreach(name ${names})
  string(REGEX REPLACE "\\.(br|gz)$" "" plain ${name})
  if(NOT plain STREQUAL name AND EXISTS ${FOLDER}/${plain})
    continue() # in the row of the plain one
  endif()
  file(SHA256 ${FOLDER}/${name} tag)
  string(SUBSTRING ${tag} 0 32 tag)
  set(row "\"/${name}\", \"${tag}\", {")
  foreach(ending .br .gz "") # in the order of enum coding
    if(EXISTS ${FOLDER}/${name}${ending})
      string(APPEND bytes "INCLUDE(${number}, \"${FOLDER}/${name}${ending}\")\n")
      string(APPEND row "{file_${number}_begin, file_${number}_end}, ")
      math(EXPR number "${number} + 1")
    else()
      string(APPEND row "{0, 0}, ")
    endif()
  endforeach()
  string(APPEND rows "    {${row}}},\n")
endforeach()
# Always new, so that the bytes are taken anew, too.
file(CONFIGURE OUTPUT ${TABLE}.next @ONLY CONTENT [[
/* Made by cmake/web_files.cmake. */
#include "signalbox/role/http.h"

#define INCLUDE(number, path)                                                                      \
    __asm__(".pushsection .rodata\n"                                                               \
            "file_" #number "_begin:\n"                                                            \
            ".incbin \"" path "\"\n"                                                               \
            "file_" #number "_end:\n"                                                              \
            ".byte 0\n"                                                                            \
            ".popsection\n");                                                                      \
    extern const char file_##number##_begin[], file_##number##_end[];
@bytes@
const struct http_file http_page[] = {
@rows@    {0, 0, {{0, 0}, {0, 0}, {0, 0}}},
};
]])
file(RENAME ${TABLE}.next ${TABLE})
file(TOUCH ${TABLE})

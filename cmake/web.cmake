# The page becomes part of the program: a table of its files (struct http_file), their bytes by .incbin.
#
# It is built with node when anything is built (scripts/build-web, which does nothing where nothing has changed), or is a
# folder that was built elsewhere.
set(SIGNALBOX_WEB "" CACHE PATH "A folder with the page, built elsewhere; empty: scripts/build-web builds it, which needs node and npm")

function(signalbox_embed_web target)
  set(table ${CMAKE_CURRENT_BINARY_DIR}/web_files.c)
  set(script ${CMAKE_SOURCE_DIR}/cmake/web_files.cmake)
  if(SIGNALBOX_WEB)
    if(NOT EXISTS ${SIGNALBOX_WEB}/index.html)
      message(FATAL_ERROR "SIGNALBOX_WEB=${SIGNALBOX_WEB}: there is no index.html, so this is no page that was built")
    endif()
    set(folder ${SIGNALBOX_WEB})
    file(GLOB_RECURSE changes CONFIGURE_DEPENDS ${folder}/*)
  else()
    find_program(NODE_PROGRAM node)
    find_program(NPM_PROGRAM npm)
    if(NOT NODE_PROGRAM OR NOT NPM_PROGRAM)
      message(FATAL_ERROR "The page is built with node (18 or newer) and npm: apt-get install nodejs npm. "
                          "Or give the folder of one that was built elsewhere: -DSIGNALBOX_WEB=FOLDER")
    endif()
    # A copy of its own, so that nothing changes under the assembler while another preset is built.
    set(folder ${CMAKE_BINARY_DIR}/web)
    set(changes ${folder}.stamp)
    add_custom_target(web_page COMMAND ${CMAKE_SOURCE_DIR}/scripts/build-web ${folder} BYPRODUCTS ${changes}
                      COMMENT "The page" VERBATIM)
  endif()
  add_custom_command(OUTPUT ${table} COMMAND ${CMAKE_COMMAND} -DFOLDER=${folder} -DTABLE=${table} -P ${script}
                     DEPENDS ${changes} ${script} VERBATIM)
  target_sources(${target} PRIVATE ${table})
  if(TARGET web_page)
    add_dependencies(${target} web_page)
  endif()
endfunction()

# liburcu: its inlined fast paths (_LGPL_SOURCE) hide from ThreadSanitizer, so that preset calls the
# library instead; the ASan preset also lets read sections assert their registration (DEBUG_RCU).
if(SIGNALBOX_SANITIZE STREQUAL "asan")
  add_compile_options(-fsanitize=address,undefined -fno-sanitize-recover=all -fno-omit-frame-pointer)
  add_link_options(-fsanitize=address,undefined)
  add_compile_definitions(_LGPL_SOURCE DEBUG_RCU)
elseif(SIGNALBOX_SANITIZE STREQUAL "tsan")
  add_compile_options(-fsanitize=thread -fno-omit-frame-pointer)
  add_link_options(-fsanitize=thread)
else()
  add_compile_definitions(_LGPL_SOURCE)
endif()

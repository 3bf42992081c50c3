#pragma once
/* The data folder of a configuration file (NULL: without one, the defaults); the caller frees it. NULL: stderr was told
 * why not. */
char *data_folder(const char *config_file);

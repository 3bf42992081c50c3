# Warnings are errors, in every preset.
add_compile_options(-Wall -Wextra -Wshadow -Wconversion -Wstrict-prototypes -Wmissing-prototypes
                    -Wvla -Wformat=2 -Wundef -Werror -fno-common)

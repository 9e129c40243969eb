// Part of Inkstone. Licence: see LICENSE.

#ifndef INKSTONE_PAGE_H
#define INKSTONE_PAGE_H

#include <stddef.h>

/// A file of the page, as the server sends it.
typedef struct {
    /// Path below the root of the page, empty for the page itself.
    const char *path;
    /// Media type.
    const char *type;
    const unsigned char *bytes;
    size_t length;
} page_file;

/// Returns the first of `count` files; they are constant.
const page_file *page_files(size_t *count);

#endif

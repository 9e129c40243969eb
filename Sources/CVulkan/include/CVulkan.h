// Part of Inkstone. Licence: see LICENSE.

#ifndef INKSTONE_VULKAN_H
#define INKSTONE_VULKAN_H

// The part of Vulkan 1.3 that the backend uses, with the names of the specification: a build needs
// neither headers nor a library of Vulkan.

#include "constants.h"
#include "structures.h"
#include "functions.h"
#include "loader.h"

#endif

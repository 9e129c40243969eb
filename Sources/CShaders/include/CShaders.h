// Part of Inkstone. Licence: see LICENSE.
//
// The compute shaders of the Vulkan backend as SPIR-V, embedded in the program. Their sources are in
// `glsl`; Scripts/compile-shaders compiles them.

#pragma once

#include <stddef.h>
#include <stdint.h>

#ifdef __cplusplus
extern "C" {
#endif

/// Returns the SPIR-V of a shader and its size in bytes, or NULL if there is none of that name.
const uint32_t *_Nullable ink_shader_named(const char *_Nonnull name, size_t *_Nonnull bytes);

/// Returns the name of shader `index` in alphabetic order, or NULL past the last one.
const char *_Nullable ink_shader_name(size_t index);

#ifdef __cplusplus
}
#endif

// Part of Inkstone. Licence: see LICENSE.

#ifndef INKSTONE_VULKAN_LOADER_H
#define INKSTONE_VULKAN_LOADER_H

#include "functions.h"
#include "structures.h"

// Only the members have a nullability: parameters follow the specification.
#pragma clang diagnostic push
#pragma clang diagnostic ignored "-Wnullability-completeness"

#define INK_VK_MEMBER(result, name, parameters) result(*_Nonnull vk##name) parameters;
#define INK_VK_OPTIONAL_MEMBER(result, name, parameters) result(*_Nullable vk##name) parameters;

/// Functions of an instance.
typedef struct ink_vk_instance_functions {
    INK_VK_INSTANCE_FUNCTIONS(INK_VK_MEMBER)
    INK_VK_OPTIONAL_INSTANCE_FUNCTIONS(INK_VK_OPTIONAL_MEMBER)
} ink_vk_instance_functions;

/// Functions of an opened device.
typedef struct ink_vk_device_functions {
    INK_VK_DEVICE_FUNCTIONS(INK_VK_MEMBER)
    INK_VK_OPTIONAL_DEVICE_FUNCTIONS(INK_VK_OPTIONAL_MEMBER)
} ink_vk_device_functions;

/// The library of Vulkan on this machine; it stays open until the process ends.
typedef struct ink_vk_library ink_vk_library;

/// Opens a library by its file name, such as "libvulkan.so.1", with the system's dynamic loader.
///
/// Returns NULL if it is missing or not a library of Vulkan; then `reason` is text that is valid
/// until the next call.
const ink_vk_library *_Nullable ink_vk_open(const char *_Nonnull name,
                                            const char *_Nullable *_Nonnull reason);

/// Creates an instance.
VkResult ink_vk_create_instance(const ink_vk_library *_Nonnull library,
                                const VkInstanceCreateInfo *_Nonnull info,
                                VkInstance _Nullable *_Nonnull instance);

/// Looks up the functions of an instance. Returns NULL, or the name of a function that is missing.
const char *_Nullable ink_vk_load_instance(const ink_vk_library *_Nonnull library,
                                           VkInstance _Nonnull instance,
                                           ink_vk_instance_functions *_Nonnull functions);

/// Looks up the functions of a device. Returns NULL, or the name of a function that is missing.
const char *_Nullable ink_vk_load_device(const ink_vk_library *_Nonnull library,
                                         VkInstance _Nonnull instance, VkDevice _Nonnull device,
                                         ink_vk_device_functions *_Nonnull functions);

#pragma clang diagnostic pop

#endif

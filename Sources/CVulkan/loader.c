// Part of Inkstone. Licence: see LICENSE.

#include <dlfcn.h>
#include <stdatomic.h>
#include <stdbool.h>
#include <stdlib.h>
#include <unistd.h>

#include "CVulkan.h"

typedef void (*function)(void);
typedef function (*get_instance_function)(VkInstance, const char *);
typedef function (*get_device_function)(VkDevice, const char *);

struct ink_vk_library {
    get_instance_function get;
};

const ink_vk_library *ink_vk_open(const char *name, const char **reason) {
    *reason = NULL;
    void *handle = dlopen(name, RTLD_NOW | RTLD_LOCAL);
    if (!handle) {
        *reason = dlerror();
        return NULL;
    }
    get_instance_function get = (get_instance_function)dlsym(handle, "vkGetInstanceProcAddr");
    ink_vk_library *library = get ? malloc(sizeof *library) : NULL;
    if (!library) {
        *reason = get ? "out of memory" : "it has no function vkGetInstanceProcAddr";
        dlclose(handle);
        return NULL;
    }
    library->get = get;
    return library;
}

VkResult ink_vk_create_instance(const ink_vk_library *library, const VkInstanceCreateInfo *info,
                                VkInstance *instance) {
    typedef VkResult (*create)(const VkInstanceCreateInfo *, const VkAllocationCallbacks *,
                               VkInstance *);
    create call = (create)library->get(NULL, "vkCreateInstance");
    return call ? call(info, NULL, instance) : VK_ERROR_INITIALIZATION_FAILED;
}

// The functions are looked up by name, and the casts give each member its own type.
#define LOOK_UP(result, name, parameters) \
    functions->vk##name = (result(*) parameters)GET("vk" #name);
#define REQUIRE(result, name, parameters) \
    LOOK_UP(result, name, parameters)     \
    if (!functions->vk##name) return "vk" #name;

const char *ink_vk_load_instance(const ink_vk_library *library, VkInstance instance,
                                 ink_vk_instance_functions *functions) {
#define GET(name) library->get(instance, name)
    INK_VK_INSTANCE_FUNCTIONS(REQUIRE)
    INK_VK_OPTIONAL_INSTANCE_FUNCTIONS(LOOK_UP)
#undef GET
    return NULL;
}

/// A hook for tests of lost devices: INKSTONE_LOSE_DEVICE names a file, and the first submission
/// that finds it removes it, after which the device of this process is lost.
static const char *loss_file;
static VkResult (*submit)(VkQueue, uint32_t, const VkSubmitInfo2 *, VkFence);
static atomic_bool is_lost;

static VkResult submit_or_lose(VkQueue queue, uint32_t count, const VkSubmitInfo2 *infos,
                               VkFence fence) {
    if (unlink(loss_file) == 0) is_lost = true;
    return is_lost ? VK_ERROR_DEVICE_LOST : submit(queue, count, infos, fence);
}

const char *ink_vk_load_device(const ink_vk_library *library, VkInstance instance, VkDevice device,
                               ink_vk_device_functions *functions) {
    get_device_function get = (get_device_function)library->get(instance, "vkGetDeviceProcAddr");
    if (!get) return "vkGetDeviceProcAddr";
#define GET(name) get(device, name)
    INK_VK_DEVICE_FUNCTIONS(REQUIRE)
    INK_VK_OPTIONAL_DEVICE_FUNCTIONS(LOOK_UP)
#undef GET
    const char *file = getenv("INKSTONE_LOSE_DEVICE");
    if (file && *file) {
        loss_file = file;
        submit = functions->vkQueueSubmit2;
        functions->vkQueueSubmit2 = submit_or_lose;
    }
    return NULL;
}

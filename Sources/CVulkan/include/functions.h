// Part of Inkstone. Licence: see LICENSE.

#ifndef INKSTONE_VULKAN_FUNCTIONS_H
#define INKSTONE_VULKAN_FUNCTIONS_H

// Each list calls `F(result, name without vk, parameters)` for its functions; structures.h has the
// types.

#define INK_VK_INSTANCE_FUNCTIONS(F)                                                     \
    F(VkResult, EnumeratePhysicalDevices,                                                \
      (VkInstance instance, uint32_t * count, VkPhysicalDevice * devices))               \
    F(void, GetPhysicalDeviceProperties2,                                                \
      (VkPhysicalDevice device, VkPhysicalDeviceProperties2 * properties))               \
    F(void, GetPhysicalDeviceFeatures2,                                                  \
      (VkPhysicalDevice device, VkPhysicalDeviceFeatures2 * features))                   \
    F(void, GetPhysicalDeviceMemoryProperties2,                                          \
      (VkPhysicalDevice device, VkPhysicalDeviceMemoryProperties2 * properties))         \
    F(void, GetPhysicalDeviceQueueFamilyProperties,                                      \
      (VkPhysicalDevice device, uint32_t * count, VkQueueFamilyProperties * properties)) \
    F(VkResult, EnumerateDeviceExtensionProperties,                                      \
      (VkPhysicalDevice device, const char *layer, uint32_t *count,                      \
       VkExtensionProperties *properties))                                               \
    F(VkResult, CreateDevice,                                                            \
      (VkPhysicalDevice physical, const VkDeviceCreateInfo *info,                        \
       const VkAllocationCallbacks *allocator, VkDevice *device))

/// Functions that a loader may lack.
#define INK_VK_OPTIONAL_INSTANCE_FUNCTIONS(F)                    \
    F(VkResult, GetPhysicalDeviceCooperativeMatrixPropertiesKHR, \
      (VkPhysicalDevice device, uint32_t * count, VkCooperativeMatrixPropertiesKHR * properties))

#define INK_VK_DEVICE_FUNCTIONS(F)                                                                 \
    F(void, DestroyDevice, (VkDevice device, const VkAllocationCallbacks *allocator))              \
    F(VkResult, DeviceWaitIdle, (VkDevice device))                                                 \
    F(void, GetDeviceQueue, (VkDevice device, uint32_t family, uint32_t index, VkQueue * queue))   \
    F(VkResult, CreateBuffer,                                                                      \
      (VkDevice device, const VkBufferCreateInfo *info, const VkAllocationCallbacks *allocator,    \
       VkBuffer *buffer))                                                                          \
    F(void, DestroyBuffer,                                                                         \
      (VkDevice device, VkBuffer buffer, const VkAllocationCallbacks *allocator))                  \
    F(void, GetBufferMemoryRequirements,                                                           \
      (VkDevice device, VkBuffer buffer, VkMemoryRequirements * requirements))                     \
    F(VkDeviceAddress, GetBufferDeviceAddress,                                                     \
      (VkDevice device, const VkBufferDeviceAddressInfo *info))                                    \
    F(VkResult, AllocateMemory,                                                                    \
      (VkDevice device, const VkMemoryAllocateInfo *info, const VkAllocationCallbacks *allocator,  \
       VkDeviceMemory *memory))                                                                    \
    F(void, FreeMemory,                                                                            \
      (VkDevice device, VkDeviceMemory memory, const VkAllocationCallbacks *allocator))            \
    F(VkResult, BindBufferMemory,                                                                  \
      (VkDevice device, VkBuffer buffer, VkDeviceMemory memory, VkDeviceSize offset))              \
    F(VkResult, MapMemory,                                                                         \
      (VkDevice device, VkDeviceMemory memory, VkDeviceSize offset, VkDeviceSize size,             \
       VkFlags flags, void **data))                                                                \
    F(VkResult, CreateShaderModule,                                                                \
      (VkDevice device, const VkShaderModuleCreateInfo *info,                                      \
       const VkAllocationCallbacks *allocator, VkShaderModule *module))                            \
    F(void, DestroyShaderModule,                                                                   \
      (VkDevice device, VkShaderModule module, const VkAllocationCallbacks *allocator))            \
    F(VkResult, CreatePipelineLayout,                                                              \
      (VkDevice device, const VkPipelineLayoutCreateInfo *info,                                    \
       const VkAllocationCallbacks *allocator, VkPipelineLayout *layout))                          \
    F(void, DestroyPipelineLayout,                                                                 \
      (VkDevice device, VkPipelineLayout layout, const VkAllocationCallbacks *allocator))          \
    F(VkResult, CreateComputePipelines,                                                            \
      (VkDevice device, VkPipelineCache cache, uint32_t count,                                     \
       const VkComputePipelineCreateInfo *infos, const VkAllocationCallbacks *allocator,           \
       VkPipeline *pipelines))                                                                     \
    F(void, DestroyPipeline,                                                                       \
      (VkDevice device, VkPipeline pipeline, const VkAllocationCallbacks *allocator))              \
    F(VkResult, CreateCommandPool,                                                                 \
      (VkDevice device, const VkCommandPoolCreateInfo *info,                                       \
       const VkAllocationCallbacks *allocator, VkCommandPool *pool))                               \
    F(void, DestroyCommandPool,                                                                    \
      (VkDevice device, VkCommandPool pool, const VkAllocationCallbacks *allocator))               \
    F(VkResult, AllocateCommandBuffers,                                                            \
      (VkDevice device, const VkCommandBufferAllocateInfo *info, VkCommandBuffer *buffers))        \
    F(VkResult, BeginCommandBuffer,                                                                \
      (VkCommandBuffer commands, const VkCommandBufferBeginInfo *info))                            \
    F(VkResult, EndCommandBuffer, (VkCommandBuffer commands))                                      \
    F(void, CmdBindPipeline,                                                                       \
      (VkCommandBuffer commands, VkPipelineBindPoint point, VkPipeline pipeline))                  \
    F(void, CmdPushConstants,                                                                      \
      (VkCommandBuffer commands, VkPipelineLayout layout, VkFlags stages, uint32_t offset,         \
       uint32_t size, const void *values))                                                         \
    F(void, CmdDispatch, (VkCommandBuffer commands, uint32_t x, uint32_t y, uint32_t z))           \
    F(void, CmdCopyBuffer,                                                                         \
      (VkCommandBuffer commands, VkBuffer source, VkBuffer target, uint32_t count,                 \
       const VkBufferCopy *regions))                                                               \
    F(void, CmdUpdateBuffer,                                                                       \
      (VkCommandBuffer commands, VkBuffer target, VkDeviceSize offset, VkDeviceSize size,          \
       const void *data))                                                                          \
    F(void, CmdFillBuffer,                                                                         \
      (VkCommandBuffer commands, VkBuffer target, VkDeviceSize offset, VkDeviceSize size,          \
       uint32_t word))                                                                             \
    F(void, CmdPipelineBarrier2, (VkCommandBuffer commands, const VkDependencyInfo *info))         \
    F(VkResult, CreateQueryPool,                                                                   \
      (VkDevice device, const VkQueryPoolCreateInfo *info, const VkAllocationCallbacks *allocator, \
       VkQueryPool *pool))                                                                         \
    F(void, DestroyQueryPool,                                                                      \
      (VkDevice device, VkQueryPool pool, const VkAllocationCallbacks *allocator))                 \
    F(VkResult, GetQueryPoolResults,                                                               \
      (VkDevice device, VkQueryPool pool, uint32_t first, uint32_t count, size_t bytes,            \
       void *data, VkDeviceSize stride, VkFlags flags))                                            \
    F(void, CmdResetQueryPool,                                                                     \
      (VkCommandBuffer commands, VkQueryPool pool, uint32_t first, uint32_t count))                \
    F(void, CmdWriteTimestamp2,                                                                    \
      (VkCommandBuffer commands, VkFlags64 stage, VkQueryPool pool, uint32_t query))               \
    F(VkResult, QueueSubmit2,                                                                      \
      (VkQueue queue, uint32_t count, const VkSubmitInfo2 *infos, VkFence fence))                  \
    F(VkResult, CreateSemaphore,                                                                   \
      (VkDevice device, const VkSemaphoreCreateInfo *info, const VkAllocationCallbacks *allocator, \
       VkSemaphore *semaphore))                                                                    \
    F(void, DestroySemaphore,                                                                      \
      (VkDevice device, VkSemaphore semaphore, const VkAllocationCallbacks *allocator))            \
    F(VkResult, GetSemaphoreCounterValue,                                                          \
      (VkDevice device, VkSemaphore semaphore, uint64_t * value))                                  \
    F(VkResult, WaitSemaphores,                                                                    \
      (VkDevice device, const VkSemaphoreWaitInfo *info, uint64_t timeout))

/// Functions of VK_KHR_pipeline_executable_properties.
#define INK_VK_OPTIONAL_DEVICE_FUNCTIONS(F)                                       \
    F(VkResult, GetPipelineExecutablePropertiesKHR,                               \
      (VkDevice device, const VkPipelineInfoKHR *info, uint32_t *count,           \
       VkPipelineExecutablePropertiesKHR *properties))                            \
    F(VkResult, GetPipelineExecutableStatisticsKHR,                               \
      (VkDevice device, const VkPipelineExecutableInfoKHR *info, uint32_t *count, \
       VkPipelineExecutableStatisticKHR *statistics))

#endif

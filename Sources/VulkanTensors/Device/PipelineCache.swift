// Part of Inkstone. Licence: see LICENSE.

import CVulkan
import Synchronization

/// The compiled kernels of a device.
final class PipelineCache: Sendable {
    /// Layout of all pipelines: ``Kernel/pushBytes`` of push constants and no descriptors.
    let layout: VkPipelineLayout
    let device: OpenDevice
    /// Shaders that take precedence over the embedded ones.
    private let shaders: [String: [UInt32]]
    private let pipelines = Mutex<[Kernel: VkPipeline]>([:])

    /// Creates an empty cache.
    init(_ device: OpenDevice, shaders: [String: [UInt32]]) throws(VulkanError) {
        self.device = device
        self.shaders = shaders
        var layout: VkPipelineLayout = 0
        let result = withArguments { memory in
            let range = memory.make(VkPushConstantRange.self) {
                $0.stageFlags = VK_SHADER_STAGE_COMPUTE_BIT
                $0.size = UInt32(Kernel.pushBytes)
            }
            let info = memory.make(VkPipelineLayoutCreateInfo.self) {
                $0.sType = VK_STRUCTURE_TYPE_PIPELINE_LAYOUT_CREATE_INFO
                $0.pushConstantRangeCount = 1
                $0.pPushConstantRanges = UnsafePointer(range)
            }
            return device.functions.vkCreatePipelineLayout(device.handle, info, nil, &layout)
        }
        try device.check(result, "creating a pipeline layout")
        self.layout = layout
    }

    deinit {
        for pipeline in pipelines.withLock({ Array($0.values) }) {
            device.functions.vkDestroyPipeline(device.handle, pipeline, nil)
        }
        device.functions.vkDestroyPipelineLayout(device.handle, layout, nil)
    }

    /// Number of compiled kernels.
    var count: Int { pipelines.withLock { $0.count } }

    /// Returns the pipeline of a kernel, which is compiled on first use.
    func pipeline(for kernel: Kernel) throws(VulkanError) -> VkPipeline {
        try pipelines.withLock { pipelines throws(VulkanError) in
            if let known = pipelines[kernel] { return known }
            let pipeline = try compile(kernel)
            pipelines[kernel] = pipeline
            return pipeline
        }
    }

    private func compile(_ kernel: Kernel) throws(VulkanError) -> VkPipeline {
        let found =
            shaders[kernel.shader].map { ShaderCode(words: $0) } ?? ShaderCode(named: kernel.shader)
        guard var code = found else {
            throw VulkanError(.shader, "there is no shader '\(kernel.shader)' in this program.")
        }
        if device.facts.isSoftware { code.keepMatrixLoops() }
        let size = try requiredSubgroupSize(of: kernel)
        let module = try makeModule(code, of: kernel)
        defer { device.functions.vkDestroyShaderModule(device.handle, module, nil) }
        var pipeline: VkPipeline = 0
        let result = withArguments { memory in
            let values = Self.values(kernel.constants, &memory)
            let required = size.map { size in
                memory.make(VkPipelineShaderStageRequiredSubgroupSizeCreateInfo.self) {
                    $0.sType =
                        VK_STRUCTURE_TYPE_PIPELINE_SHADER_STAGE_REQUIRED_SUBGROUP_SIZE_CREATE_INFO
                    $0.requiredSubgroupSize = UInt32(size)
                }
            }
            let entry = memory.store("main")
            let info = memory.make(VkComputePipelineCreateInfo.self) {
                $0.sType = VK_STRUCTURE_TYPE_COMPUTE_PIPELINE_CREATE_INFO
                $0.stage.sType = VK_STRUCTURE_TYPE_PIPELINE_SHADER_STAGE_CREATE_INFO
                $0.stage.stage = VK_SHADER_STAGE_COMPUTE_BIT
                $0.stage.module = module
                $0.stage.pName = entry
                $0.stage.pSpecializationInfo = UnsafePointer(values)
                if let required {
                    $0.stage.pNext = UnsafeRawPointer(required)
                    $0.stage.flags = VK_PIPELINE_SHADER_STAGE_CREATE_REQUIRE_FULL_SUBGROUPS_BIT
                }
                $0.layout = layout
                if device.capturesStatistics {
                    $0.flags = VK_PIPELINE_CREATE_CAPTURE_STATISTICS_BIT_KHR
                }
            }
            return device.functions.vkCreateComputePipelines(
                device.handle, 0, 1, info, nil, &pipeline)
        }
        try device.check(result, "compiling the shader '\(kernel.shader)'")
        return pipeline
    }

    private func makeModule(
        _ code: ShaderCode, of kernel: Kernel
    ) throws(VulkanError) -> VkShaderModule {
        var module: VkShaderModule = 0
        let result = withArguments { memory in
            let words = memory.store(code.words)
            let info = memory.make(VkShaderModuleCreateInfo.self) {
                $0.sType = VK_STRUCTURE_TYPE_SHADER_MODULE_CREATE_INFO
                $0.codeSize = code.words.count * 4
                $0.pCode = UnsafePointer(words)
            }
            return device.functions.vkCreateShaderModule(device.handle, info, nil, &module)
        }
        try device.check(result, "reading the shader '\(kernel.shader)'")
        return module
    }

    /// Values of the constants 0, 1, 2, … .
    private static func values(
        _ constants: [UInt32], _ memory: inout CallArguments
    ) -> UnsafeMutablePointer<VkSpecializationInfo> {
        let size = MemoryLayout<UInt32>.size
        let entries = memory.store(
            constants.indices.map {
                VkSpecializationMapEntry(
                    constantID: UInt32($0), offset: UInt32($0 * size), size: size)
            })
        let data = memory.store(constants)
        return memory.make(VkSpecializationInfo.self) {
            $0.mapEntryCount = UInt32(constants.count)
            $0.pMapEntries = UnsafePointer(entries)
            $0.dataSize = constants.count * size
            $0.pData = UnsafeRawPointer(data)
        }
    }

    private func requiredSubgroupSize(of kernel: Kernel) throws(VulkanError) -> Int? {
        guard let size = kernel.subgroupSize, !device.facts.isSoftware else { return nil }
        guard device.facts.subgroupSizes.contains(size), size.nonzeroBitCount == 1 else {
            throw VulkanError(
                .feature,
                "the shader '\(kernel.shader)' requires subgroups of \(size), and the Vulkan device"
                    + " '\(device.name)' has \(device.facts.subgroupSizes.lowerBound) to"
                    + " \(device.facts.subgroupSizes.upperBound).")
        }
        return size
    }
}

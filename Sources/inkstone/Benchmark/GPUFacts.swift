// Part of Inkstone. Licence: see LICENSE.

import VulkanTensors

/// What a report says about a GPU.
struct GPUFacts: Encodable {
    let name: String
    let kind: String
    let driver: String
    let vulkan: String
    let memoryBytes: Int
    let subgroupSize: Int
    let sharedMemoryBytes: Int
    /// Shapes of matrix instructions for f16 and int8.
    let matrixShapes: [String]
    /// Why matrix instructions are not used although the device has them.
    let matrixFault: String?
    let hasTimestamps: Bool
    /// Whether weights in the machine's memory are copied beside the kernels.
    let hasTransferQueue: Bool

    init(_ backend: VulkanBackend) {
        let facts = backend.device.facts
        name = facts.name
        kind = "\(facts.kind)"
        driver = "\(facts.driverName) \(facts.driverVersion)"
        vulkan = facts.apiVersion
        memoryBytes = facts.memoryBytes
        subgroupSize = facts.subgroupSize
        sharedMemoryBytes = facts.sharedMemoryBytes
        matrixShapes = facts.matrixShapes.filter { $0.a == .s8 || $0.a == .f16 }
            .map(\.description)
        matrixFault = backend.matrixFault
        hasTimestamps = backend.device.hasTimestamps
        hasTransferQueue = facts.hasTransferQueue
    }
}

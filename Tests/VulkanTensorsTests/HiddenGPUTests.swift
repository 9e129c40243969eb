// Part of Inkstone. Licence: see LICENSE.

import Testing
import VulkanTensors

/// GPUs that the machine has and Vulkan does not list.
@Suite("A GPU without a driver is named, with what is missing")
struct HiddenGPUTests {
    private static func facts(_ vendorID: UInt32) -> DeviceFacts {
        DeviceFacts(
            index: 0, name: "device", vendorID: vendorID, deviceID: 1, kind: .discrete,
            driverName: "driver", driverVersion: "1", apiVersion: "1.3.0", memoryBytes: 1 << 33,
            reportsBudget: true, subgroupSize: 32, subgroupSizes: 32...32,
            sharedMemoryBytes: 32768, workgroupThreads: 1024,
            dispatchGroups: [65535, 65535, 65535], largestBuffer: 1 << 32, hasF16: true,
            hasInt16: true, hasInt8Dot: true, hasFastInt8Dot: true, matrixShapes: [], missing: [])
    }

    @Test(
        "a container without the capability for graphics",
        arguments: [
            ("compute,utility", "since NVIDIA_DRIVER_CAPABILITIES is 'compute,utility'"),
            ("graphics, compute", "contains nvidia_icd.json"), ("all", "contains nvidia_icd.json"),
            (nil, "contains nvidia_icd.json"),
        ])
    func capability(capabilities: String?, words: String) {
        let hidden = HiddenGPUs(hasNVIDIA: true, nodes: [], capabilities: capabilities)
        let sentences = hidden.sentences(beside: [])
        #expect(sentences.count == 1 && sentences[0].contains(words), "\(sentences)")
        #expect(sentences[0].contains("graphics,compute,utility"))
        // A software device changes nothing, and the driver's own device does.
        #expect(hidden.sentences(beside: [Self.facts(0x10005)]) == sentences)
        #expect(hidden.sentences(beside: [Self.facts(DeviceFacts.nvidia)]) == [])
    }

    @Test("nodes of AMD and Intel that cannot be opened, or have no driver")
    func nodes() {
        func sentences(_ vendorID: UInt32?, isAccessible: Bool) -> [String] {
            HiddenGPUs(
                hasNVIDIA: false,
                nodes: [
                    .init(
                        path: "/dev/dri/renderD128", vendorID: vendorID, isAccessible: isAccessible)
                ],
                capabilities: "compute"
            ).sentences(beside: [Self.facts(DeviceFacts.nvidia)])
        }
        #expect(
            sentences(DeviceFacts.amd, isAccessible: true)
                == [
                    "an AMD GPU is visible (/dev/dri/renderD128) and its Vulkan driver is not: install"
                        + " mesa-vulkan-drivers"
                ])
        let closed = sentences(DeviceFacts.intel, isAccessible: false)
        #expect(closed.count == 1)
        #expect(closed[0].hasPrefix("an Intel GPU is visible, but this user cannot open /dev/dri"))
        #expect(sentences(nil, isAccessible: true) == [])
        #expect(sentences(DeviceFacts.nvidia, isAccessible: false) == [])
    }
}

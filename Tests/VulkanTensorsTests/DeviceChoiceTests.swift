// Part of Inkstone. Licence: see LICENSE.

import Tensors
import Testing
import VulkanTensors

/// Choice among the devices of a machine.
@Suite("A device is chosen by number or name")
struct DeviceChoiceTests {
    private static func facts(
        _ index: Int, _ name: String, kind: DeviceFacts.Kind = .discrete, missing: [String] = []
    ) -> DeviceFacts {
        DeviceFacts(
            index: index, name: name, vendorID: 0x10DE, deviceID: 1, kind: kind,
            driverName: "driver", driverVersion: "1", apiVersion: "1.3.0", memoryBytes: 1 << 33,
            reportsBudget: true, subgroupSize: 32, subgroupSizes: 32...32,
            sharedMemoryBytes: 32768, workgroupThreads: 1024,
            dispatchGroups: [65535, 65535, 65535],
            largestBuffer: 1 << 32, hasF16: true, hasInt16: true, hasInt8Dot: true,
            hasFastInt8Dot: true, matrixShapes: [], missing: missing)
    }

    private let devices = [
        facts(0, "Intel Graphics", kind: .integrated), facts(1, "NVIDIA GeForce RTX 4090"),
        facts(2, "NVIDIA GeForce RTX 3060"),
        facts(3, "Old Card", missing: ["bufferDeviceAddress", "scalarBlockLayout"]),
        facts(4, "llvmpipe", kind: .software),
    ]

    @Test("arguments are read")
    func arguments() {
        #expect(DeviceChoice(argument: "vulkan") == .automatic)
        #expect(DeviceChoice(argument: "vulkan:1") == .number(1))
        #expect(DeviceChoice(argument: "Vulkan:RTX 4090") == .name("RTX 4090"))
        #expect(DeviceChoice(argument: "vulkan:a:b") == .name("a:b"))
        for text in ["", "cpu", "vulkan:", "vulkanx", ":1", "vulkan:a\u{1}b"] {
            #expect(DeviceChoice(argument: text) == nil)
        }
        #expect(
            DeviceSelection.list(argument: "vulkan:1,cpu,auto")
                == [.vulkan(.number(1)), .cpu, .automatic])
        for text in ["", "cpu,", "vulkan:0,cuda:0"] {
            #expect(DeviceSelection.list(argument: text) == nil)
        }
        for text in ["auto", "cpu", "vulkan", "vulkan:1", "vulkan:RTX 4090"] {
            #expect(DeviceSelection(argument: text)?.argument == text)
        }
    }

    @Test("a number and a part of a name in any case find a device")
    func found() throws {
        #expect(try DeviceChoice.number(2).select(from: devices).index == 2)
        #expect(try DeviceChoice.name("4090").select(from: devices).index == 1)
        #expect(try DeviceChoice.name("LLVM").select(from: devices).index == 4)
        let twins = [Self.facts(0, "Card Pro"), Self.facts(1, "Card")]
        #expect(try DeviceChoice.name("card").select(from: twins).index == 1, "the exact name")
    }

    @Test("without a choice the best device that lacks nothing is taken")
    func automatic() throws {
        #expect(try DeviceChoice.automatic.select(from: devices).index == 1)
        #expect(try DeviceChoice.automatic.select(from: [devices[3], devices[4]]).index == 4)
        #expect(try DeviceChoice.automatic.select(from: [devices[4], devices[0]]).index == 0)
    }

    @Test("software devices are not GPUs, and those that lack features are listed apart")
    func gpus() {
        let (usable, incomplete) = DeviceFacts.gpus(among: devices)
        #expect(usable.map(\.index) == [0, 1, 2])
        #expect(incomplete.map(\.name) == ["Old Card"])
    }

    @Test(
        "a choice that fits no device, or several, or one that lacks features, is a sentence",
        arguments: [
            (
                DeviceChoice.number(9),
                "there is no Vulkan device 9. Choose one of these: 0 'Intel Graphics', 1 'NVIDIA GeForce"
                    + " RTX 4090', 2 'NVIDIA GeForce RTX 3060', 3 'Old Card', 4 'llvmpipe'."
            ),
            (.name("radeon"), "no Vulkan device is named 'radeon'. Choose one of these: 0 'Intel"),
            (.name("rtx"), "2 Vulkan devices are named 'rtx'. Choose one by its number: 0 'Intel"),
            (
                .name("old"),
                "the Vulkan device 3 'Old Card' lacks bufferDeviceAddress, scalarBlockLayout. Update its"
                    + " driver, or choose another device."
            ),
        ])
    func sentences(_ choice: DeviceChoice, beginning: String) {
        let error = #expect(throws: VulkanError.self) { try choice.select(from: devices) }
        #expect(error?.description.hasPrefix(beginning) == true, "\(String(describing: error))")
    }

    @Test("no devices, and only one that lacks features, are sentences too")
    func nothing() {
        let none = #expect(throws: VulkanError.self) {
            try DeviceChoice.automatic.select(from: [])
        }
        #expect(none?.code == .noDevice)
        #expect(none?.description.hasPrefix("Vulkan has no device: the driver") == true)
        let old = #expect(throws: VulkanError.self) {
            try DeviceChoice.automatic.select(from: [devices[3]])
        }
        #expect(old?.code == .feature)
    }
}

/// The device of this machine.
@Suite("A Vulkan device and what it has", .needsVulkan)
struct DeviceTests {
    @Test("the facts are plausible")
    func facts() throws {
        let all = try vulkanDevices()
        #expect(all.map(\.index) == Array(all.indices))
        let facts = try TestDevice.open().facts
        #expect(all[facts.index] == facts)
        #expect(!facts.name.isEmpty && !facts.driverName.isEmpty && facts.missing.isEmpty)
        #expect(facts.memoryBytes > 1 << 28 && facts.largestBuffer >= 1 << 30)
        #expect(facts.subgroupSizes.contains(facts.subgroupSize))
        #expect(facts.sharedMemoryBytes >= 16384 && facts.workgroupThreads >= 128)
        #expect(facts.dispatchGroups.count == 3 && facts.dispatchGroups.allSatisfy { $0 >= 65535 })
        #expect(facts.apiVersion.split(separator: ".").count == 3)
        for shape in facts.matrixShapes { #expect(shape.m > 0 && shape.n > 0 && shape.k > 0) }
    }

    @Test("a device is opened by its number and by its name")
    func choice() throws {
        let facts = try TestDevice.open().facts
        #expect(try VulkanDevice(.number(facts.index), recording: .reversed).facts == facts)
        let named = try vulkanDevices().filter { $0.name == facts.name }
        if named.count == 1 {
            #expect(try VulkanDevice(.name(facts.name.uppercased())).facts == facts)
        }
        #expect(throws: VulkanError.self) { try VulkanDevice(.number(99)) }
    }

    @Test("statistics of kernels are reported where the driver has them")
    func statistics() throws {
        var options = VulkanOptions()
        options.shaders = ["affine": AffineShader.words]
        options.capturesStatistics = true
        let device = try VulkanDevice(.automatic, options: options)
        let statistics = try device.statistics(of: Kernel("affine", constants: [2]))
        #expect(statistics.values.allSatisfy { $0.isFinite })
        #expect(try TestDevice.open().statistics(of: Kernel("affine")).isEmpty)
    }
}

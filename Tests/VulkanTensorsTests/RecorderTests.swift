// Part of Inkstone. Licence: see LICENSE.

import Tensors
import Testing
import VulkanTensors

/// Order of commands, submissions and failures.
@Suite("The recorder orders what depends on each other, and nothing else", .needsVulkan)
struct RecorderTests {
    private static let orders = RecordingOrder.allCases
    /// Words of a buffer.
    private let count = 1000

    private func words(_ buffer: DeviceBuffer, of device: VulkanDevice) throws -> [UInt32] {
        try device.recorder.download(buffer, count: count, as: UInt32.self)
    }

    @Test("a chain of kernels gives the right numbers", arguments: orders)
    func chain(order: RecordingOrder) throws {
        let device = try TestDevice.open(order)
        let (x, y) = (
            try device.makeBuffer(bytes: 4 * count), try device.makeBuffer(bytes: 4 * count)
        )
        device.recorder.upload((0..<UInt32(count)).map(\.self), to: x)
        var expected = (0..<UInt32(count)).map(\.self)
        for step in 1...20 {
            let (source, target) = step % 2 == 1 ? (x, y) : (y, x)
            device.recorder.affine(source, to: target, count: count, factor: 3, adding: step)
            expected = expected.map { 3 &* $0 &+ UInt32(step) }
            if step % 7 == 0 { device.recorder.submit() }
        }
        #expect(try words(x, of: device) == expected)
        #expect(device.recorder.statistics.dispatches == 20)
        // One before each kernel and one before the download.
        #expect(device.recorder.statistics.barriers == 21)
        #expect(device.recorder.statistics.submissions == 3)
    }

    @Test("kernels that depend on nothing have no barrier", arguments: orders)
    func independent(order: RecordingOrder) throws {
        let device = try TestDevice.open(order)
        let source = try device.makeBuffer(bytes: 4 * count)
        device.recorder.fill(source, word: 7)
        let targets = try (0..<10).map { _ in try device.makeBuffer(bytes: 4 * count) }
        for (index, target) in targets.enumerated() {
            device.recorder.affine(source, to: target, count: count, factor: 2, adding: index)
        }
        #expect(device.recorder.statistics.barriers == 1, "after the fill only")
        for (index, target) in targets.enumerated() {
            #expect(try words(target, of: device).allSatisfy { $0 == 14 + UInt32(index) })
        }
        #expect(device.recorder.statistics.barriers == 2, "before the first download")
    }

    @Test("reads after writes, writes after reads and writes after writes wait", arguments: orders)
    func hazards(order: RecordingOrder) throws {
        let device = try TestDevice.open(order)
        let (a, b, c) = (
            try device.makeBuffer(bytes: 4 * count), try device.makeBuffer(bytes: 4 * count),
            try device.makeBuffer(bytes: 4 * count)
        )
        device.recorder.fill(a, word: 1)
        device.recorder.affine(a, to: b, count: count, adding: 1)  // b = 2, after the fill
        device.recorder.affine(c, to: a, count: count, factor: 0, adding: 10)  // a, which was read
        device.recorder.affine(b, to: c, count: count, factor: 5)  // c, which was read
        device.recorder.affine(a, to: c, count: 500, factor: 2)  // the first half of c again
        #expect(device.recorder.statistics.barriers == 4)
        #expect(try words(a, of: device).allSatisfy { $0 == 10 })
        #expect(try words(b, of: device).allSatisfy { $0 == 2 })
        let result = try words(c, of: device)
        #expect(result[..<500].allSatisfy { $0 == 20 } && result[500...].allSatisfy { $0 == 10 })
    }

    @Test("parts of one buffer are independent of each other", arguments: orders)
    func parts(order: RecordingOrder) throws {
        let device = try TestDevice.open(order)
        let (x, y) = (
            try device.makeBuffer(bytes: 4 * count), try device.makeBuffer(bytes: 4 * count)
        )
        device.recorder.fill(x, word: 1)
        for part in 0..<10 {
            device.recorder.affine(x, to: y, at: 400 * part, count: 100, adding: part)
        }
        #expect(device.recorder.statistics.barriers == 1)
        device.recorder.affine(y, to: x, at: 1200, count: 150, factor: 2)
        #expect(device.recorder.statistics.barriers == 2)
        let result = try words(x, of: device)
        #expect(
            result[300..<400].allSatisfy { $0 == 8 } && result[400..<450].allSatisfy { $0 == 10 })
        #expect(result[..<300].allSatisfy { $0 == 1 } && result[450...].allSatisfy { $0 == 1 })
    }

    @Test("the reverse order makes a wrong declaration visible")
    func wrongDeclaration() throws {
        let device = try TestDevice.open(.reversed)
        let (x, y, z) = (
            try device.makeBuffer(bytes: 4 * count), try device.makeBuffer(bytes: 4 * count),
            try device.makeBuffer(bytes: 4 * count)
        )
        for buffer in [x, y, z] { device.recorder.fill(buffer, word: 1) }
        device.recorder.affine(x, to: y, count: count, adding: 1)
        var push = PushBytes()
        push.add(y)
        push.add(z)
        push.add(count)
        push.add(5)
        let none: [DeviceBuffer] = []
        device.recorder.dispatch(
            Kernel("affine", constants: [1]), push: push, groups: (16, 1, 1), reads: none,
            writes: [z])
        #expect(try words(z, of: device).allSatisfy { $0 == 6 }, "7 with the read of y declared")
    }

    @Test("memory that was freed is used again within one recording", arguments: orders)
    func reuse(order: RecordingOrder) throws {
        let device = try TestDevice.open(order)
        let total = try device.makeBuffer(bytes: 4 * count)
        let sums = try (0..<3).map { _ in try device.makeBuffer(bytes: 4 * count) }
        device.recorder.fill(total, word: 0)
        var addresses: Set<UInt64> = []
        for step in 0..<12 {
            let temporary = try device.makeBuffer(bytes: 4 * count)
            addresses.insert(temporary.address)
            device.recorder.fill(temporary, word: UInt32(100 + step))
            device.recorder.affine(temporary, to: sums[step % 3], count: count, factor: 2)
        }
        #expect(addresses.count == 1)
        for (index, sum) in sums.enumerated() {
            #expect(try words(sum, of: device).allSatisfy { $0 == 2 * UInt32(109 + index) })
        }
    }

    @Test("a hundred submissions are throttled")
    func throttle() throws {
        let device = try TestDevice.open()
        let (x, y) = (
            try device.makeBuffer(bytes: 4 * count), try device.makeBuffer(bytes: 4 * count)
        )
        device.recorder.fill(x, word: 0)
        for step in 0..<100 {
            device.recorder.affine(
                step % 2 == 0 ? x : y, to: step % 2 == 0 ? y : x, count: count, adding: 1)
            device.recorder.submit()
            device.recorder.throttle(2)
            #expect(device.recorder.recorded - 1 - device.recorder.completed <= 2)
        }
        #expect(device.recorder.recorded == 101)
        device.recorder.throttle(0)
        #expect(device.recorder.completed == 100)
        #expect(try words(x, of: device).allSatisfy { $0 == 100 })
        device.recorder.submit()
        #expect(
            device.recorder.statistics.submissions == 101, "nothing is recorded after a download")
    }

    @Test("kernels are compiled once for each set of constants")
    func pipelines() throws {
        let device = try TestDevice.open()
        let x = try device.makeBuffer(bytes: 4 * count)
        for factor in [1, 2, 1, 2, 2] {
            device.recorder.affine(x, to: x, count: count, factor: UInt32(factor))
        }
        #expect(device.compiledKernels == 2)
    }

    @Test("a dispatch without workgroups is left out")
    func noGroups() throws {
        let device = try TestDevice.open()
        let x = try device.makeBuffer(bytes: 4)
        device.recorder.affine(x, to: x, count: 0)
        #expect(device.recorder.statistics == RecorderStatistics())
    }

    // MARK: Failures

    @Test("an unknown shader is reported by the download, and commands after it are dropped")
    func unknownShader() throws {
        let device = try TestDevice.open()
        let x = try device.makeBuffer(bytes: 4 * count)
        device.recorder.fill(x, word: 3)
        device.recorder.submit()
        let buffers = [x]
        device.recorder.dispatch(
            Kernel("no such shader"), push: PushBytes(), groups: (1, 1, 1), reads: buffers,
            writes: buffers)
        device.recorder.fill(x, word: 4)
        let sentence = "there is no shader 'no such shader' in this program."
        #expect(device.recorder.failure?.description == sentence)
        #expect(throws: VulkanError(.shader, sentence)) {
            try device.recorder.download(x, bytes: 4)
        }
        #expect(device.recorder.takeFailure()?.code == .shader)
        #expect(device.recorder.takeFailure() == nil)
        #expect(try words(x, of: device).allSatisfy { $0 == 3 })
    }

    @Test("a lost device stays lost, and nothing waits for it")
    func lost() throws {
        let device = try TestDevice.open()
        let x = try device.makeBuffer(bytes: 4 * count)
        device.recorder.fill(x, word: 3)
        device.recorder.fail(VulkanError(.outOfMemory, "first"))
        device.recorder.fail(VulkanError(.driver, "second"))
        #expect(device.recorder.failure?.description == "first")
        device.recorder.fail(VulkanError(.deviceLost, "lost"))
        for _ in 0..<2 {
            #expect(device.recorder.takeFailure()?.code == .deviceLost)
            #expect(throws: VulkanError(.deviceLost, "lost")) {
                try device.recorder.download(x, bytes: 4)
            }
        }
        #expect(device.recorder.statistics.submissions == 0)
        #expect(device.recorder.latest == 0, "the fill was dropped")
    }

    @Test("a required subgroup size is one of the device's, or ignored by a software device")
    func subgroupSize() throws {
        let device = try TestDevice.open()
        let x = try device.makeBuffer(bytes: 256)
        func dispatch(_ size: Int) {
            var push = PushBytes()
            push.add(x)
            push.add(x)
            push.add(64)
            push.add(1)
            device.recorder.dispatch(
                Kernel("affine", constants: [1], subgroupSize: size), push: push, groups: (1, 1, 1),
                reads: [x], writes: [x])
        }
        device.recorder.fill(x, word: 1)
        dispatch(device.facts.subgroupSize)
        #expect(try device.recorder.download(x, count: 1, as: UInt32.self) == [2])
        dispatch(3)
        #expect((device.recorder.failure?.code == .feature) == !device.facts.isSoftware)
    }

    @Test("words that are not SPIR-V are refused")
    func notSPIRV() throws {
        var options = VulkanOptions()
        options.shaders = ["text": [1, 2, 3, 4, 5, 6]]
        let device = try VulkanDevice(.automatic, options: options)
        let buffers: [DeviceBuffer] = []
        device.recorder.dispatch(
            Kernel("text"), push: PushBytes(), groups: (1, 1, 1), reads: buffers, writes: buffers)
        #expect(device.recorder.failure?.code == .shader)
    }

    @Test("too many workgroups are reported with the limit")
    func tooManyGroups() throws {
        let device = try TestDevice.open()
        let most = device.facts.dispatchGroups[2]
        let buffers: [DeviceBuffer] = []
        device.recorder.dispatch(
            Kernel("affine"), push: PushBytes(), groups: (1, 1, most + 1), reads: buffers,
            writes: buffers)
        #expect(
            device.recorder.failure?.description.contains("needs 1x1x\(most + 1) workgroups")
                == true)
    }
}

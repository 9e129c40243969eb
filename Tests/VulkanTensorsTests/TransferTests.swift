// Part of Inkstone. Licence: see LICENSE.

import Testing
import VulkanTensors

/// Copies between host and device, and within the device.
@Suite("Bytes arrive unchanged on the device and back", .needsVulkan)
struct TransferTests {
    private static let orders = RecordingOrder.allCases

    private func numbers(_ count: Int, seed: Int = 0) -> [UInt8] {
        (0..<count).map { UInt8(truncatingIfNeeded: ($0 &* 2_654_435_761 &+ seed &* 977) >> 7) }
    }

    @Test(
        "uploads of any size and place come back",
        arguments: [
            (1, 0), (3, 1), (4, 4), (255, 2), (4096, 0), (4097, 0), (4100, 8), (65_537, 3),
            (1_000_003, 5),
        ])
    func upload(bytes: Int, offset: Int) throws {
        let device = try TestDevice.open()
        let buffer = try device.makeBuffer(bytes: bytes + offset + 7)
        #expect(buffer.address % 256 == 0)
        device.recorder.fill(buffer, word: 0xA5A5_A5A5)
        device.recorder.upload(numbers(bytes), to: buffer, at: offset)
        let all = try device.recorder.download(buffer, bytes: buffer.bytes)
        #expect(Array(all[offset..<(offset + bytes)]) == numbers(bytes))
        #expect(all[..<offset].allSatisfy { $0 == 0xA5 } && all.suffix(7).allSatisfy { $0 == 0xA5 })
        let part = try device.recorder.download(buffer, at: offset, bytes: bytes)
        #expect(part == numbers(bytes))
    }

    @Test(
        "copies of any size and place change nothing else",
        arguments: [(1, 0, 3), (5, 2, 0), (1023, 7, 13), (70_001, 1, 2)], orders)
    func copy(_ place: (bytes: Int, from: Int, to: Int), order: RecordingOrder) throws {
        let device = try TestDevice.open(order)
        let content = numbers(place.from + place.bytes)
        let source = try device.makeBuffer(bytes: content.count)
        let target = try device.makeBuffer(bytes: place.to + place.bytes + 5)
        device.recorder.upload(content, to: source)
        device.recorder.fill(target, word: 0)
        device.recorder.copy(source, at: place.from, to: target, at: place.to, bytes: place.bytes)
        let result = try device.recorder.download(target, bytes: target.bytes)
        let padding = { [UInt8](repeating: 0, count: $0) }
        #expect(result == padding(place.to) + content[place.from...] + padding(5))
    }

    @Test("a buffer without bytes and an upload without bytes are allowed")
    func empty() throws {
        let device = try TestDevice.open()
        let buffer = try device.makeBuffer(bytes: 0)
        device.recorder.upload([UInt8](), to: buffer)
        device.recorder.fill(buffer, word: 1)
        #expect(try device.recorder.download(buffer, bytes: 0).isEmpty)
        #expect(device.recorder.statistics.submissions == 0)
    }

    @Test("an upload larger than the ring passes it in pieces, in order", arguments: orders)
    func larger(order: RecordingOrder) throws {
        let device = try TestDevice.open(order, stagingBytes: 8192)
        let content = numbers(100_003)
        let buffer = try device.makeBuffer(bytes: content.count)
        let other = try device.makeBuffer(bytes: content.count)
        device.recorder.upload(numbers(content.count, seed: 9), to: buffer)
        device.recorder.copy(buffer, to: other, bytes: content.count)
        device.recorder.upload(content, to: buffer)
        #expect(try device.recorder.download(buffer, bytes: content.count) == content)
        #expect(
            try device.recorder.download(other, bytes: content.count)
                == numbers(content.count, seed: 9))
        #expect(device.recorder.statistics.submissions > 2 * content.count / 8192)
    }

    @Test("many uploads share the ring and wait for nothing that they need not")
    func many() throws {
        let device = try TestDevice.open(stagingBytes: 1 << 20)
        let buffers = try (0..<100).map { _ in try device.makeBuffer(bytes: 30_001) }
        for (index, buffer) in buffers.enumerated() {
            device.recorder.upload(numbers(30_001, seed: index), to: buffer)
        }
        // A quarter of the ring a submission: 9 uploads of 30 KB each time.
        #expect(device.recorder.statistics.submissions == 11)
        #expect(device.recorder.statistics.barriers == 0)
        for (index, buffer) in buffers.enumerated() {
            #expect(
                try device.recorder.download(buffer, bytes: 30_001) == numbers(30_001, seed: index))
        }
    }

    @Test("a later upload wins over an earlier one, whatever their ways", arguments: orders)
    func order(order: RecordingOrder) throws {
        let device = try TestDevice.open(order)
        let buffer = try device.makeBuffer(bytes: 8192)
        for size in [8192, 64, 5000, 4096, 3] {
            device.recorder.upload(
                [UInt8](repeating: UInt8(size & 0xFF) | 1, count: size), to: buffer)
        }
        let result = try device.recorder.download(buffer, bytes: 8192)
        let value = { (size: Int) in UInt8(size & 0xFF) | 1 }
        #expect(result[0..<3].allSatisfy { $0 == value(3) })
        #expect(result[3..<4096].allSatisfy { $0 == value(4096) })
        #expect(result[4096..<5000].allSatisfy { $0 == value(5000) })
        #expect(result[5000...].allSatisfy { $0 == value(8192) })
    }

    @Test("push bytes have the address of a byte of a buffer")
    func address() throws {
        let device = try TestDevice.open()
        let buffer = try device.makeBuffer(bytes: 1000)
        var push = PushBytes()
        push.add(buffer, at: 1000)
        push.add(buffer)
        let expected = [buffer.address + 1000, buffer.address].flatMap { address in
            withUnsafeBytes(of: address) { Array($0) }
        }
        #expect(push.bytes == expected)
        #expect(buffer.range(at: 4, bytes: 8).address == buffer.address + 4)
    }

    @Test("the host reads what a kernel wrote to its memory")
    func hostBuffer() throws {
        let device = try TestDevice.open()
        let source = try device.makeBuffer(bytes: 1024)
        let target = try device.makeHostBuffer(bytes: 1024)
        device.recorder.fill(source, word: 5)
        device.recorder.affine(source, to: target, count: 256, factor: 3, adding: 1)
        device.recorder.submit()
        device.recorder.throttle(0)
        #expect(device.recorder.completed == device.recorder.recorded - 1)
        let host = try #require(target.hostAddress)
        #expect((0..<256).allSatisfy { host.load(fromByteOffset: 4 * $0, as: UInt32.self) == 16 })
        #expect(source.hostAddress == nil)
    }
}

// Part of Inkstone. Licence: see LICENSE.

import Tensors

/// Runs of a kernel, longer and longer until they can be timed.
struct PeakRun {
    private let backend: VulkanBackend
    private let kernel: PeakKernel
    /// Shortest time of a run that is timed, which is long beside the start of a kernel.
    private static let shortest = 0.01
    /// Measurements before a rate is not known.
    private static let attempts = 4

    init(_ backend: VulkanBackend, _ kernel: PeakKernel) {
        self.backend = backend
        self.kernel = kernel
    }

    /// Returns operations per second.
    ///
    /// It is what a run of twice the rounds does more, in what it takes longer.
    ///
    /// - Throws: `VulkanError` if the kernel computes wrong numbers, or if its time does not grow with its rounds,
    ///   as if a compiler had replaced the loop, or other programs use the device.
    func rate() throws(VulkanError) -> Double {
        var rounds = 16
        _ = try seconds(rounds)
        while try shortest(of: 3, rounds) < Self.shortest, 4 * rounds <= kernel.mostRounds {
            rounds *= 2
        }
        var (single, double) = (0.0, 0.0)
        for _ in 0..<Self.attempts {
            (single, double) = (.infinity, .infinity)
            for _ in 0..<5 {
                single = min(single, try seconds(rounds))
                double = min(double, try seconds(2 * rounds))
            }
            if (1.5...2.5).contains(double / single) {
                return Double(kernel.operations) * Double(rounds) / (double - single)
            }
            if 4 * rounds <= kernel.mostRounds { rounds *= 2 }
        }
        throw VulkanError(
            .shader,
            "the peak of \(kernel.numbers.rawValue) is not known: '\(kernel.kernel.shader)' with"
                + " \(rounds) rounds takes \(single) s, with twice as many \(double) s.")
    }

    private func shortest(of count: Int, _ rounds: Int) throws(VulkanError) -> Double {
        var shortest = Double.infinity
        for _ in 0..<count { shortest = min(shortest, try seconds(rounds)) }
        return shortest
    }

    private func seconds(_ rounds: Int) throws(VulkanError) -> Double {
        let device = backend.device
        let input = try device.makeBuffer(bytes: kernel.input.count * 4)
        let counter = try device.makeBuffer(bytes: 4)
        device.recorder.upload(kernel.input, to: input)
        device.recorder.fill(counter, word: 0)
        let seconds = try backend.seconds {
            var push = PushBytes()
            push.add(input)
            push.add(counter)
            push.add(rounds)
            device.recorder.dispatch(
                kernel.kernel, push: push, groups: (kernel.workgroups, 1, 1), reads: [input],
                writes: [counter])
        }
        let count = try device.recorder.download(counter, count: 1, as: UInt32.self)[0]
        let expected = kernel.expected(rounds)
        guard count == expected else {
            throw VulkanError(
                .driver,
                "'\(kernel.kernel.shader)' computes wrong numbers: \(count), expected \(expected).")
        }
        return seconds
    }
}

/// Copies of memory that is larger than the caches of a card.
struct CopyRun {
    private let backend: VulkanBackend

    init(_ backend: VulkanBackend) { self.backend = backend }

    /// Returns bytes per second, read and written.
    func rate() throws(VulkanError) -> Double {
        let device = backend.device
        let most = device.facts.isSoftware ? 64 << 20 : 256 << 20
        let free = backend.availableBytes ?? most * 8
        let bytes = min(most, device.facts.largestBuffer, free / 4) / 16384 * 16384
        let source = try device.makeBuffer(bytes: bytes)
        let target = try device.makeBuffer(bytes: bytes)
        device.recorder.fill(source, word: 0x1234_5678)
        device.recorder.fill(target, word: 0)
        var best = Double.infinity
        for _ in 0..<6 {
            best = min(best, try backend.seconds { record(source, target, bytes) })
        }
        let last = try device.recorder.download(target, at: bytes - 4, count: 1, as: UInt32.self)
        guard last == [0x1234_5678] else {
            throw VulkanError(.driver, "'peak_copy' did not copy the last word.")
        }
        return 2 * Double(bytes) / best
    }

    private func record(_ source: DeviceBuffer, _ target: DeviceBuffer, _ bytes: Int) {
        var push = PushBytes()
        push.add(source)
        push.add(target)
        push.add(bytes / 16)
        backend.device.recorder.dispatch(
            Kernel("peak_copy"), push: push, groups: backend.grid(bytes / 16384), reads: [source],
            writes: [target])
    }
}

extension VulkanBackend {
    /// Returns how long recorded commands take on the device: by timestamps, or by the clock without them.
    fileprivate func seconds(_ record: () -> Void) throws(VulkanError) -> Double {
        if device.hasTimestamps {
            device.recorder.beginProfile()
            record()
            return try device.recorder.endProfile().seconds
        }
        finish()
        let start = ContinuousClock.now
        record()
        finish()
        if let failure = device.recorder.failure { throw failure }
        return (ContinuousClock.now - start).inSeconds
    }
}

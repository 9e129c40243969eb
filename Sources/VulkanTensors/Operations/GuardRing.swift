// Part of Inkstone. Licence: see LICENSE.

/// Words into which norms write the lowest row that is not finite, one for each interval between two checks.
///
/// A check closes its word and opens the next one, so that it need not wait for the device: the word is copied
/// to the host, and read once that copy has finished.
final class GuardRing {
    /// Words that are written before all are reset.
    private static let capacity = 4096
    /// The value of a word without a finding.
    private static let none = Int32.max

    private let recorder: Recorder
    let buffer: DeviceBuffer
    /// Copies of the words, which the host can address.
    private let copies: DeviceBuffer
    /// The word of the open interval.
    private var open = 0
    /// Closed words, oldest first, with the submission that copies them.
    private var closed: [(word: Int, submission: UInt64)] = []

    init(_ device: VulkanDevice) throws(VulkanError) {
        recorder = device.recorder
        buffer = try device.makeBuffer(bytes: Self.capacity * 4)
        copies = try device.makeHostBuffer(bytes: Self.capacity * 4)
        reset()
    }

    /// Bytes from the start of the memory to the open word.
    var offset: Int { open * 4 }
    /// The open word, which norms write.
    var range: DeviceRange { buffer.range(at: offset, bytes: 4) }

    private func reset() {
        recorder.upload([Int32](repeating: Self.none, count: Self.capacity), to: buffer)
        open = 0
    }

    /// Closes the open word, and returns the row of the oldest finding among the words that are complete.
    ///
    /// If nothing is recorded or queued, as after a download, that is all of them: then it waits for the copy.
    func take() -> Int? {
        let isIdle = recorder.completed >= recorder.latest
        recorder.copy(buffer, at: offset, to: copies, at: offset, bytes: 4)
        closed.append((open, recorder.latest))
        if isIdle {
            recorder.submit()
            recorder.throttle(0)
        }
        open += 1
        if open == Self.capacity {
            recorder.submit()
            recorder.throttle(0)
            reset()
        }
        let completed = recorder.completed
        let count = closed.prefix { $0.submission <= completed }.count
        let rows = closed.prefix(count).map { row(of: $0.word) }
        closed.removeFirst(count)
        return rows.first { $0 != Self.none }.map(Int.init)
    }

    private func row(of word: Int) -> Int32 {
        copies.hostAddress?.load(fromByteOffset: 4 * word, as: Int32.self) ?? Self.none
    }
}

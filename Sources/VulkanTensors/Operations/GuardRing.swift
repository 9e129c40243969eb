// Part of Inkstone. Licence: see LICENSE.

/// Words into which norms write the lowest row that is not finite, one for each interval between two checks.
///
/// A check closes its word and opens the next one, so that it need not wait for the device: the word is copied
/// to the host, and read once that copy has finished. A nested pass has a separate scope, so that
/// neither pass reports a row of the other.
final class GuardRing {
    /// A closed word, and the submission that copies it.
    private struct Closed {
        let word: Int
        let submission: UInt64
        /// Its value, if the word is used again.
        var row: Int32?
    }

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
    /// The closed words of each scope, oldest first; the last scope is the current one.
    private var scopes: [[Closed]] = [[]]

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
        // What is recorded is dropped by a failure of what comes after it.
        recorder.submit()
        open = 0
    }

    /// Begins work whose findings are its own.
    func beginScope() { scopes.append([]) }

    /// Ends such work; what it has not asked for is forgotten.
    func endScope() { scopes.removeLast() }

    /// Closes the open word, and returns the row of the oldest finding among the words that are complete.
    ///
    /// If nothing is recorded or queued, as after a download, that is all of them: then it waits for the copy.
    func take() -> Int? {
        let isIdle = recorder.completed >= recorder.latest
        recorder.copy(buffer, at: offset, to: copies, at: offset, bytes: 4)
        scopes[scopes.count - 1].append(Closed(word: open, submission: recorder.latest))
        open += 1
        if isIdle || open == Self.capacity {
            recorder.submit()
            recorder.throttle(0)
        }
        if open == Self.capacity {
            for scope in scopes.indices {
                for index in scopes[scope].indices where scopes[scope][index].row == nil {
                    scopes[scope][index].row = row(of: scopes[scope][index].word)
                }
            }
            reset()
        }
        let completed = recorder.completed
        let closed = scopes[scopes.count - 1]
        let count = closed.prefix { $0.row != nil || $0.submission <= completed }.count
        scopes[scopes.count - 1].removeFirst(count)
        return closed.prefix(count).map { $0.row ?? row(of: $0.word) }
            .first { $0 != Self.none }.map(Int.init)
    }

    private func row(of word: Int) -> Int32 {
        copies.hostAddress?.load(fromByteOffset: 4 * word, as: Int32.self) ?? Self.none
    }
}

// Part of Inkstone. Licence: see LICENSE.

import CVulkan

/// A command of an interval between barriers.
///
/// Push constants and small uploads are ranges of the recorder's bytes.
enum RecordedCommand {
    case dispatch(VkPipeline, push: Range<Int>, x: UInt32, y: UInt32, z: UInt32)
    case copy(from: VkBuffer, to: VkBuffer, VkBufferCopy)
    case fill(VkBuffer, offset: UInt64, bytes: UInt64, word: UInt32)
    case update(VkBuffer, offset: UInt64, data: Range<Int>)
}

/// The order of the commands between two barriers.
package enum RecordingOrder: Sendable, CaseIterable {
    /// As they were recorded.
    case asRecorded
    /// The last first. A wrong declaration of what a command reads or writes then gives wrong results,
    /// also on devices that execute one command at a time.
    case reversed
}

/// Counts of a recorder since its creation.
package struct RecorderStatistics: Sendable, Equatable {
    /// Kernels.
    package var dispatches = 0
    /// Copies, fills and small uploads.
    package var transfers = 0
    /// Barriers between commands.
    package var barriers = 0
    /// Submissions to the queue.
    package var submissions = 0
    /// Copies of weights from the machine's memory, which are submitted apart.
    package var streamedCopies = 0
    /// Bytes of these.
    package var streamedBytes = 0
    /// Submissions of these.
    package var streamSubmissions = 0

    /// Zeros.
    package init() {}

    /// What was counted since earlier counts.
    package static func - (a: RecorderStatistics, b: RecorderStatistics) -> RecorderStatistics {
        var result = a
        result.dispatches -= b.dispatches
        result.transfers -= b.transfers
        result.barriers -= b.barriers
        result.submissions -= b.submissions
        result.streamedCopies -= b.streamedCopies
        result.streamedBytes -= b.streamedBytes
        result.streamSubmissions -= b.streamSubmissions
        return result
    }
}

// Part of Inkstone. Licence: see LICENSE.

import Tensors

/// Where the time of a part of the model goes on a device.
package struct PassProfile: Sendable {
    /// One line: commands of one kernel.
    package struct Line: Sendable, Equatable {
        /// The kernel with what its constants select, or "transfers".
        package let name: String
        /// What its products multiply, if it has any.
        package let numbers: KernelWork.Numbers?
        package let calls: Int
        package let seconds: Double
        /// Operations of products and attention; a multiply-add counts as two.
        package let operations: Int
    }

    /// Lines, longest first; empty on a device without timestamps.
    package let lines: [Line]
    /// Time between submissions in which the device had nothing to do; `nil` without timestamps.
    package let idleSeconds: Double?
    /// What was recorded.
    package let counts: RecorderStatistics
    /// Time from the first command to the end of the last, in a run without timestamps.
    package let seconds: Double
    /// Processor time of the thread that records in this run: the model's code, the recorder and the driver.
    package let recordingSeconds: Double

    /// Time of all commands.
    package var kernelSeconds: Double { lines.reduce(0) { $0 + $1.seconds } }
    /// Processor time of the thread that records for each submission.
    package var recordingSecondsPerSubmission: Double {
        recordingSeconds / Double(max(1, counts.submissions))
    }
}

extension VulkanBackend {
    /// Runs a part of the model, whose kernels are compiled, twice: first for its counts and the processor's time,
    /// then for the time of each kernel.
    ///
    /// - Throws: The error of `body`, or the failure of the device.
    package func profile(_ body: () throws -> Void) throws -> PassProfile {
        finish()
        let before = device.recorder.statistics
        let (start, recording) = (ContinuousClock.now, ThreadTime.now)
        try body()
        finish()
        let seconds = (ContinuousClock.now - start).inSeconds
        let recordingSeconds = ThreadTime.now - recording
        let counts = device.recorder.statistics - before
        if let failure { throw failure }
        let kernels = device.hasTimestamps ? try timed(body) : nil
        return PassProfile(
            lines: kernels.map(Self.lines) ?? [], idleSeconds: kernels?.idleSeconds,
            counts: counts, seconds: seconds, recordingSeconds: recordingSeconds)
    }

    /// Returns how long the commands of `body` take, by timestamps.
    func timed(_ body: () throws -> Void) throws -> KernelProfile {
        device.recorder.beginProfile()
        do { try body() } catch {
            _ = try? device.recorder.endProfile()
            throw error
        }
        return try device.recorder.endProfile()
    }

    /// Joins entries of one name.
    private static func lines(_ profile: KernelProfile) -> [PassProfile.Line] {
        let groups = Dictionary(grouping: profile.entries.filter { $0.calls > 0 }) { entry in
            entry.kernel?.title ?? "transfers"
        }
        let lines = groups.map { name, entries in line(name, entries) }
        return lines.sorted { ($0.seconds, $1.name) > ($1.seconds, $0.name) }
    }

    private static func line(_ name: String, _ entries: [KernelProfile.Entry]) -> PassProfile.Line {
        var (calls, seconds, operations) = (0, 0.0, 0)
        for entry in entries {
            calls += entry.calls
            seconds += entry.seconds
            operations += entry.operations
        }
        return PassProfile.Line(
            name: name, numbers: entries.compactMap(\.numbers).first, calls: calls,
            seconds: seconds, operations: operations)
    }
}

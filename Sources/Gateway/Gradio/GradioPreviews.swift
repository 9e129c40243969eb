// Part of Inkstone. Licence: see LICENSE.

package import Service
import Synchronization

/// The newest previews of Gradio's jobs, retained in memory until clients have fetched them.
///
/// The limits apply to each job: a job with many steps does not evict the previews of other jobs.
package final class GradioPreviews: Sendable {
    /// The previews of one job.
    private struct Previews {
        var owner: String?
        /// Files by step, newest last.
        var files: [(step: Int, png: [UInt8])] = []
        var byteCount = 0
    }

    private struct State {
        var jobs: [String: Previews] = [:]
        /// Jobs that have ended, oldest first.
        var ended: [String] = []
    }

    /// Previews that a job has: clients fetch each of them, and may be slower than the steps.
    package static let maximumPerJob = 64
    /// Bytes of the previews that a job has, unless one alone is larger.
    package static let maximumBytesPerJob = 16 << 20
    /// Jobs that have ended whose previews are retained.
    package static let maximumEnded = 16

    private let state = Mutex(State())

    package init() {}

    /// Stores a preview of a job; returns the path under which clients fetch it.
    package func store(_ png: [UInt8], step: Int, of job: Job) -> String {
        state.withLock { state in
            var previews = state.jobs[job.id] ?? Previews(owner: job.owner)
            previews.files.append((step, png))
            previews.byteCount += png.count
            while previews.files.count > 1,
                previews.files.count > Self.maximumPerJob
                    || previews.byteCount > Self.maximumBytesPerJob
            {
                previews.byteCount -= previews.files.removeFirst().png.count
            }
            state.jobs[job.id] = previews
        }
        return "previews/\(job.id)/\(step).png"
    }

    /// Retains the previews of a job only as long as few other jobs end.
    package func end(_ job: Job) {
        state.withLock { state in
            guard state.jobs[job.id] != nil else { return }
            state.ended.append(job.id)
            while state.ended.count > Self.maximumEnded {
                state.jobs[state.ended.removeFirst()] = nil
            }
        }
    }

    /// The file of a path, or `nil` if it was evicted, or is of an owner that the access does not include.
    package func file(_ path: String, for access: JobAccess) -> [UInt8]? {
        let parts = path.split(separator: "/")
        guard parts.count == 3, parts[0] == "previews", parts[2].hasSuffix(".png"),
            let step = Int(parts[2].dropLast(4))
        else { return nil }
        let previews = state.withLock { $0.jobs[String(parts[1])] }
        guard let previews, access.permits(previews.owner) else { return nil }
        return previews.files.last { $0.step == step }?.png
    }
}

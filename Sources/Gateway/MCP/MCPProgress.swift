// Part of Inkstone. Licence: see LICENSE.

import Engine
import ModelFiles
import Parameters
import Service

/// The steps that are done of a call, of all its images together, which may run side by side.
struct MCPProgress {
    private let images: Int
    private let total: Int
    private var steps: [Int: Int] = [:]

    /// The progress of a job that has not begun.
    init(_ job: Job) {
        images = job.request.count
        total = job.request.evaluations * images
    }

    /// Counts an event.
    ///
    /// - Parameters:
    ///   - token: The client's name for the progress of the call.
    ///   - event: An event of the job.
    /// - Returns: A notification, whose number grows with each; `nil` unless the event is a new step.
    mutating func notification(_ token: JSONValue, _ event: JobEvent) -> JSONValue? {
        guard case .step(let image, let step, let of, _) = event,
            step > steps[image, default: 0]
        else { return nil }
        steps[image] = step
        let done = steps.values.reduce(0, +)
        return [
            "jsonrpc": "2.0", "method": "notifications/progress",
            "params": [
                "progressToken": token, "progress": .integer(Int64(done)),
                "total": .integer(Int64(total)),
                "message": .string("image \(image + 1) of \(images), step \(step) of \(of)"),
            ],
        ]
    }
}

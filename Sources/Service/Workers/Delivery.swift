// Part of Inkstone. Licence: see LICENSE.

package import Engine
import Parameters
import Synchronization

/// What of a request has been delivered, over all workers that it is run on.
///
/// A picture depends on its request and seed alone, so a second worker draws the same one: what came
/// before is left out, and nobody sees a picture twice.
package final class Delivery: Sendable {
    private let request: ImageRequest
    private let delivered = Mutex<Set<Int>>([])

    /// Nothing is delivered yet.
    package init(_ request: ImageRequest) {
        self.request = request
    }

    /// Whether every picture was delivered.
    package var isComplete: Bool { delivered.withLock { $0.count == request.count } }

    /// Pictures from the first on that need not be drawn again.
    package var leading: Int {
        // Seeds that no request may begin with: the worker draws all and some are left out.
        guard request.seed <= UInt64(Int64.max) - UInt64(request.count) else { return 0 }
        return delivered.withLock { delivered in
            (0..<request.count).first { !delivered.contains($0) } ?? request.count
        }
    }

    /// Translates an event for the client.
    ///
    /// - Parameters:
    ///   - event: what the worker told.
    ///   - leading: how many pictures were left out of what the worker was asked for.
    /// - Returns: what the client may see, `nil` for what it has seen before.
    package func accept(_ event: JobEvent, leading: Int) -> JobEvent? {
        delivered.withLock { delivered in
            switch event {
            case .queued, .started:
                return event
            case .step(let image, let step, let steps, let seconds):
                guard !delivered.contains(image + leading) else { return nil }
                return .step(image: image + leading, step: step, steps: steps, seconds: seconds)
            case .preview(let image, let step, let picture):
                guard !delivered.contains(image + leading) else { return nil }
                return .preview(image: image + leading, step: step, picture)
            case .image(var image):
                image.index += leading
                guard delivered.insert(image.index).inserted else { return nil }
                return .image(image)
            }
        }
    }
}

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

    /// Numbers an event for the client and leaves out what the client has received.
    ///
    /// - Parameters:
    ///   - event: The worker's event.
    ///   - leading: Number of images that were left out of the worker's request.
    /// - Returns: The event for the client, or `nil` if it belongs to an image that was delivered.
    package func accept(_ event: JobEvent, leading: Int) -> JobEvent? {
        let event = event.numbered(from: leading)
        let isNew = delivered.withLock { delivered in
            switch event {
            case .queued, .started: true
            case .step(let image, _, _, _), .preview(let image, _, _): !delivered.contains(image)
            case .image(let image): delivered.insert(image.index).inserted
            }
        }
        return isNew ? event : nil
    }
}

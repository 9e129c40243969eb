// Part of Inkstone. Licence: see LICENSE.

package import Engine
import Parameters
import Synchronization

/// The images of a request that were delivered, over all workers that have run it.
///
/// On one kind of device an image depends on its request and seed alone, so a second worker generates the same
/// one: images that were delivered are left out, and no client receives one twice.
package final class Delivery: Sendable {
    private let request: ImageRequest
    private let delivered = Mutex<Set<Int>>([])

    /// Nothing is delivered yet.
    package init(_ request: ImageRequest) {
        self.request = request
    }

    /// Whether every image was delivered.
    package var isComplete: Bool { delivered.withLock { $0.count == request.count } }

    /// Whether an image was delivered.
    package var hasImages: Bool { delivered.withLock { !$0.isEmpty } }

    /// Images from the first on that need not be generated again.
    package var leading: Int {
        delivered.withLock { delivered in
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

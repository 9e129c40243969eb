// Part of Inkstone. Licence: see LICENSE.

import Engine
import NIOCore

/// The data of `queued`.
private struct QueuedData: Encodable {
    var position: Int
}

/// The data of `step`.
private struct StepData: Encodable {
    var image: Int
    var step: Int
    var steps: Int
    var seconds: Double
}

/// The data of `preview`.
private struct PreviewData: Encodable {
    var image: Int
    var step: Int
    var url: String
}

/// The data of `started` and `done`.
struct NoData: Encodable {}

extension EventStream {
    /// The frame of an event before an image, as the page and the jobs have it; `nil` for the image itself.
    static func progress(_ event: JobEvent) throws -> ByteBuffer? {
        switch event {
        case .queued(let position):
            frame("queued", QueuedData(position: position))
        case .started:
            frame("started", NoData())
        case .step(let image, let step, let steps, let seconds):
            frame("step", StepData(image: image, step: step, steps: steps, seconds: seconds))
        case .preview(let image, let step, let preview):
            frame(
                "preview",
                PreviewData(image: image, step: step, url: try ImageFile.dataURL(preview)))
        case .image:
            nil
        }
    }
}

// Part of Inkstone. Licence: see LICENSE.

import Engine
import NIOCore

/// What `queued` says.
private struct QueuedData: Encodable {
    var position: Int
}

/// What `step` says.
private struct StepData: Encodable {
    var image: Int
    var step: Int
    var steps: Int
    var seconds: Double
}

/// What `preview` says.
private struct PreviewData: Encodable {
    var image: Int
    var step: Int
    var url: String
}

/// What `started` and `done` say.
struct NoData: Encodable {}

extension EventStream {
    /// What happens before a picture is there, in the words of the page and of jobs; `nil` for the
    /// picture itself, which each of them tells in its own way.
    static func progress(_ event: JobEvent) throws -> ByteBuffer? {
        switch event {
        case .queued(let position):
            frame("queued", QueuedData(position: position))
        case .started:
            frame("started", NoData())
        case .step(let image, let step, let steps, let seconds):
            frame("step", StepData(image: image, step: step, steps: steps, seconds: seconds))
        case .preview(let image, let step, let picture):
            frame(
                "preview",
                PreviewData(image: image, step: step, url: try PictureFile.dataURL(picture)))
        case .image:
            nil
        }
    }
}

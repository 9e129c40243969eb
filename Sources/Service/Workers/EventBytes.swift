// Part of Inkstone. Licence: see LICENSE.

package import Engine
import NIOCore

/// Events as the frames of the workers' protocol, for other transports than a socket.
package enum EventBytes {
    /// An event as a frame.
    package static func encode(_ event: JobEvent) throws -> [UInt8] {
        let buffer = try WorkerMessage.encode(event)
        return Array(buffer.readableBytesView)
    }

    /// The events of frames that follow each other.
    package static func decode(_ bytes: [UInt8]) throws -> [JobEvent] {
        var buffer = ByteBuffer(bytes: bytes)
        var events: [JobEvent] = []
        while let frame = try WorkerFrame.take(from: &buffer) {
            if let event = try frame.decode(WorkerMessage.self).event(pixels: frame.payload) {
                events.append(event)
            }
        }
        return events
    }
}

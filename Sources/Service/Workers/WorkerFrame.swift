// Part of Inkstone. Licence: see LICENSE.

import Foundation
package import NIOCore

/// One message between gateway and worker: a JSON header, and bytes such as pixels.
///
/// On the wire: the lengths of both as 32-bit big-endian numbers, then the header, then the bytes.
package struct WorkerFrame: Sendable, Equatable {
    /// The JSON text.
    package var header: [UInt8]
    /// Bytes that would be too large for JSON.
    package var payload: [UInt8]

    /// Bytes of the longest header.
    static let headerLimit = 16 << 20
    /// Bytes of the largest payload: pixels of the largest image that the decoders take.
    static let payloadLimit = 1 << 30

    /// A frame as it goes over the wire.
    package static func encode(_ header: some Encodable, payload: [UInt8] = []) throws -> ByteBuffer
    {
        let json = try JSONEncoder().encode(header)
        guard json.count <= headerLimit, payload.count <= payloadLimit else {
            throw WorkerFrameError()
        }
        var buffer = ByteBuffer()
        buffer.reserveCapacity(8 + json.count + payload.count)
        buffer.writeInteger(UInt32(json.count))
        buffer.writeInteger(UInt32(payload.count))
        buffer.writeBytes(json)
        buffer.writeBytes(payload)
        return buffer
    }

    /// Removes the next frame from a buffer, if it is complete.
    ///
    /// - Throws: `WorkerFrameError` for lengths that no frame has.
    package static func take(from buffer: inout ByteBuffer) throws -> WorkerFrame? {
        let start = buffer.readerIndex
        guard let header = buffer.getInteger(at: start, as: UInt32.self),
            let payload = buffer.getInteger(at: start + 4, as: UInt32.self)
        else { return nil }
        guard header <= headerLimit, payload <= payloadLimit else { throw WorkerFrameError() }
        guard buffer.readableBytes >= 8 + Int(header) + Int(payload) else { return nil }
        buffer.moveReaderIndex(forwardBy: 8)
        guard let text = buffer.readBytes(length: Int(header)),
            let bytes = buffer.readBytes(length: Int(payload))
        else { throw WorkerFrameError() }
        return WorkerFrame(header: text, payload: bytes)
    }

    /// The header as a value.
    func decode<Header: Decodable>(_ type: Header.Type) throws -> Header {
        try JSONDecoder().decode(type, from: Data(header))
    }
}

/// Bytes that are not a frame.
package struct WorkerFrameError: Error, Sendable, CustomStringConvertible {
    package var description: String {
        "a message between gateway and worker has impossible lengths"
    }
}

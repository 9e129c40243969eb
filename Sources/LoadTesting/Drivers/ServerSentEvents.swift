// Part of Inkstone. Licence: see LICENSE.

/// Parses server-sent events incrementally.
///
/// Lines end with LF, CR LF or CR, and a chunk may end anywhere. Comments, `id` and `retry` are
/// ignored.
package struct ServerSentEvents: Sendable {
    /// A complete event.
    package struct Event: Sendable, Equatable {
        /// The event type, `message` by default.
        package var name: String
        /// The data lines, joined with LF.
        package var data: [UInt8]
    }

    /// The received part of an incomplete line.
    private var line: [UInt8] = []
    private var name = ""
    private var data: [UInt8]?
    private var lastWasCR = false

    package init() {}

    /// Parses a chunk; returns the events that it completes.
    package mutating func append(_ chunk: some ContiguousBytesPiece) -> [Event] {
        var events: [Event] = []
        chunk.withBytes { bytes in
            var rest = bytes[...]
            if lastWasCR, rest.first == UInt8(ascii: "\n") { rest = rest.dropFirst() }
            if !rest.isEmpty { lastWasCR = false }
            while let end = rest.firstIndex(where: {
                $0 == UInt8(ascii: "\n") || $0 == UInt8(ascii: "\r")
            }) {
                line.append(contentsOf: rest[rest.startIndex..<end])
                let isCR = rest[end] == UInt8(ascii: "\r")
                rest = rest[(end + 1)...]
                if isCR {
                    if rest.first == UInt8(ascii: "\n") {
                        rest = rest.dropFirst()
                    } else if rest.isEmpty {
                        lastWasCR = true
                    }
                }
                if let event = endLine() { events.append(event) }
            }
            line.append(contentsOf: rest)
        }
        return events
    }

    /// Parses the complete line; returns the event that an empty line completes.
    private mutating func endLine() -> Event? {
        defer { line.removeAll(keepingCapacity: true) }
        guard !line.isEmpty else {
            defer {
                name = ""
                data = nil
            }
            return data.map { Event(name: name.isEmpty ? "message" : name, data: $0) }
        }
        let colon = line.firstIndex(of: UInt8(ascii: ":")) ?? line.endIndex
        var value = line[min(colon + 1, line.endIndex)...]
        if value.first == UInt8(ascii: " ") { value = value.dropFirst() }
        if line[..<colon].elementsEqual("data".utf8) {
            if data == nil {
                data = [UInt8](value)
            } else {
                data?.append(UInt8(ascii: "\n"))
                data?.append(contentsOf: value)
            }
        } else if line[..<colon].elementsEqual("event".utf8) {
            name = String(decoding: value, as: UTF8.self)
        }
        return nil
    }
}

/// A chunk of contiguous bytes.
package protocol ContiguousBytesPiece {
    func withBytes(_ body: (UnsafeRawBufferPointer) -> Void)
}

extension [UInt8]: ContiguousBytesPiece {
    package func withBytes(_ body: (UnsafeRawBufferPointer) -> Void) { withUnsafeBytes(body) }
}

// Part of Inkstone. Licence: see LICENSE.

/// Events of a job as messages: frames of the workers' protocol, cut where they are too long.
///
/// Each part is preceded by its attempt, the number of the frame, the number of the part and the
/// number of parts, as four 32-bit big-endian numbers.
package enum EventParts {
    /// Cuts a frame.
    package static func cut(
        _ frame: [UInt8], attempt: Int, number: Int, limit: Int
    ) -> [[UInt8]] {
        let count = max(1, (frame.count + limit - 1) / limit)
        return (0..<count).map { part in
            var message: [UInt8] = []
            for value in [attempt, number, part, count] {
                for shift in [24, 16, 8, 0] {
                    message.append(UInt8(truncatingIfNeeded: value >> shift))
                }
            }
            return message + frame[(part * limit)..<min(frame.count, (part + 1) * limit)]
        }
    }

    /// Joins the parts of frames; a frame that lacks a part is dropped, as the next one is newer.
    package struct Joiner: Sendable {
        private var current: (attempt: Int, number: Int)?
        private var parts: [[UInt8]] = []

        package init() {}

        /// Appends the next message.
        ///
        /// - Returns: The frame that it completes, and its attempt.
        package mutating func append(_ message: [UInt8]) -> (frame: [UInt8], attempt: Int)? {
            guard message.count >= 16 else { return nil }
            func value(_ index: Int) -> Int {
                message[(4 * index)..<(4 * index + 4)].reduce(0) { $0 << 8 | Int($1) }
            }
            let (attempt, number, part, count) = (value(0), value(1), value(2), value(3))
            if part == 0 {
                current = (attempt, number)
                parts = []
            }
            guard let known = current, known == (attempt, number), parts.count == part else {
                current = nil
                return nil
            }
            parts.append(Array(message[16...]))
            guard parts.count == count else { return nil }
            current = nil
            return (parts.flatMap(\.self), attempt)
        }
    }
}

// Part of Inkstone. Licence: see LICENSE.

import ModelFiles
import Tensors

#if canImport(Glibc)
    import Glibc
#elseif canImport(Musl)
    import Musl
#else
    import Darwin
#endif

/// Positions of tokens on three axes, and the angles by which they rotate queries and keys.
///
/// Caption tokens count along the first axis from 1, padding included. Image tokens follow: on the first
/// axis one past the padded caption, then row and column. Padding of the image is at the origin.
struct RotaryAngles: Sendable {
    /// `[tokens, headDim / 2]`.
    private(set) var cosines: [Float] = []
    /// `[tokens, headDim / 2]`.
    private(set) var sines: [Float] = []
    private let frequencies: [[Double]]

    init(config: TransformerConfig) {
        frequencies = config.axesDims.map { width in
            (0..<(width / 2)).map { pow(config.ropeTheta, -2 * Double($0) / Double(width)) }
        }
    }

    mutating func append(_ position: (Int, Int, Int)) {
        for (axis, value) in [position.0, position.1, position.2].enumerated() {
            for frequency in frequencies[axis] {
                let angle = Float(Double(value) * frequency)
                cosines.append(cosf(angle))
                sines.append(sinf(angle))
            }
        }
    }

    mutating func append(_ other: RotaryAngles) {
        cosines += other.cosines
        sines += other.sines
    }

    mutating func appendCaption(paddedLength: Int) {
        for index in 0..<paddedLength { append((1 + index, 0, 0)) }
    }

    mutating func appendImage(rows: Int, columns: Int, padding: Int, captionLength: Int) {
        for row in 0..<rows {
            for column in 0..<columns { append((captionLength + 1, row, column)) }
        }
        for _ in 0..<padding { append((0, 0, 0)) }
    }

    /// The table of these angles on a device.
    func table<Device: Backend>(on device: Device) -> RotaryTable<Device> {
        let half = frequencies.reduce(0) { $0 + $1.count }
        let rows = cosines.count / half
        return RotaryTable(
            cosines: device.upload(cosines, rows: rows, columns: half),
            sines: device.upload(sines, rows: rows, columns: half), pairing: .adjacent)
    }
}

// Part of Inkstone. Licence: see LICENSE.

#if canImport(Glibc)
    import Glibc
#elseif canImport(Musl)
    import Musl
#else
    import Darwin
#endif

/// Reproduces the numbers of `torch.Generator("cpu")`.
///
/// Integers agree exactly. Normals agree to a few units in the last place of f32: torch computes
/// logarithm, sine and cosine with vector approximations, this type with the C library.
///
/// - Source: Matsumoto and Nishimura, "Mersenne Twister" (1998); torch's normal distribution on
///   contiguous f32 tensors, checked by `NoiseParityTests`.
public struct TorchGenerator: Sendable {
    private static let size = 624
    private static let middle = 397

    private var state: [UInt32]
    private var used: Int
    /// Second number of a pair drawn for a short tensor; used by the next short draw.
    private var spare: Double?

    /// Creates a generator in the state after `manual_seed`; as in torch, only the low 32 bits of `seed`
    /// are used.
    public init(seed: UInt64) {
        state = [UInt32](repeating: 0, count: Self.size)
        state[0] = UInt32(truncatingIfNeeded: seed)
        for index in 1..<Self.size {
            let last = state[index - 1]
            state[index] = 1_812_433_253 &* (last ^ (last >> 30)) &+ UInt32(index)
        }
        used = Self.size
    }

    /// Returns the next 32 random bits.
    public mutating func next32() -> UInt32 {
        if used == Self.size { regenerate() }
        var y = state[used]
        used += 1
        y ^= y >> 11
        y ^= (y << 7) & 0x9d2c_5680
        y ^= (y << 15) & 0xefc6_0000
        y ^= y >> 18
        return y
    }

    private mutating func regenerate() {
        for index in 0..<Self.size {
            let next = state[(index + 1) % Self.size]
            let y = (state[index] & 0x8000_0000) | (next & 0x7fff_ffff)
            let odd: UInt32 = y & 1 == 0 ? 0 : 0x9908_b0df
            state[index] = state[(index + Self.middle) % Self.size] ^ (y >> 1) ^ odd
        }
        used = 0
    }

    /// Returns the standard normal numbers of `torch.randn(count)` in f32.
    public mutating func normals(_ count: Int) -> [Float] {
        guard count >= 16 else { return shortNormals(count) }
        var numbers = (0..<count).map { _ in uniform() }
        for group in stride(from: 0, through: count - 16, by: 16) {
            Self.transform(&numbers, from: group)
        }
        if !count.isMultiple(of: 16) {
            // The last 16 are drawn again, overlapping the last whole group.
            for index in (count - 16)..<count { numbers[index] = uniform() }
            Self.transform(&numbers, from: count - 16)
        }
        return numbers
    }

    /// Returns the next number of `torch.rand` in f32, from 0 up to but without 1.
    public mutating func uniform() -> Float {
        Float(next32() & 0xff_ffff) * 0x1p-24
    }

    // Not `2 * Float.pi`: Swift rounds that towards zero, torch to nearest.
    private static let fullTurn = Float(2 * Double.pi)

    /// Box-Muller: the first eight of sixteen are radii, the last eight are angles.
    private static func transform(_ numbers: inout [Float], from base: Int) {
        for index in base..<(base + 8) {
            let radius = (-2 * logf(1 - numbers[index])).squareRoot()
            let angle = fullTurn * numbers[index + 8]
            numbers[index] = radius * cosf(angle)
            numbers[index + 8] = radius * sinf(angle)
        }
    }

    /// torch uses a different method, in f64, for fewer than 16 numbers.
    private mutating func shortNormals(_ count: Int) -> [Float] {
        (0..<count).map { _ in
            if let number = spare {
                spare = nil
                return Float(number)
            }
            let first = wideUniform()
            let second = wideUniform()
            let radius = (-2 * log1p(-second)).squareRoot()
            let angle = 2 * Double.pi * first
            spare = radius * sin(angle)
            return Float(radius * cos(angle))
        }
    }

    private mutating func wideUniform() -> Double {
        let high = UInt64(next32())
        let bits = high << 32 | UInt64(next32())
        return Double(bits & ((1 << 53) - 1)) * 0x1p-53
    }
}

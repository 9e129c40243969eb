// Part of Inkstone. Licence: see LICENSE.

#if canImport(Glibc)
    import Glibc
#elseif canImport(Musl)
    import Musl
#else
    import Darwin
#endif

/// How the noise levels of a run are spaced, from 1 (noise) to 0 (image).
///
/// Raw values are ComfyUI's names, but for the first.
///
/// - Source: ComfyUI's `comfy/samplers.py`, RES4LYF for `beta57` and `bong_tangent`, stable-diffusion.cpp for
///   `smoothstep`; compared with them by `sampler_check.py`, whose lists are in `Tests/Fixtures/samplers`.
public enum NoiseSchedule: String, Sendable, Codable, CaseIterable {
    /// The model's own list, that of diffusers: 1 down to 1/N, shifted.
    case standard = "default"
    /// The same from a table of 1000 levels.
    case simple
    /// Even times without the lowest, shifted twice at the low end.
    case sgmUniform = "sgm_uniform"
    /// Even times down to the lowest of the table, and 0.
    case normal
    /// Times at quantiles of the beta distribution with parameters 0.6 and 0.6.
    case beta
    /// The same with 0.5 and 0.7.
    case beta57
    /// Even in the seventh root of the level.
    case karras
    /// Even in the logarithm of the level.
    case exponential
    /// Even in the arc tangent of the level.
    case klOptimal = "kl_optimal"
    /// Every so many levels of the table, from below 1.
    case ddimUniform = "ddim_uniform"
    /// Half of the steps near 1, then quadratic; takes no shift.
    case linearQuadratic = "linear_quadratic"
    /// Two arc tangents, joined at 0.5; takes no shift.
    case bongTangent = "bong_tangent"
    /// Times by the polynomial 3u² - 2u³.
    case smoothstep

    /// The fewest steps that it has levels for.
    public var minimumSteps: Int { self == .bongTangent ? 3 : 1 }

    /// The noise levels of a run.
    ///
    /// Those that select from a table have fewer levels where neighbours would be equal, `ddimUniform` more where
    /// `steps` does not divide 1000.
    ///
    /// - Parameters:
    ///   - steps: from ``minimumSteps`` on.
    ///   - shift: above 1 moves the levels towards noise.
    /// - Returns: the levels of `steps` steps, then 0.
    public func levels(steps: Int, shift: Double) -> [Double] {
        let table = LevelTable(shift: shift)
        let n = Double(steps)
        /// 0 to 1, both included.
        let even = (0..<steps).map { steps > 1 ? Double($0) / Double(steps - 1) : 0 }
        switch self {
        case .standard: return (0..<steps).map { table.shifted(1 - Double($0) / n) } + [0]
        case .simple: return table.levels((0..<steps).map { 1000 - $0 * 1000 / steps })
        case .sgmUniform:
            return (0..<steps).map { table.shifted(1 + (table.lowest - 1) * Double($0) / n) } + [0]
        case .normal: return even.map { table.shifted(1 + (table.lowest - 1) * $0) } + [0]
        case .beta: return Self.quantiles(steps, 0.6, 0.6, table)
        case .beta57: return Self.quantiles(steps, 0.5, 0.7, table)
        case .karras:
            let (high, low) = (1.0, pow(table.lowest, 1 / 7.0))
            return even.map { pow(high + $0 * (low - high), 7) } + [0]
        case .exponential: return even.map { exp($0 * log(table.lowest)) } + [0]
        case .klOptimal:
            return even.map { tan($0 * atan(table.lowest) + (1 - $0) * atan(1)) } + [0]
        case .ddimUniform:
            return stride(from: 2, through: 1000, by: max(1, 1000 / steps)).map { table[$0] }
                .reversed() + [0]
        case .linearQuadratic: return Self.linearQuadratic(steps)
        case .bongTangent: return Self.bongTangent(steps)
        case .smoothstep:
            return table.levels(
                (0..<steps).map {
                    let u = 1 - Double($0) / n
                    return 1 + Int((999 * u * u * (3 - 2 * u)).rounded())
                })
        }
    }

    private static func quantiles(
        _ steps: Int, _ alpha: Double, _ beta: Double, _ table: LevelTable
    ) -> [Double] {
        let distribution = BetaDistribution(alpha: alpha, beta: beta)
        return table.levels(
            (0..<steps).map { step in
                let quantile = distribution.quantile(1 - Double(step) / Double(steps))
                return 1 + Int((999 * quantile).rounded(.toNearestOrEven))
            })
    }

    private static func linearQuadratic(_ steps: Int) -> [Double] {
        guard steps > 1 else { return [1, 0] }
        let threshold = 0.025
        let (n, linear) = (Double(steps), Double(steps / 2))
        let quadratic = n - linear
        let difference = linear - threshold * n
        let square = difference / (linear * quadratic * quadratic)
        let slope = threshold / linear - 2 * difference / (quadratic * quadratic)
        return (0..<steps).map { step in
            let i = Double(step)
            return i < linear
                ? 1 - i * threshold / linear
                : 1 - (square * i * i + slope * i + square * linear * linear)
        } + [0]
    }

    private static func bongTangent(_ steps: Int) -> [Double] {
        let count = steps + 2
        let middle = Int(0.6 * Double(count))
        let slope = 8 / Double(count)
        func curve(_ length: Int, _ pivot: Int, _ high: Double, _ low: Double) -> [Double] {
            let heights = (0..<length).map { 0.5 + atan(-slope * Double($0 - pivot)) / .pi }
            let (first, last) = (heights[0], heights[length - 1])
            return heights.map { low + (high - low) * ($0 - last) / (first - last) }
        }
        return curve(middle, middle, 1, 0.5).dropLast() + curve(count - middle, 0, 0.5, 0)
    }
}

/// The 1000 levels that most schedules select from: k/1000, shifted.
struct LevelTable {
    let shift: Double

    /// The level of time `u`, from 0 to 1.
    func shifted(_ u: Double) -> Double { shift * u / (1 + (shift - 1) * u) }

    /// Level `k`, from 1 to 1000.
    subscript(k: Int) -> Double { shifted(Double(k) / 1000) }

    var lowest: Double { self[1] }

    /// The levels at the given places, without neighbours that are equal, and 0.
    func levels(_ places: [Int]) -> [Double] {
        var levels: [Double] = []
        for (index, place) in places.enumerated() where index == 0 || place != places[index - 1] {
            levels.append(self[place])
        }
        return levels + [0]
    }
}

extension NoiseSchedule {
    /// The level at which `share` of a schedule's times have passed.
    package static func level(after share: Double, shift: Double) -> Double {
        LevelTable(shift: shift).shifted(1 - share)
    }
}

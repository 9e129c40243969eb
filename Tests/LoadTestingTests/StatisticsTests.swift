// Part of Inkstone. Licence: see LICENSE.

import Foundation
import LoadTesting
import Testing

@Suite struct StatisticsTests {
    /// Seeded normal numbers by Box and Muller.
    static func normals(_ count: Int, seed: UInt64) -> [Double] {
        var generator = SplitMix64(seed: seed)
        return (0..<count).map { _ in
            let radius = (-2 * log(1 - Double.random(in: 0..<1, using: &generator))).squareRoot()
            return radius * cos(2 * .pi * Double.random(in: 0..<1, using: &generator))
        }
    }

    @Test(
        "a percentile needs five samples beyond it",
        arguments: [(0.5, 10), (0.9, 50), (0.95, 100), (0.99, 500), (0.999, 5000)])
    func minimumCounts(p: Double, needed: Int) {
        #expect(Percentile.minimumCount(p) == needed)
        let values = Self.normals(needed, seed: 1)
        #expect(Percentile.estimate(p, of: values).value != nil)
        let refused = Percentile.estimate(p, of: Array(values.dropLast()))
        #expect(refused.value == nil)
        #expect(refused.reason == "n=\(needed - 1) < \(needed)")
    }

    @Test("a percentile's interval covers the true one in 93 of 100 samples or more")
    func percentileCoverage() {
        for (count, p, truth) in [(200, 0.5, 0.0), (200, 0.95, 1.6448536), (2000, 0.95, 1.6448536)]
        {
            let covered = (0..<200).count { seed in
                let values = Self.normals(count, seed: 1000 + UInt64(seed))
                return Percentile.estimate(p, of: values).covers(truth) ?? false
            }
            #expect(covered >= 186, "\(covered) of 200 at p\(p), n=\(count)")
        }
    }

    @Test("the interval of the mean accounts for correlation")
    func meanCoverage() {
        // AR(1) with coefficient 0.7: the effective size is about n / 5.7.
        let covered = (0..<200).count { seed in
            var last = 0.0
            let values = Self.normals(400, seed: 5000 + UInt64(seed)).map { noise in
                last = 0.7 * last + noise
                return 10 + last
            }
            return SampleStatistics.meanEstimate(values).covers(10) ?? false
        }
        #expect(covered >= 184, "\(covered) of 200")
        let independent = SampleStatistics.effectiveCount(Self.normals(400, seed: 3))
        #expect(independent > 200 && independent <= 400)
    }

    @Test("constant values have an interval of width 0")
    func constant() {
        let estimate = SampleStatistics.meanEstimate([Double](repeating: 0.1, count: 50))
        #expect(estimate.value.map { abs($0 - 0.1) < 1e-12 } == true)
        #expect(estimate.effectiveN == 50)
    }

    @Test("an error rate has Wilson's interval, or that of the rule of three")
    func proportions() {
        let some = Proportion.estimate(3, of: 100)
        #expect(abs((some.low ?? 0) - 0.010254524024038925) < 1e-12)
        #expect(abs((some.high ?? 0) - 0.0845193642905276) < 1e-12)
        #expect(Proportion.text(some) == "3.0 % (1.0-8.5)")
        let none = Proportion.estimate(0, of: 449)
        #expect(none.high == 3.0 / 449)
        #expect(Proportion.text(none) == "0 (<0.67 %)")
        #expect(Proportion.text(Proportion.estimate(0, of: 0)) == "-")
    }

    @Test("throughput is counted in the window only, and needs twenty images for an interval")
    func throughput() {
        let even = stride(from: -5.05, to: 30, by: 0.1).map { $0 }
        let estimate = Throughput.estimate(completions: even, from: 0, to: 20)
        #expect(estimate.n == 200)
        #expect(estimate.value == 10)
        #expect(estimate.covers(10) == true)
        let few = Throughput.estimate(completions: Array(even.prefix(61)), from: 0, to: 1)
        #expect(few.n == 10 && few.low == nil && few.reason?.contains("at least 20") == true)
        #expect(Throughput.estimate(completions: even, from: 1, to: 1).value == nil)
    }

    @Test("MSER-5 cuts a warm-up and nothing else")
    func startUp() {
        let noise = Self.normals(300, seed: 9).map { 100 + $0 }
        let settled = SteadyState.mser5(noise) ?? 300
        #expect(settled <= 60)
        let late = noise.enumerated().map { $0.element + ($0.offset < 50 ? 40 : 0) }
        let cut = SteadyState.mser5(late) ?? 0
        #expect((50...110).contains(cut), "\(cut)")
        // Still rising at the end: there is no steady part.
        let rising = (0..<300).map { Double($0 * $0) }
        #expect(SteadyState.mser5(rising) == nil)
    }

    @Test("a drift must be significant")
    func drift() throws {
        let noise = Self.normals(24, seed: 4)
        let flat = noise.enumerated().map { (5 * Double($0.offset), 10 + $0.element) }
        #expect(try #require(SteadyState.drift(flat)).exceeds(0.02) == false)
        let falling = noise.enumerated().map {
            (5 * Double($0.offset), 10 - 0.02 * 5 * Double($0.offset) + 0.05 * $0.element)
        }
        let slope = try #require(SteadyState.drift(falling))
        #expect(slope.exceeds(0.02))
        #expect(slope.perMinute < -0.1 && slope.perMinute > -0.2)
    }

    @Test("a histogram agrees with the raw samples within 0.1 %, merged or not")
    func histogram() throws {
        let values = Self.normals(5000, seed: 12).map { exp(0.5 * $0) }
        let whole = LatencyHistogram(seconds: values)
        var merged = LatencyHistogram(seconds: Array(values[..<1700]))
        merged.add(LatencyHistogram(seconds: Array(values[1700...])))
        #expect(merged == whole)
        let sorted = values.sorted()
        for p in [0.5, 0.9, 0.95, 0.99, 0.999] {
            let raw = try #require(Percentile.value(p, ofSorted: sorted))
            #expect(abs(whole.percentile(p) / raw - 1) <= 0.001, "p\(p)")
        }
        let again = try RecordCoding.decode(
            LatencyHistogram.self, from: RecordCoding.document(whole))
        #expect(again == whole)
    }

    @Test("no estimate contains NaN or infinity")
    func finite() throws {
        let hostile = [
            Estimate(.nan, low: .infinity, high: -.infinity, n: 1),
            SampleStatistics.meanEstimate([.greatestFiniteMagnitude, .greatestFiniteMagnitude, 1]),
            Throughput.estimate(completions: [0, 0, 0], from: 0, to: 0),
            Percentile.estimate(0.5, of: []),
        ]
        for estimate in hostile {
            let text = String(decoding: try RecordCoding.line(estimate), as: UTF8.self)
            #expect(!text.lowercased().contains("nan") && !text.lowercased().contains("inf"))
            #expect(estimate.value != nil || estimate.reason != nil)
        }
    }

    @Test("a bootstrap is the same for the same seed, and covers the true value")
    func bootstrap() {
        let values = Self.normals(200, seed: 3).map { 5 + $0 }
        #expect(Bootstrap.mean(values, seed: 7) == Bootstrap.mean(values, seed: 7))
        let covered = (0..<60).count { seed in
            Bootstrap.mean(Self.normals(60, seed: 400 + UInt64(seed)), seed: 1).covers(0) ?? false
        }
        #expect(covered >= 52, "\(covered) of 60")
    }

    @Test("numbers as text")
    func figures() {
        #expect(Figures.significant(322.46, 4) == "322.5")
        #expect(Figures.significant(9.8928, 3) == "9.89")
        #expect(Figures.significant(0.9996, 2) == "1.0")
        #expect(Figures.significant(0, 2) == "0")
        #expect(Figures.decimals(-0.01, 1) == "0.0")
        #expect(Figures.grouped(12_790) == "12 790")
        #expect(Figures.decimals(.infinity, 1) == "-")
    }
}

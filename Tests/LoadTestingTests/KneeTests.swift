// Part of Inkstone. Licence: see LICENSE.

import LoadTesting
import Testing

@Suite struct KneeTests {
    /// The published column; the methods are insensitive to its factor of ten.
    static let published = [
        (1, 5.4, 1.832), (4, 19.1, 2.095), (8, 37.6, 2.138), (16, 62.3, 2.561), (32, 78.9, 4.087),
    ]
    .map { LoadPoint(users: $0.0, throughput: $0.1, endToEnd: $0.2) }

    /// m devices of service time s: X = min(N, m) / s.
    static func machine(devices: Int, service: Double, levels: [Int]) -> [LoadPoint] {
        levels.map { n in
            let rate = Double(min(n, devices)) / service
            return LoadPoint(users: n, throughput: rate, endToEnd: Double(n) / rate)
        }
    }

    @Test("the law of scalability finds the parameters of the published column")
    func scalability() throws {
        let fit = try #require(ScalabilityFit(Self.published))
        #expect(Figures.decimals(fit.rate, 2) == "5.05")
        #expect(Figures.decimals(fit.contention, 4) == "0.0054")
        #expect(Figures.decimals(fit.crosstalk, 5) == "0.00089")
        #expect(Figures.decimals(fit.rSquared, 4) == "0.9998")
        #expect(fit.peak.map { Figures.decimals($0, 0) } == "33")
        #expect(fit.refusal == "5 levels, expected at least 6")
    }

    @Test("the law of scalability finds the parameters of synthetic data")
    func scalabilityExact() throws {
        let points = [1, 2, 4, 8, 12, 16, 24, 32].map { n in
            let users = Double(n)
            let rate = 3 * users / (1 + 0.08 * (users - 1) + 0.002 * users * (users - 1))
            return LoadPoint(users: n, throughput: rate, endToEnd: users / rate)
        }
        let fit = try #require(ScalabilityFit(points))
        #expect(abs(fit.rate - 3) < 1e-6)
        #expect(abs(fit.contention - 0.08) < 1e-6)
        #expect(abs(fit.crosstalk - 0.002) < 1e-7)
        #expect(fit.refusal == nil)
        #expect(fit.peak.map { abs($0 - 21.447610589527216) < 1e-3 } == true)
    }

    @Test("parameters are not negative, and a bad fit is refused")
    func bounds() throws {
        // Rates that rise faster than the users: contention and crosstalk are at their bound.
        let superlinear = [1, 2, 4, 8, 16, 32].map {
            LoadPoint(users: $0, throughput: Double($0 * $0), endToEnd: 1)
        }
        let fit = try #require(ScalabilityFit(superlinear))
        #expect(fit.contention >= 0 && fit.crosstalk >= 0)
        #expect(fit.refusal?.contains("R²") == true)
    }

    @Test("kneedle and power name the same level of the published column")
    func published() {
        let kneedle = KneeMethods.kneedle(Self.published)
        #expect(kneedle.users == 16)
        #expect(
            kneedle.differences.map { Figures.decimals($0, 2) } == [
                "0.00", "0.09", "0.21", "0.29", "0.00",
            ])
        let power = KneeMethods.power(Self.published)
        #expect(power.users == 16)
        #expect(
            power.powers.map { Figures.decimals($0, 1) } == ["2.9", "9.1", "17.6", "24.3", "19.3"])
    }

    @Test("a server of m devices has its knee at m", arguments: [4, 8, 12])
    func machine(devices: Int) {
        let analysis = KneeAnalysis(
            points: Self.machine(
                devices: devices, service: 0.5, levels: [1, 2, 4, 8, 12, 16, 24, 32]))
        #expect(analysis.knee == devices)
        #expect(analysis.verdict == "knee at N = \(devices), three methods agree")
        let marginal = analysis.answers.first { $0.method == .marginal }
        #expect(marginal?.users == Double(devices))
        #expect(analysis.answers.count == 6)
    }

    @Test("a straight line has no knee")
    func straight() {
        let points = Self.machine(devices: 64, service: 0.5, levels: [1, 2, 4, 8, 16, 32])
        #expect(KneeMethods.kneedle(points).users == nil)
        #expect(KneeMethods.marginal(points) == nil)
        let analysis = KneeAnalysis(points: points)
        #expect(analysis.knee == nil)
        #expect(analysis.verdict.hasPrefix("no clear knee"))
    }

    @Test("the objectives' knee is the last level that meets them all")
    func objectives() {
        var points = Self.machine(devices: 4, service: 0.5, levels: [1, 4, 8, 16])
        for index in points.indices {
            points[index].endToEndP95 = points[index].endToEnd * 1.1
            points[index].errorRate = 0
        }
        var goal = ServiceObjectives()
        goal.endToEndP95 = 1.2
        goal.errors = 0.01
        let found = KneeMethods.objectives(points, goal)
        #expect(found.users == 8)
        #expect(found.note == "E2E p95 at 16 users is 2200 ms, limit 1200 ms")
        goal.firstPreviewP95 = 0.5
        #expect(KneeMethods.objectives(points, goal).note.contains("was not measured"))
        #expect(KneeMethods.objectives(points, ServiceObjectives()).users == nil)
    }

    @Test("resampled slices give the confidence of the knee")
    func shares() {
        let points = Self.machine(devices: 8, service: 0.5, levels: [1, 2, 4, 8, 12, 16, 24, 32])
        var slices: [Int: [KneeAnalysis.Slice]] = [:]
        for (index, point) in points.enumerated() {
            slices[point.users] = StatisticsTests.normals(12, seed: UInt64(index)).map {
                let factor = 1 + 0.02 * $0
                return KneeAnalysis.Slice(
                    throughput: point.throughput * factor, endToEnd: point.endToEnd / factor)
            }
        }
        let analysis = KneeAnalysis(points: points, slices: slices, seed: 5)
        #expect(analysis == KneeAnalysis(points: points, slices: slices, seed: 5))
        #expect(analysis.shares.max { $0.share < $1.share }?.users == 8)
        #expect(analysis.shares.map(\.share).reduce(0, +) <= 1.0000001)
    }
}

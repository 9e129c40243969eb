// Part of Inkstone. Licence: see LICENSE.

import LoadTesting
import Testing

/// Expected values are scipy's (1.17, `special.betainc`, `stats.t`, `stats.binom`).
@Suite struct SpecialFunctionTests {
    @Test(
        "the incomplete beta function",
        arguments: [
            (0.3, 2.0, 5.0, 0.5798250000000003), (0.9, 0.5, 0.5, 0.7951672353008665),
            (0.5, 30, 40, 0.8857998873233515), (0.001, 1, 3, 0.0029970009999999996),
            (0.2, 100, 300, 0.00799453086687934),
        ])
    func beta(x: Double, a: Double, b: Double, expected: Double) {
        #expect(abs(SpecialFunctions.incompleteBeta(x, a, b) / expected - 1) < 1e-12)
    }

    @Test(
        "Student's quantile",
        arguments: [
            (1.0, 12.706204736174694), (2, 4.302652729749462), (5, 2.5705818356363146),
            (19, 2.0930240544083087), (199, 1.9719565442517533),
        ])
    func student(freedom: Double, expected: Double) {
        let value = SpecialFunctions.studentQuantile(0.975, freedom: freedom)
        #expect(abs(value / expected - 1) < 1e-10)
    }

    @Test(
        "the binomial distribution",
        arguments: [
            (0, 10, 0.1, 0.34867844009999993), (3, 10, 0.5, 0.171875),
            (95, 100, 0.95, 0.5640186993142888), (490, 500, 0.99, 0.031102106648488143),
        ])
    func binomial(count: Int, trials: Int, probability: Double, expected: Double) {
        let value = SpecialFunctions.binomialCDF(count, trials: trials, probability: probability)
        #expect(abs(value / expected - 1) < 1e-10)
    }
}

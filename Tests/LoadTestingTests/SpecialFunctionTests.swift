// Part of Inkstone. Licence: see LICENSE.

import LoadTesting
import Testing

/// Expected values are scipy's (1.17, `special.betainc`, `stats.t`, `stats.binom`).
@Suite struct SpecialFunctionTests {
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

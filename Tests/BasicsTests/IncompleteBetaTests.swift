// Part of Inkstone. Licence: see LICENSE.

import Basics
import Testing

/// Expected values are scipy's (1.17, `special.betainc`).
@Suite struct IncompleteBetaTests {
    @Test(
        "the incomplete beta function",
        arguments: [
            (0.3, 2.0, 5.0, 0.5798250000000003), (0.9, 0.5, 0.5, 0.7951672353008665),
            (0.5, 30, 40, 0.8857998873233515), (0.001, 1, 3, 0.0029970009999999996),
            (0.2, 100, 300, 0.00799453086687934),
        ])
    func beta(x: Double, a: Double, b: Double, expected: Double) {
        #expect(abs(IncompleteBeta.regularized(x, a, b) / expected - 1) < 1e-12)
    }
}

// Part of Inkstone. Licence: see LICENSE.

import Service
import Testing

@Suite("Retry-After")
struct RetryAfterTests {
    @Test(
        "an estimate is rounded up and limited to what clients obey",
        arguments: [
            (-3, 1), (0, 1), (0.2, 1), (1, 1), (2.01, 3), (59.5, 60), (60, 60), (1e300, 60),
            (.infinity, 60),
        ] as [(Double, Int)])
    func bounds(estimate: Double, seconds: Int) {
        #expect(RetryAfter.seconds(estimate) == seconds)
    }

    @Test("the fixed values are values that clients obey")
    func fixedValues() {
        let values = [
            RetryAfter.modelLoading, RetryAfter.storageFailed, RetryAfter.catalogFailed,
            RetryAfter.catalogTasks,
        ]
        #expect(values == [30, 60, 60, 10])
    }
}

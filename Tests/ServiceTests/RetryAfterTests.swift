// Part of Inkstone. Licence: see LICENSE.

import Engine
import Parameters
import Service
import Telemetry
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

    @Test("before the first image the estimate is the expected one; then it is learned, by model")
    func estimate() {
        var estimate = QueueEstimate()
        let expected = ["large": 0.5, "small": 0.01]
        #expect(estimate.seconds(expected: expected) == RetryAfter.unknownQueue)
        estimate.begin(1, units: 100, of: "large")
        #expect(estimate.seconds() == RetryAfter.unknownQueue)
        #expect(estimate.seconds(expected: expected) == 50)
        estimate.progress(1, units: 40)
        #expect(estimate.seconds(expected: expected) == 30)
        // Another model on the same device does not change what is known of the first.
        estimate.begin(2, units: 1000, of: "small")
        #expect(estimate.seconds(expected: expected) == 20)
        estimate.learn(units: 100, seconds: 10, of: "small")
        #expect(estimate.seconds(expected: expected) == 60, "30 s of the large one, shared")
        estimate.learn(units: 100, seconds: 10, of: "large")
        #expect(estimate.seconds(expected: expected) == 12)
        estimate.end(1)
        #expect(estimate.seconds(expected: expected) == 100)
    }

    @Test("a meter knows the speed that is expected of a model")
    func meter() async throws {
        let engine = FakeEngine()
        let meter = EngineMeter(ServiceTelemetry(version: "1").engine)
        let request = try engine.request()
        meter.begin(request, model: "example").record(.started)
        #expect(meter.retryAfter == 2)
        // 32 x 16 pixels, three steps.
        meter.expect(secondsPerPixel: 0.01, of: "example")
        #expect(meter.retryAfter == 16)
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

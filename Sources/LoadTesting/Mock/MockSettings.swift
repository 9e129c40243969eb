// Part of Inkstone. Licence: see LICENSE.

/// A deliberate fault of the mock server; each must trip a check.
package enum MockFault: String, Sendable, CaseIterable {
    /// Answers a prompt that it knows at once, with the first image's pixels.
    case cache
    /// Ignores the seed: equal prompts give equal pixels.
    case duplicate
    /// Draws other pixels each time.
    case random
    /// Answers known parameters in half the time, without saying that it has a cache.
    case silentCache = "silent-cache"
    /// Every tenth image is 16 pixels wider.
    case wrongSize = "wrong-size"
    /// Every tenth image is a WebP file.
    case wrongFormat = "wrong-format"
    /// Every tenth image is grey.
    case blank
    /// Every tenth answer has text where the image should be.
    case noImage = "no-picture"
    /// Every tenth answer ends in the middle.
    case truncated
    /// Every tenth stream tells of an error.
    case eventError = "event-error"
    /// Every tenth answer is 500.
    case internalError = "internal-error"
    /// Every tenth answer is 429.
    case rejected
    /// Every tenth line of the log is missing.
    case lostLine = "lost-line"
    /// The log counts some bytes less.
    case wrongBytes = "wrong-bytes"
    /// The log's times end a tenth early.
    case earlyClock = "early-clock"
    /// The log's clock jumps by 50 ms in the middle.
    case clockStep = "clock-step"
    /// The counter of images counts one more now and then.
    case counter
    /// The sum of durations grows 5 % too fast.
    case durationSum = "duration-sum"
    /// Works 7 steps where 8 are counted in the request.
    case fewerSteps = "fewer-steps"
    /// Says that its devices are busy twice as long.
    case busy
    /// The first preview comes on a timer, before the first step has ended.
    case timedPreview = "timed-preview"
    /// Serves faster when others wait: three times the time for a request that is alone.
    case lazyAlone = "lazy-alone"
    /// Says that it holds a model of 6 billion parameters.
    case hugeModel = "huge-model"
    /// Never answers every tenth request.
    case stall
}

/// How the mock server behaves.
package struct MockSettings: Sendable {
    /// Address of loopback port; 0 lets the system choose.
    package var port = 0
    /// Identical devices.
    package var devices = 1
    /// Seconds of an image on a device that has nothing else.
    package var serviceTime = 0.1
    /// Most images that a device works on at once.
    package var batch = 1
    /// A batch of b takes `serviceTime * (1 + batchCost * (b - 1))`; 1 gains nothing.
    package var batchCost = 0.25
    /// Requests that may wait; more get 429.
    package var queueLimit = 10_000
    package var faults: Set<MockFault> = []
    /// Whether it says that it has a cache of prompts.
    package var declaresCache = false
    /// Where lines of requests go; `nil` for none.
    package var accessLog: String?

    package init() {}

    /// Valid images a second that the devices can make.
    package var capacity: Double {
        Double(devices * batch) / (serviceTime * (1 + batchCost * Double(batch - 1)))
    }
}

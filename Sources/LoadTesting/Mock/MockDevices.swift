// Part of Inkstone. Licence: see LICENSE.

import NIOCore

/// The devices of the mock server and their queue; confined to one event loop.
///
/// An idle device starts as many waiting jobs as a batch holds; the jobs of a batch complete
/// together. With batches of 1 this is the machine-repair model with fixed service times.
final class MockDevices {
    /// A queued or running request.
    final class Job {
        /// Steps of the denoising loop.
        let steps: Int
        /// Factor of the service time.
        let factor: Double
        /// Called when a device starts the job, with its service time.
        let started: (TimeAmount) -> Void
        let finished: () -> Void

        init(
            steps: Int, factor: Double, started: @escaping (TimeAmount) -> Void,
            finished: @escaping () -> Void
        ) {
            self.steps = steps
            self.factor = factor
            self.started = started
            self.finished = finished
        }
    }

    private let loop: any EventLoop
    private let settings: MockSettings
    private var waiting: [Job] = []
    /// The idle devices.
    private var free: [Int]

    /// Busy seconds of each device.
    private(set) var busySeconds: [Double]
    /// Number of batches, and of images in them.
    private(set) var batches = (count: 0, images: 0)
    private(set) var stepSeconds = (count: 0, sum: 0.0)

    init(loop: any EventLoop, settings: MockSettings) {
        self.loop = loop
        self.settings = settings
        free = Array(0..<settings.devices)
        busySeconds = Array(repeating: 0, count: settings.devices)
    }

    var queueLength: Int { waiting.count }

    func submit(_ job: Job) {
        waiting.append(job)
        dispatch()
    }

    private func dispatch() {
        while !waiting.isEmpty, let device = free.popLast() {
            let batch = Array(waiting.prefix(settings.batch))
            waiting.removeFirst(batch.count)
            let seconds = duration(batch)
            let time = TimeAmount.nanoseconds(Int64(seconds * 1e9))
            let steps = batch.map(\.steps).max() ?? 1
            for job in batch { job.started(time) }
            // Not Sendable: everything is confined to this loop.
            let owner = NIOLoopBound((self, batch), eventLoop: loop)
            loop.scheduleTask(in: time) {
                let (devices, batch) = owner.value
                devices.free.append(device)
                devices.busySeconds[device] += seconds
                devices.batches.count += steps
                devices.batches.images += batch.reduce(0) { $0 + $1.steps }
                devices.stepSeconds.count += steps
                devices.stepSeconds.sum += seconds
                for job in batch { job.finished() }
                devices.dispatch()
            }
        }
    }

    /// Service time of a batch that a device starts, in seconds.
    private func duration(_ batch: [Job]) -> Double {
        let time =
            settings.serviceTime * (1 + settings.batchCost * Double(batch.count - 1))
            * (batch.map(\.factor).max() ?? 1)
        let isAlone = waiting.isEmpty && free.count == settings.devices - 1 && batch.count == 1
        return settings.faults.contains(.lazyAlone) && isAlone ? 3 * time : time
    }
}

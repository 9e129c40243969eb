// Part of Inkstone. Licence: see LICENSE.

package import Engine
import Parameters
import Synchronization

/// Times of finished images, for estimates of the next ones.
package final class ImageTimes: Sendable {
    /// One finished image.
    private struct Sample {
        var pixels: Double
        /// Pixels times evaluations; guidance evaluates twice.
        var work: Double
        var steps: Double
        var rest: Double
    }

    /// Newest samples that are kept of each model.
    private static let kept = 64
    /// Number of samples nearest in size that an estimate uses.
    private static let asked = 5
    private let samples = Mutex<[String: [Sample]]>([:])

    package init() {}

    /// Records the times of an image without ControlNets.
    package func record(_ seconds: Timings, _ request: ImageRequest, model: String) {
        // Estimates add the work of ControlNets to that of the model.
        guard !seconds.steps.isEmpty, seconds.total > 0, request.controls.isEmpty else { return }
        // In which of two passes steps were left out is not known.
        guard request.secondPass == nil || request.sampling.cacheThreshold == nil else { return }
        let rest = min(seconds.total, seconds.text + seconds.decode)
        let sample = Sample(
            pixels: Self.pixels(request),
            work: (request.secondPass == nil
                ? Self.pixels(request) * Double(seconds.steps.count)
                : request.parameters.work(strength: request.strength))
                * Self.evaluationsPerStep(request),
            steps: seconds.total - rest, rest: rest)
        samples.withLock { all in
            all[model, default: []].append(sample)
            if all[model, default: []].count > Self.kept { all[model]?.removeFirst() }
        }
    }

    /// Whether there are no samples of a model.
    package func isEmpty(model: String) -> Bool {
        samples.withLock { $0[model, default: []].isEmpty }
    }

    /// Seconds of work on a request, by the finished images that are nearest to it in size.
    ///
    /// - Parameters:
    ///   - request: The request; its source image is ignored.
    ///   - model: The model that generates.
    ///   - strength: The share of the schedule that is run; `nil` runs it all.
    /// - Returns: `nil` before the model's first image.
    package func seconds(
        for request: ImageRequest, model: String, strength: Double? = nil
    ) -> Double? {
        let known = samples.withLock { $0[model, default: []] }
        guard !known.isEmpty else { return nil }
        let pixels = Self.pixels(request)
        // How many times larger or smaller; the newest come first among equals.
        func distance(_ sample: Sample) -> Double {
            max(sample.pixels / pixels, pixels / sample.pixels)
        }
        let nearest = known.reversed().enumerated().sorted {
            let (a, b) = (distance($0.element), distance($1.element))
            return a == b ? $0.offset < $1.offset : a < b
        }.prefix(Self.asked).map(\.element)
        let steps = Self.median(nearest.map { $0.steps / $0.work })
        let rest = Self.median(nearest.map { $0.rest / $0.pixels })
        let work =
            request.parameters.work(strength: strength) * Self.evaluationsPerStep(request)
        return Double(request.count) * (work * steps + pixels * rest)
    }

    private static func pixels(_ request: ImageRequest) -> Double {
        let size = request.parameters.outputSize
        return Double(size.width * size.height)
    }

    private static func evaluationsPerStep(_ request: ImageRequest) -> Double {
        request.guidanceScale > 0 ? 2 : 1
    }

    private static func median(_ values: [Double]) -> Double {
        values.sorted()[values.count / 2]
    }
}

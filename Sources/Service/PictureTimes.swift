// Part of Inkstone. Licence: see LICENSE.

package import Engine
import Parameters
import Synchronization

/// What finished pictures took, for telling what the next one will take.
package final class PictureTimes: Sendable {
    /// One finished picture.
    private struct Sample {
        var pixels: Double
        /// Passes through the transformer; guidance makes two of a step.
        var evaluations: Double
        var steps: Double
        var rest: Double
    }

    /// The newest of each model.
    private static let kept = 64
    /// So many that are nearest in size say what a picture takes.
    private static let asked = 5
    private let samples = Mutex<[String: [Sample]]>([:])

    package init() {}

    /// Notes what a picture took.
    package func note(_ seconds: Timings, _ request: ImageRequest, model: String) {
        guard !seconds.steps.isEmpty, seconds.total > 0 else { return }
        let rest = min(seconds.total, seconds.text + seconds.decode)
        let sample = Sample(
            pixels: Self.pixels(request),
            evaluations: Double(seconds.steps.count) * Self.evaluationsPerStep(request),
            steps: seconds.total - rest, rest: rest)
        samples.withLock { all in
            all[model, default: []].append(sample)
            if all[model, default: []].count > Self.kept { all[model]?.removeFirst() }
        }
    }

    /// Whether nothing is known of a model.
    package func isEmpty(model: String) -> Bool {
        samples.withLock { $0[model, default: []].isEmpty }
    }

    /// Seconds of work on a request, by the finished pictures that are nearest to it in size.
    ///
    /// - Parameters:
    ///   - request: what is asked; its picture to start from is left aside.
    ///   - model: the model that draws it.
    ///   - share: the part of the schedule that is run.
    /// - Returns: `nil` before the model's first picture.
    package func seconds(
        for request: ImageRequest, model: String, share: Double = 1
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
        let steps = Self.median(nearest.map { $0.steps / $0.evaluations / $0.pixels })
        let rest = Self.median(nearest.map { $0.rest / $0.pixels })
        let evaluations =
            max(1, (Double(request.steps) * share).rounded(.down))
            * Self.evaluationsPerStep(request)
        return Double(request.count) * pixels * (evaluations * steps + rest)
    }

    private static func pixels(_ request: ImageRequest) -> Double {
        Double(request.size.width * request.size.height)
    }

    private static func evaluationsPerStep(_ request: ImageRequest) -> Double {
        request.guidanceScale > 0 ? 2 : 1
    }

    private static func median(_ values: [Double]) -> Double {
        values.sorted()[values.count / 2]
    }
}

// Part of Inkstone. Licence: see LICENSE.

import Engine
import ModelFiles
import Parameters
import Service

/// The progress and the outputs of a job as Gradio's function reports them: a gallery and the seed.
struct GradioProgress: Sendable {
    let job: Job
    private let start = ContinuousClock.now
    private var steps: [Int: Int] = [:]
    private var hasPreview = false

    init(job: Job) {
        self.job = job
    }

    var seconds: Double { (ContinuousClock.now - start) / .seconds(1) }

    /// A unit of progress: steps of all images.
    mutating func progress(image: Int, step: Int) -> JSONValue {
        steps[image] = step
        let done = steps.values.reduce(0, +)
        return [
            "index": .integer(Int64(done)),
            "length": .integer(Int64(job.request.evaluations * job.request.count)), "unit": "steps",
            "progress": nil, "desc": nil,
        ]
    }

    /// The outputs with a preview in the first place: complete the first time, then the changes.
    mutating func preview(_ file: JSONValue) -> JSONValue {
        guard hasPreview else {
            hasPreview = true
            return [[["image": file, "caption": nil]], seed]
        }
        return [[["replace", [0, "image"], file]], []]
    }

    /// The outputs at the end.
    func result(_ files: GradioFiles) -> JSONValue {
        let images = (0..<job.request.count).map { index -> JSONValue in
            [
                "image": files.file("jobs/\(job.id)/\(index).png"),
                "caption": .string("seed \(job.request.parameters.image(at: index).seed)"),
            ]
        }
        return [.array(images), seed]
    }

    private var seed: JSONValue { JSONValue(job.request.seed) }
}

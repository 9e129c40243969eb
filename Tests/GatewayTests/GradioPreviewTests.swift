// Part of Inkstone. Licence: see LICENSE.

import Engine
import Foundation
import Gateway
import Service
import Testing

@Suite("Previews of Gradio's jobs")
struct GradioPreviewTests {
    private func job(_ id: String, owner: String?) throws -> Job {
        Job(
            id: id, model: "tiny", request: try ImageRequest(.init(prompt: "p"), for: try .tiny()),
            state: .running, owner: owner, created: Date())
    }

    @Test("each job has its newest previews, whatever others have")
    func newest() throws {
        let previews = GradioPreviews()
        let (ann, bob) = (try job("job-a", owner: "ann"), try job("job-b", owner: "bob"))
        let first = previews.store([1], step: 1, of: ann)
        for step in 1...100 { _ = previews.store([UInt8(step)], step: step, of: bob) }
        #expect(previews.file(first, for: .owner("ann")) == [1])
        #expect(previews.file(first, for: .owner("bob")) == nil)
        #expect(previews.file(first, for: .all) == [1])
        #expect(previews.file("previews/job-b/100.png", for: .owner("bob")) == [100])
        #expect(previews.file("previews/job-b/1.png", for: .owner("bob")) == nil)
        #expect(previews.file("previews/job-b/37.png", for: .owner("bob")) == [37])
        let large = [UInt8](repeating: 0, count: GradioPreviews.maximumBytesPerJob)
        let path = previews.store(large, step: 101, of: bob)
        #expect(previews.file(path, for: .owner("bob")) == large)
        #expect(previews.file("previews/job-b/100.png", for: .owner("bob")) == nil)
        for path in ["previews/job-a/1.webp", "previews/job-a", "previews/job-a/x.png", ""] {
            #expect(previews.file(path, for: .all) == nil)
        }
    }

    @Test("previews of ended jobs are few")
    func ended() throws {
        let previews = GradioPreviews()
        var paths: [String] = []
        for number in 0...GradioPreviews.maximumEnded {
            let job = try job("job-\(number)", owner: nil)
            paths.append(previews.store([1], step: 1, of: job))
            previews.end(job)
        }
        #expect(previews.file(paths[0], for: .all) == nil)
        #expect(paths.dropFirst().allSatisfy { previews.file($0, for: .all) != nil })
    }
}

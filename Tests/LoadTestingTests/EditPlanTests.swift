// Part of Inkstone. Licence: see LICENSE.

import Foundation
import Imaging
import LoadTesting
import Testing

/// Edits, masks, ControlNets and sessions in scenarios and plans.
@Suite struct EditPlanTests {
    static let yaml = """
        version: 1
        name: edits
        target: { url: "http://127.0.0.1:1", dialect: a1111 }
        request:
          prompt: "a {thing}"
          keywords: { thing: [cup, fox] }
          size: 64x64
          edits:
            share: 50%
            sizes: [{ size: 64x64, weight: 1 }, { size: 96x64, weight: 1 }]
            masks: [none, 25%]
            strength: 0.5
            images: 4
          control: { model: union, type: canny, scale: 0.7, share: 50% }
          turns: 3
        levels: [{ closed: { users: [2] } }]
        """

    private func plan(_ text: String = yaml) throws -> RunPlan {
        try RunPlan(try Scenario(yaml: text, environment: [:]))
    }

    @Test("a scenario with edits is read, written and read again")
    func scenario() throws {
        let scenario = try Scenario(yaml: Self.yaml, environment: [:])
        #expect(scenario.request.edits?.sizes.count == 2)
        #expect(scenario.request.edits?.masks.map(\.value) == [nil, 0.25])
        #expect(scenario.request.control?.type == "canny")
        #expect(scenario.request.turns == 3)
        #expect(try Scenario(yaml: scenario.yaml, environment: [:]) == scenario)
    }

    @Test(
        "values out of range are errors with their place",
        arguments: [
            ("share: 50%", "share: 120%", "request.edits.share"),
            ("strength: 0.5", "strength: 1.5", "request.edits.strength"),
            ("masks: [none, 25%]", "masks: [quarter]", "request.edits.masks"),
            ("images: 4", "images: 0", "request.edits.images"),
            ("model: union, ", "", "request.control needs model"),
        ])
    func errors(_ old: String, _ new: String, _ words: String) {
        let error = #expect(throws: ScenarioError.self) {
            try Scenario(yaml: Self.yaml.replacing(old, with: new), environment: [:])
        }
        #expect(error?.description.contains(words) == true, "\(error?.description ?? "")")
        #expect(error?.description.hasPrefix("line ") == true)
    }

    @Test(
        "what a dialect has no field for is refused before the run",
        arguments: [
            ("dialect: a1111", "dialect: localai", "a strength"),
            ("dialect: a1111", "dialect: xinference", "a ControlNet"),
            ("dialect: a1111", "dialect: comfyui, model: m", "a ControlNet"),
            ("turns: 3", "turns: 3\n  format: jpeg", "a file format"),
            ("closed: { users: [2] }", "open: { rate: 2/s }", "request.turns needs closed levels"),
        ])
    func refusals(_ old: String, _ new: String, _ words: String) throws {
        let scenario = try Scenario(
            yaml: Self.yaml.replacing(old, with: new), environment: [:])
        let error = #expect(throws: ScenarioError.self) { try RunPlan(scenario) }
        #expect(error?.description.contains(words) == true, "\(error?.description ?? "")")
    }

    @Test("the plan is a function of the seed, and turns change the image of the turn before")
    func sessions() throws {
        let first = try plan().requests()
        #expect(try plan().requests() == first)
        for request in first {
            let source = request.parameters.source
            let start = first[request.sequence / 3 * 3].parameters
            if request.sequence.isMultiple(of: 3) {
                #expect(source?.previous == nil)
                continue
            }
            #expect(source?.previous == request.sequence - 1)
            #expect(source?.seed == nil)
            #expect(request.parameters.size == start.size)
            #expect(request.parameters.steps == start.steps)
            #expect(request.parameters.seed != start.seed)
        }
        // Of the first turns, half are edits, of two sizes, half of them with a mask.
        let starts = first.filter { $0.sequence.isMultiple(of: 3) }.map(\.parameters)
        let edits = starts.compactMap(\.source)
        #expect((130...210).contains(edits.count), "\(edits.count) of \(starts.count)")
        #expect(Set(edits.map(\.width)) == [64, 96])
        #expect((50...120).contains(edits.count { $0.mask != nil }))
        #expect(Set(edits.compactMap(\.seed)) == [0, 1, 2, 3])
        #expect((130...210).contains(starts.count { $0.control != nil }))
        #expect(Set(first.map(\.parameters.seed)).count == first.count)
    }

    @Test("a plan without edits has the requests that it had before there were edits")
    func unchanged() throws {
        let text = Self.yaml.split(separator: "\n").filter { line in
            !["edits", "share", "sizes", "masks", "strength", "images", "control", "turns"]
                .contains { line.trimmingCharacters(in: .whitespaces).hasPrefix($0) }
        }.joined(separator: "\n")
        let plain = try plan(text).requests()
        #expect(plain.allSatisfy { $0.parameters.source == nil && $0.parameters.control == nil })
        let starts = try plan().requests().filter { $0.sequence.isMultiple(of: 3) }
        for request in starts {
            #expect(request.parameters.seed == plain[request.sequence].parameters.seed)
            #expect(request.parameters.prompt == plain[request.sequence].parameters.prompt)
        }
    }

    @Test("each kind of source is primed")
    func primes() throws {
        let plan = try plan()
        let primes = plan.primes(plan.visits[0])
        #expect(Set(primes.map(\.task)) == ["generate", "edit", "inpaint"])
        #expect(primes.allSatisfy { $0.source?.previous == nil })
    }

    @Test("an edit needs at least the steps within its strength")
    func fewestSteps() {
        var request = RequestParameters(prompt: "", width: 64, height: 64, steps: 8, seed: 1)
        #expect(request.fewestSteps == 8)
        request.source = SourceParameters(width: 64, height: 64, seed: 1, strength: 0.3)
        #expect(request.fewestSteps == 2)
        request.source?.strength = 0.01
        #expect(request.fewestSteps == 1)
    }

    @Test("a transparent mask is a PNG file that decoders read, with its share of the area")
    func masks() throws {
        for (width, height) in [(64, 48), (130, 97), (600, 700)] {
            let file = MaskImage.transparent(width: width, height: height, share: 0.25)
            let decoded = try ImageDecoder.decode(file)
            let transparency = try #require(decoded.transparency)
            #expect(transparency.width == width && transparency.height == height)
            let white = transparency.pixels.count { $0 > 127 } / 3
            let share = Double(white) / Double(width * height)
            #expect(abs(share - 0.25) < 0.02, "\(share)")
            let opaque = try ImageDecoder.decode(
                MaskImage.opaque(width: width, height: height, share: 0.25))
            #expect(opaque.flattened().pixels.count { $0 > 127 } / 3 == white)
        }
    }

    @Test("source images are the same for the same seed, and masks have their size")
    func sources() throws {
        let sources = SourceImages()
        var request = RequestParameters(prompt: "", width: 64, height: 64, steps: 8, seed: 1)
        request.source = SourceParameters(width: 96, height: 64, seed: 3, strength: 0.5, mask: 0.3)
        request.control = ControlParameters(model: "m", type: "none", scale: 1, seed: 2)
        let inputs = sources.inputs(request, isTransparent: false)
        let again = SourceImages().inputs(request, isTransparent: false)
        #expect(inputs.source == again.source && inputs.mask == again.mask)
        let headers = [inputs.source, inputs.mask, inputs.control].map {
            $0.flatMap { ImageHeader($0) }
        }
        #expect(headers.map { $0?.width } == [96, 96, 64])
        #expect(headers.map { $0?.height } == [64, 64, 64])
        request.source = SourceParameters(width: 64, height: 64, previous: 4, strength: 0.5)
        #expect(sources.inputs(request, previous: [1, 2], isTransparent: true).source == [1, 2])
    }
}

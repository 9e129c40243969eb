// Part of Inkstone. Licence: see LICENSE.

import Foundation
import Imaging
import Testing

/// ControlNets on the command line.
@Suite struct ControlTests {
    private static let fixtures = Program.repository.appending(path: "Tests/Fixtures/control")

    private func generate(
        _ control: [String], in folder: TemporaryFolder
    ) async throws -> Program.Result {
        try await Program.run(
            ["generate", "a cat", "--model", Self.fixtures.appending(path: "base").path]
                + ["--width", "64", "--height", "96", "--steps", "2", "--seed", "5", "--json"]
                + control.flatMap { ["--control", $0] }, in: folder)
    }

    @Test("a net by its path, with a map of an image, changes the image and is in its text")
    func net() async throws {
        let folder = try TemporaryFolder()
        try TestPicture.write(to: folder.path("in,put.png"), as: .png)
        let plain = try Report(try await generate([], in: folder))
        let net = Self.fixtures.appending(path: "net-1.0.safetensors").path
        let result = try await generate(
            ["net=\(net),image=\(folder.path("in,put.png")),type=canny,low=20,strength=0.8"],
            in: folder)
        #expect(result.status == 0, "\(result.errors)")
        let controlled = try Report(result)
        #expect(controlled.sha256 != plain.sha256)
        #expect(!result.output.contains("map"))
        let text = try ImageFile.read(from: folder.path("inkstone.png")).metadata.parameters
        #expect(text?.contains("Module: canny, Model: net-1.0, Weight: 0.8") == true)
    }

    @Test(
        "a control that cannot be used is refused before the model is loaded",
        arguments: [
            ("net=NET,image=in.png,type=pose", "scribble"), ("net=NET", "image=FILE"),
            ("net=NET,image=in.png,strength=x", "a number"), ("in.png", "a key such as"),
            ("net=NET,image=in.png,type=canny,low=0", "between 1.0"),
            ("net=none,image=in.png", "no ControlNet"), ("net=NET,image=no.png", "no.png"),
            ("net=NET,image=in.png,fit=x", "stretch, crop or pad"),
            ("net=base/vae/diffusion_pytorch_model.safetensors,image=in.png", "not a ControlNet"),
        ])
    func refused(control: String, words: String) async throws {
        let folder = try TemporaryFolder()
        try TestPicture.write(to: folder.path("in.png"), as: .png)
        let result = try await generate(
            [
                control.replacing("in.png", with: folder.path("in.png"))
                    .replacing("NET", with: Self.fixtures.path + "/net-1.0.safetensors")
                    .replacing("base/vae", with: Self.fixtures.path + "/base/vae")
            ], in: folder)
        #expect(result.status != 0)
        #expect(result.errors.contains(words), "\(result.errors)")
        #expect(try folder.contents() == ["in.png"])
    }

    @Test("nets are listed beside the models, and shown with the model that they fit")
    func models() async throws {
        let folder = try TemporaryFolder()
        let roots = folder.url.appending(path: "models")
        let nets = roots.appending(path: "union")
        try FileManager.default.createDirectory(at: nets, withIntermediateDirectories: true)
        for name in ["net-lite.safetensors", "net-2.0.safetensors"] {
            try FileManager.default.copyItem(
                at: Self.fixtures.appending(path: name), to: nets.appending(path: name))
        }
        let model = roots.appending(path: "tiny")
        try FileManager.default.copyItem(at: Self.fixtures.appending(path: "base"), to: model)
        let own = model.appending(path: "controlnets")
        try FileManager.default.createDirectory(at: own, withIntermediateDirectories: true)
        try FileManager.default.copyItem(
            at: Self.fixtures.appending(path: "net-2.1"), to: own.appending(path: "net-2.1"))
        let environment = ["INKSTONE_MODELS": roots.path]
        let list = try await Program.run(
            ["models", "list"], in: folder, environment: environment)
        #expect(list.output.contains("net-lite"))
        #expect(list.output.contains(own.appending(path: "net-2.1").path))
        #expect(list.output.contains("ControlNet") && !list.output.contains("unusable"))
        let show = try await Program.run(
            ["models", "show", Self.fixtures.appending(path: "base").path, "--precision", "f32"],
            in: folder, environment: environment)
        #expect(show.status == 0, "\(show.errors)")
        #expect(show.output.contains("net-lite: version 2.1 lite, "))
        #expect(show.output.contains("net-2.0: version 2.0, "))
        let other = try await Program.run(
            ["models", "show", Program.model.path, "--precision", "f32"],
            in: folder, environment: environment)
        #expect(!other.output.contains("net-lite"))
    }
}

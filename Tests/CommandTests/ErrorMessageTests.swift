// Part of Inkstone. Licence: see LICENSE.

import Foundation
import Imaging
import ModelFiles
import Testing

/// Every message word by word, and the status that goes with it.
@Suite struct ErrorMessageTests {
    struct Case: CustomTestStringConvertible, Sendable {
        let arguments: [String]
        let status: Int32
        let message: String

        /// `{folder}` in arguments and message stands for the folder that the program runs in.
        init(_ arguments: String..., status: Int32, says message: String) {
            self.arguments = arguments
            self.status = status
            self.message = message
        }

        var testDescription: String { arguments.joined(separator: " ") }
    }

    private static let generateHint =
        "See 'inkstone generate --help' for more information."

    private static let usage: [Case] = [
        Case(
            "generate", status: 64,
            says: "Expected a prompt, got none; write it in quotation marks."),
        Case(
            "generate", "a", "cat", status: 64,
            says: "Expected one prompt, got 2 words; put the prompt in quotation marks."),
        Case(
            "generate", "x", "--widht", "64", status: 64,
            says: "Unknown option '--widht'. Did you mean '--width'? \(generateHint)"),
        Case(
            "generate", "x", "--width", status: 64,
            says: "Missing value for '--width <px>'. \(generateHint)"),
        Case(
            "generate", "x", "--width", "wide", status: 64,
            says: "The value 'wide' is invalid for '--width <px>'. \(generateHint)"),
        Case(
            "generate", "x", "--steps", "99999999999999999999", status: 64,
            says: "The value '99999999999999999999' is invalid for '--steps <n>'."
                + " \(generateHint)"),
        Case(
            "generate", "x", "--seed", "-2", status: 64,
            says:
                "--seed must be between 0 and 18446744073709551615, or -1 to choose one, got '-2'."
                + " \(generateHint)"),
        Case(
            "generate", "x", "--output", "x.gif", status: 64,
            says: "--output must be a file name that ends in .png, .jpg or .webp, got 'x.gif'."
                + " \(generateHint)"),
        Case(
            "generate", "x", "--output", "", status: 64,
            says: "--output must be a file name that ends in .png, .jpg or .webp, got ''."
                + " \(generateHint)"),
        Case(
            "generate", "x", "--strength", "0.5", status: 64,
            says: "--strength needs --image, the source image. \(generateHint)"),
        Case(
            "generate", "x", "--mask", "m.png", status: 64,
            says: "--mask needs --image, the source image. \(generateHint)"),
        Case(
            "generate", "x", "--trace", "t.safetensors", "--count", "2", status: 64,
            says: "--trace and --latents work with --count 1 only. \(generateHint)"),
        Case(
            "generate", "x", "--threads", "0", status: 64,
            says: "--threads must be between 1 and 1024, got 0. \(generateHint)"),
        Case(
            "generate", "x", "--lora", "a.safetensors:strong", status: 64,
            says: "--lora must be FILE or FILE:SCALE with a number such as 0.8, got"
                + " 'a.safetensors:strong'. \(generateHint)"),
        Case(
            "draw", status: 64,
            says: "Unexpected argument 'draw'. See 'inkstone --help' for more information."),
        Case(
            "serve", "--workers", "-1", status: 64,
            says: "--workers must be between 1 and 64, got -1."
                + " See 'inkstone serve --help' for more information."),
        Case(
            "serve", "--public-url", "pictures.example.org", status: 64,
            says: "--public-url must be an address such as https://pictures.example.org or"
                + " http://example.org:8080/ink, got 'pictures.example.org'."
                + " See 'inkstone serve --help' for more information."),
        Case(
            "serve", "--trusted-proxy", "10.0.0.0/40", status: 64,
            says:
                "--trusted-proxy must be an address such as 10.1.2.3, a network such as 10.1.0.0/16, loopback,"
                + " private or none, got '10.0.0.0/40'."
                + " See 'inkstone serve --help' for more information."),
        Case(
            "generate", "x", "--variation-seed", "18446744073709551616", status: 64,
            says:
                "--variation-seed must be between 0 and 18446744073709551615, or -1 to choose one, got"
                + " '18446744073709551616'. \(generateHint)"),
        Case(
            "serve", "--device", "vulkan:0,vulkan:0", status: 64,
            says:
                "A GPU holds the model of one worker: name one for each, such as --device vulkan:0,vulkan:1."
                + " See 'inkstone serve --help' for more information."),
        Case(
            "serve", "--device", "vulkan:0,vulkan:1", "--workers", "2", status: 64,
            says: "--device names 2 devices, one for each worker: leave --workers out."
                + " See 'inkstone serve --help' for more information."),
        Case(
            "generate", "a", "--device", "cpu,vulkan:1", status: 64,
            says:
                "--device must be one device here, got 'cpu,vulkan:1'; only 'serve' runs workers on several."
                + " See 'inkstone --help' for more information."),
        Case(
            "generate", "a", "--device-memory", "4", status: 64,
            says: "--device-memory is for GPUs; add --device vulkan. \(generateHint)"),
        Case(
            "serve", "--memory-budget", "-1", status: 64,
            says: "--memory-budget must be between 0.001 and 1000000, got -1.0."
                + " See 'inkstone serve --help' for more information."),
        Case(
            "serve", "--model", "a", "--model", "b", "--lora", "x.safetensors", status: 64,
            says: "--lora requires exactly one --model, got 2."
                + " See 'inkstone serve --help' for more information."),
        Case(
            "serve", "--port", "70000", status: 64,
            says: "--port must be between 0 and 65535, got 70000."
                + " See 'inkstone serve --help' for more information."),
        Case(
            "serve", "--port", "8000", "--page-port", "8000", status: 64,
            says: "--port and --page-port must differ, got 8000 for both."
                + " See 'inkstone serve --help' for more information."),
        Case(
            "serve", "--waiting", "-1", status: 64,
            says: "--waiting must be between 0 and 1000000, got -1."
                + " See 'inkstone serve --help' for more information."),
        Case(
            "serve", "--host", "0.0.0.0", status: 64,
            says: "Listening on '0.0.0.0' would let every machine that reaches it make pictures"
                + " here without a key; listen on 127.0.0.1, make a key with 'inkstone keys add NAME',"
                + " or allow this with --allow-remote-without-keys."),
    ]

    private static let requests: [Case] = [
        Case(
            "generate", "x", "--width", "100", status: 64,
            says: "--width must be a multiple of 16 between 16 and 512, got 100."),
        Case(
            "generate", "x", "--height", "-16", status: 64,
            says: "--height must be a multiple of 16 between 16 and 512, got -16."),
        Case(
            "generate", "x", "--steps", "0", status: 64,
            says: "--steps must be between 1 and 200, got 0."),
        Case(
            "generate", "x", "--count", "11", status: 64,
            says: "--count must be between 1 and 10, got 11."),
        Case(
            "generate", "x", "--guidance-scale", "nan", status: 64,
            says: "--guidance-scale must be between 0.0 and 100.0, got nan."),
        Case(
            "generate", "x", "--guidance-scale", "-1", status: 64,
            says: "--guidance-scale must be between 0.0 and 100.0, got -1.0."),
        Case(
            "generate", "x", "--cfg-normalization", "inf", status: 64,
            says: "--cfg-normalization must be between 0.0 and 100.0, got inf."),
        Case(
            "generate", "x", "--cfg-truncation", "2", status: 64,
            says: "--cfg-truncation must be between 0.0 and 1.0, got 2.0."),
        Case(
            "generate", String(repeating: "word ", count: 10_000), status: 64,
            says: "The prompt must have at most 32000 characters, got 50000."),
        Case(
            "generate", "x", "--image", "small.png", "--strength", "0", status: 64,
            says: "--strength must be above 0 and at most 1, got 0.0."),
        Case(
            "generate", "x", "--image", "small.png", "--strength", "0.01", status: 64,
            says: "--strength 0.01 of 8 steps leaves less than one step to run; raise strength or"
                + " steps."),
    ]

    private static let files: [Case] = [
        Case(
            "generate", "x", "--model", "nope", status: 66,
            says: "There is no model 'nope'. Known models are emoji-nano; or give a folder's path."),
        Case(
            "generate", "x", "--model", "./nope", status: 66,
            says: "The model folder '{folder}/nope' does not exist. Check the path or the model's"
                + " name."),
        Case(
            "generate", "x", "--model", "./garbage", status: 65,
            says: "'{folder}/garbage' is a file, expected a model folder or a .safetensors or .gguf"
                + " file. Give the folder that holds model_index.json."),
        Case(
            "models", "remove", "emoji-nano", "--yes", status: 64,
            says: "'emoji-nano' comes with the program; only your own models can be removed."),
        Case(
            "models", "pull", "nope", status: 64,
            says: "'nope' is not a repository, expected OWNER/NAME or one of z-image,"
                + " z-image-turbo."),
        Case(
            "models", "show", "./empty", status: 65,
            says: "'{folder}/empty' has no model_index.json: it is empty. Use a model folder in the"
                + " diffusers layout."),
        Case(
            "generate", "x", "--output", "nope/x.png", status: 66,
            says: "The folder '{folder}/nope' does not exist; create it, or choose another."),
        Case(
            "generate", "x", "--trace", "nope/x.safetensors", status: 66,
            says: "The folder '{folder}/nope' does not exist; create it, or choose another."),
        Case(
            "generate", "x", "--output", "folder.png", status: 64,
            says: "'{folder}/folder.png' is a folder, expected a file; add a file name."),
        Case(
            "generate", "x", "--image", "nope.png", status: 66,
            says: "Cannot read 'nope.png': expected a file, found none. Check the path."),
        Case(
            "generate", "x", "--image", "garbage", status: 65,
            says:
                "'garbage' is not a usable source image. Expected a PNG, JPEG or WebP image, found 6"
                + " bytes that begin with 68 65 6c 6c 6f 0a. Convert the image to one of these"
                + " formats."),
        Case(
            "generate", "x", "--latents", "nope.safetensors", status: 66,
            says: "'{folder}/nope.safetensors' does not exist. Check the path."),
        Case(
            "generate", "x", "--latents", "garbage", status: 65,
            says: "'{folder}/garbage' has only 6 bytes, expected a safetensors file. Download the"
                + " file again."),
        Case(
            "generate", "x", "--latents", "other.safetensors", status: 65,
            says:
                "'other.safetensors' has no tensor 'latents.init'; write one of shape [16, 16, 16]"
                + " in F32."),
        Case(
            "generate", "x", "--latents", "latents.safetensors", "--width", "64", status: 65,
            says: "Tensor 'latents.init' of 'latents.safetensors' must have the shape [16, 16, 8]"
                + " for 64x128 pixels, got [16, 8, 16]; change the tensor, or --width and --height."
        ),
        Case(
            "serve", "--model", "nope", "--port", "0", "--page-port", "0", status: 66,
            says: "There is no model 'nope'. Known models are emoji-nano; or give a folder's path."),
        Case(
            "serve", "--lora", "garbage", "--port", "0", "--page-port", "0", status: 65,
            says: "'{folder}/garbage' has only 6 bytes, expected a safetensors file. Download the"
                + " file again."),
        Case(
            "generate", "x", "--lora", "nope.safetensors", status: 66,
            says: "'{folder}/nope.safetensors' does not exist. Check the path."),
        Case(
            "generate", "x", "--lora", "garbage:0.5", status: 65,
            says: "'{folder}/garbage' has only 6 bytes, expected a safetensors file. Download the"
                + " file again."),
        Case(
            "generate", "x", "--lora", "other.safetensors", status: 65,
            says: "LoRA file other.safetensors changes no layer of this model: none of its 1 keys"
                + " belongs to one, such as 'something'. Use a LoRA that was trained for Z-Image."),
    ]

    @Test(
        "the message is one line that helps, and the status fits",
        arguments: usage + requests + files)
    func message(of example: Case) async throws {
        let folder = try TemporaryFolder()
        try Self.prepare(folder)
        let before = try folder.contents()
        let result = try await Program.run(example.arguments, in: folder)
        let expected = example.message.replacing("{folder}", with: folder.url.path)
        #expect(result.errors == "inkstone: \(expected)\n")
        #expect(result.status == example.status)
        #expect(result.output.isEmpty)
        #expect(try folder.contents() == before)
    }

    /// The files that the cases name.
    private static func prepare(_ folder: TemporaryFolder) throws {
        try folder.write("hello\n", to: "garbage")
        for name in ["empty", "folder.png"] {
            try FileManager.default.createDirectory(
                at: folder.url.appending(path: name), withIntermediateDirectories: false)
        }
        try TestPicture.write(to: folder.path("small.png"), as: .png)
        try SafetensorsFile.write(
            [NewTensor("something", shape: [1], .f32([0]))],
            to: folder.url.appending(path: "other.safetensors"))
        try SafetensorsFile.write(
            [
                NewTensor(
                    "latents.init", shape: [16, 8, 16],
                    .f32([Float](repeating: 0, count: 16 * 8 * 16)))
            ],
            to: folder.url.appending(path: "latents.safetensors"))
    }

    #if !Fleet
        @Test("a program without the fleet names one with it", arguments: ["serve", "worker"])
        func withoutFleet(command: String) async throws {
            let result = try await Program.run(
                [command, "--queue", "nats://localhost"], in: try TemporaryFolder())
            #expect(result.status == 64)
            #expect(
                result.errors.hasPrefix(
                    "inkstone: --queue nats://localhost needs a program with the fleet, and this one"
                        + " was built without it; take that of the packages, or build one with"
                        + " 'make build-fleet'."), "\(result.errors)")
        }
    #endif

    @Test("kernels that there are not are named with those that there are")
    func kernels() async throws {
        let result = try await Program.run(
            ["models", "show"], in: try TemporaryFolder(), environment: ["INKSTONE_KERNELS": "foo"])
        #expect(result.status == 64)
        #expect(
            result.errors.wholeMatch(
                of:
                    /inkstone: INKSTONE_KERNELS must be one of [a-z0-9, ]*portable on this processor, got 'foo'\. See .*\n/
            ) != nil, "\(result.errors)")
    }

    @Test("a checkpoint that ends early is a bad file")
    func truncated() async throws {
        let folder = try TemporaryFolder()
        let copy = folder.url.appending(path: "model")
        try FileManager.default.copyItem(at: Program.model, to: copy)
        let file = copy.appending(path: "transformer/diffusion_pytorch_model.safetensors")
        try Data(contentsOf: file).prefix(1_000_000).write(to: file)
        let result = try await Program.run(["generate", "x", "--model", "./model"], in: folder)
        #expect(result.status == 65)
        #expect(
            result.errors.hasPrefix("inkstone: '\(file.path)': tensor '"), "\(result.errors)")
        #expect(
            result.errors.hasSuffix("has only 988008. Download the file again.\n"),
            "\(result.errors)")
    }

    @Test("a full disk is said, and leaves nothing behind")
    func fullDisk() async throws {
        // The one device that is always full.
        let device = "/dev/full"
        guard FileManager.default.fileExists(atPath: device) else { return }
        let folder = try TemporaryFolder()
        try FileManager.default.createSymbolicLink(
            atPath: folder.path("x.png"), withDestinationPath: device)
        let result = try await Program.run(
            ["generate", "x", "--output", "x.png"] + Program.small, in: folder)
        #expect(result.status == 70)
        #expect(
            result.errors
                == "inkstone: Cannot write '\(folder.path("x.png"))': no space is left in"
                + " '\(folder.url.path)'. Free some space or choose another folder.\n")
        #expect(try folder.contents() == ["x.png"])
    }
}

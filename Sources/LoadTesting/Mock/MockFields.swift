// Part of Inkstone. Licence: see LICENSE.

import Foundation
import Imaging
import NIOHTTP1

/// The fields of a request of any dialect, from JSON or a form.
struct MockFields {
    /// Values by name; those of a form are text.
    private(set) var values: [String: Any]
    /// The files of a form.
    private(set) var files: [String: [UInt8]] = [:]

    /// Reads the body; `nil` when it is neither JSON nor a form.
    init?(_ request: MockRequest) {
        let type = request.head.headers.first(name: "content-type") ?? ""
        if type.hasPrefix("multipart/form-data"), let name = type.firstRange(of: "boundary=") {
            let boundary = type[name.upperBound...].trimmingCharacters(in: ["\""])
            values = [:]
            readForm(request.body, boundary)
        } else {
            guard
                let object = try? JSONSerialization.jsonObject(with: Data(request.body))
                    as? [String: Any]
            else { return nil }
            values = object
        }
        // Xinference's clients put JSON into a string.
        if let text = values["kwargs"] as? String,
            let more = try? JSONSerialization.jsonObject(with: Data(text.utf8)) as? [String: Any]
        {
            values.merge(more) { first, _ in first }
        }
        if let prompt = values["prompt"] as? String { readArguments(prompt) }
    }

    /// Reads `<sd_cpp_extra_args>` of a prompt.
    private mutating func readArguments(_ prompt: String) {
        guard let open = prompt.range(of: "<sd_cpp_extra_args>"),
            let close = prompt.range(of: "</sd_cpp_extra_args>"),
            let more = try? JSONSerialization.jsonObject(
                with: Data(prompt[open.upperBound..<close.lowerBound].utf8)) as? [String: Any]
        else { return }
        values["prompt"] = prompt[..<open.lowerBound].trimmingCharacters(in: .whitespaces)
        values.merge(more) { first, _ in first }
    }

    private mutating func readForm(_ body: [UInt8], _ boundary: String) {
        let data = Data(body)
        let line = Data("--\(boundary)".utf8)
        let gap = Data("\r\n\r\n".utf8)
        var start = data.range(of: line)?.upperBound
        while let from = start, let next = data.range(of: line, in: from..<data.endIndex) {
            defer { start = next.upperBound }
            guard let head = data.range(of: gap, in: from..<next.lowerBound) else { continue }
            let words = String(decoding: data[from..<head.lowerBound], as: UTF8.self)
            guard let name = words.firstMatch(of: /name="([^"]*)"/)?.output.1 else { continue }
            // The line break before the boundary is not a part of the content.
            let content = data[head.upperBound..<max(head.upperBound, next.lowerBound - 2)]
            if words.contains("filename=") {
                files[String(name)] = [UInt8](content)
            } else {
                values[String(name)] = String(decoding: content, as: UTF8.self)
            }
        }
    }

    // MARK: Values

    var names: Set<String> { Set(values.keys).union(files.keys) }

    func text(_ names: String...) -> String? {
        names.lazy.compactMap { values[$0] as? String }.first
    }

    func number(_ names: String...) -> Double? {
        names.lazy.compactMap { name -> Double? in
            (values[name] as? NSNumber)?.doubleValue
                ?? (values[name] as? String).flatMap(Double.init)
        }.first
    }

    func integer(_ names: String...) -> Int? {
        names.lazy.compactMap { number($0) }.first.map { Int($0) }
    }

    func flag(_ name: String) -> Bool {
        (values[name] as? NSNumber)?.boolValue ?? (values[name] as? String == "true")
    }

    /// A file of the form, or one in base64.
    func file(_ names: String...) -> [UInt8]? {
        for name in names {
            if let file = files[name] { return file }
            let text = values[name] as? String ?? (values[name] as? [String])?.first
            if let text, let data = Data(base64Encoded: text) { return [UInt8](data) }
        }
        return nil
    }

    /// The image of the first unit of A1111's ControlNet extension.
    var unitImage: [UInt8]? {
        let scripts = values["alwayson_scripts"] as? [String: [String: [[String: Any]]]]
        let text = scripts?["controlnet"]?["args"]?.first?["image"] as? String
        return text.flatMap { Data(base64Encoded: $0) }.map { [UInt8]($0) }
    }

    /// The native parameters of sampling of stable-diffusion.cpp.
    private var sampling: [String: Any]? { values["sample_params"] as? [String: Any] }

    /// The parameters; `nil` with the reason for sizes out of range, and for images that cannot be used.
    func parameters(_ refuse: (String) -> Void) -> MockParameters? {
        let numbers = (text("size") ?? "").split { !$0.isNumber }.compactMap { Int($0) }
        let steps = (sampling?["sample_steps"] as? NSNumber)?.intValue
        var parameters = MockParameters(
            prompt: text("prompt") ?? "", width: integer("width") ?? numbers.first ?? 64,
            height: integer("height") ?? numbers.last ?? 64,
            steps: integer("num_inference_steps", "steps", "step") ?? steps ?? 8,
            seed: integer("seed") ?? 0,
            guidance: number("guidance_scale") ?? (number("cfg_scale") ?? 1) - 1,
            format: text("output_format").flatMap { ImageFormat(rawValue: $0) } ?? .png)
        parameters.source = file("image", "image[]", "init_images", "file", "source")
        parameters.mask = file("mask", "mask_image")
        parameters.control = file("control_image") ?? unitImage
        parameters.strength = number("strength", "denoising_strength") ?? 1
        if let lora = values["lora"],
            let text = try? JSONSerialization.data(withJSONObject: [lora], options: .sortedKeys)
        {
            parameters.lora = String(decoding: text, as: UTF8.self)
        }
        guard (16...4096).contains(parameters.width), (16...4096).contains(parameters.height) else {
            refuse("size")
            return nil
        }
        guard let reason = parameters.fault else { return parameters }
        refuse(reason)
        return nil
    }
}

extension MockParameters {
    /// Why the images of the request cannot be used; `nil` if they can.
    fileprivate var fault: String? {
        guard let source else { return mask == nil ? nil : "a mask without an image" }
        guard let size = ImageHeader(Array(source.prefix(ImageHeader.length))) else {
            return "the image is not a file in a known format"
        }
        if let mask {
            guard let other = ImageHeader(Array(mask.prefix(ImageHeader.length))),
                other.width == size.width, other.height == size.height
            else { return "the mask has another size than the image" }
        }
        return (0...1).contains(strength) ? nil : "strength"
    }
}

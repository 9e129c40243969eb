// Part of Inkstone. Licence: see LICENSE.

import Catalog
import ControlMaps
import Engine
import HTTPTypes
import Imaging
import ModelFiles
import Parameters

/// The units of A1111's ControlNet extension in `alwayson_scripts`.
enum A1111Controls {
    /// Units that a request may have; the extension's page has three.
    static let maximumCount = 4

    /// The enabled units of a request.
    ///
    /// - Throws: `APIError` that names the unit and the field.
    static func units(
        _ fields: RequestFields, _ registry: ControlNetRegistry
    ) throws(APIError) -> [StatedControl] {
        guard case .object(let scripts)? = fields.first("alwayson_scripts")?.value,
            let script = scripts.first(where: { $0.key.lowercased() == "controlnet" })?.value,
            case .object(let content) = script, let arguments = content["args"]
        else { return [] }
        guard case .array(let units) = arguments else {
            guard arguments.isOff else {
                throw fields.wrong("args", "an array of units", arguments)
            }
            return []
        }
        var controls: [StatedControl] = []
        for argument in units where !argument.isOff {
            guard case .object(let values) = argument else {
                throw fields.wrong("a unit of ControlNet", "an object", argument)
            }
            let unit = fields.part(values)
            guard try unit.isEnabled() else { continue }
            controls.append(try unit.unit(registry))
        }
        return controls
    }
}

extension RequestFields {
    fileprivate func isEnabled() throws(APIError) -> Bool {
        try bool("enabled", "enable", "is_enabled") ?? true
    }

    /// Reads an enabled unit.
    fileprivate func unit(_ registry: ControlNetRegistry) throws(APIError) -> StatedControl {
        let module = try string("module") ?? "none"
        guard let type = Preprocessor(named: module) else {
            throw .invalid(
                "module",
                "there is no preprocessor \(JSONValue.string(module).summary) here; this server has"
                    + " \(Preprocessor.allCases.map(\.webUIName).joined(separator: ", ")). Make"
                    + " other maps elsewhere and send them with the module none.")
        }
        let name = try string("model") ?? "None"
        guard !name.isEmpty, name.lowercased() != "none" else {
            let known = registry.offers
            throw .invalid(
                "model",
                "a ControlNet unit needs a model"
                    + (known.isEmpty
                        ? "; this server has none." : ": \(known.joined(separator: ", "))."))
        }
        let net: String
        do { net = try registry.offer(name) } catch {
            throw APIError(
                .badRequest, code: "control_not_found", parameter: "model", error.message)
        }
        var control = StatedControl(input: ControlInput(model: net, type: type))
        (control.image, control.mask) = try images()
        control.input.fitting = try fitting()
        control.input.values = try thresholds(of: type)
        control.input.strength = try number("weight") ?? 1
        control.input.start = try number("guidance_start") ?? 0
        control.input.end = try number("guidance_end") ?? 1
        // A mask of another module limits the effect to a region, which this server does not do.
        if type != .inpaint, let mask = control.mask, !mask.isEmpty {
            throw .invalid(
                "mask", "a mask works with the module inpaint_only alone here; leave it out.")
        }
        return control
    }

    /// `image` and `mask`, or both in an object `image`, as newer versions send them.
    private func images() throws(APIError) -> (image: String?, mask: String?) {
        if case .object(let both)? = first("image")?.value {
            let both = part(both)
            if let mask = try both.text("mask") { return (try both.text("image"), mask) }
            return (try both.text("image"), try text("mask", "mask_image"))
        }
        return (try text("image", "input_image"), try text("mask", "mask_image"))
    }

    /// `threshold_a` and `threshold_b`; values out of range stand for the standard ones, as in the extension.
    fileprivate func thresholds(of type: Preprocessor) throws(APIError) -> [Double?] {
        let stated = [try number("threshold_a"), try number("threshold_b")]
        return zip(stated, type.parameters).map { value, parameter in
            value.flatMap { parameter.range.contains($0) ? $0 : nil }
        }
    }

    /// `resize_mode` in words or as a number; the extension's default is to crop.
    private func fitting() throws(APIError) -> Fitting {
        guard let (name, value) = first("resize_mode") else { return .crop }
        if value.isNumber(0) { return .stretch }
        if value.isNumber(1) { return .crop }
        if value.isNumber(2) { return .pad }
        guard case .string(let text) = value, text.utf8.count <= 64 else {
            throw wrong(name, "a resize mode such as \"Crop and Resize\"", value)
        }
        switch text.lowercased() {
        case "just resize", "resize", "scale to fit": return .stretch
        case "crop and resize", "inner fit (scale to fit)", "inner fit", "scale to fit (inner fit)":
            return .crop
        case "resize and fill", "outer fit (shrink to fit)", "outer fit": return .pad
        default:
            throw .invalid(
                name,
                "\(name) must be Just Resize, Crop and Resize or Resize and Fill, got"
                    + " \(JSONValue.string(text).summary).")
        }
    }
}

// Part of Inkstone. Licence: see LICENSE.

import Catalog
import ControlMaps
import Engine
import HTTPTypes
import Imaging
import ModelFiles
import Parameters

/// A control in a request, whose images are not decoded yet.
struct StatedControl {
    /// The control without its images.
    var input: ControlInput
    /// The image that the map is made of, a file in base64.
    var image: String?
    /// The image to repaint, a file in base64.
    var source: String?
    /// White where it is painted again, a file in base64.
    var mask: String?
}

extension RequestFields {
    /// The controls of a request, without the pixels of their images.
    ///
    /// `controls` is an array of objects with `model`, `type`, `image`, `strength`, `start`, `end`, and for nets that
    /// repaint `source` and `mask`. `control_image` with `control_model`, `control_type`, `control_strength`,
    /// `control_start` and `control_end` is one control in the request itself.
    ///
    /// - Throws: `APIError` for another format, an unknown net or an unknown type.
    func controls(of registry: ControlNetRegistry) throws(APIError) -> [StatedControl] {
        var controls: [StatedControl] = []
        if let (field, value) = first("controls") {
            guard case .array(let rows) = value else {
                throw wrong(field, "an array of objects with model, type and image", value)
            }
            guard rows.count <= 16 else {
                throw .invalid(field, "\(field) must have at most 4 entries, got \(rows.count).")
            }
            for row in rows {
                guard case .object(let fields) = row else {
                    throw wrong("an entry of \(field)", "an object", row)
                }
                controls.append(try part(fields).control("", registry))
            }
        }
        if first("control_image") != nil || first("control_model") != nil {
            controls.append(try control("control_", registry))
        }
        return controls
    }

    /// Reads one control from the fields with a prefix.
    private func control(
        _ prefix: String, _ registry: ControlNetRegistry
    ) throws(APIError) -> StatedControl {
        let name = try string(prefix + "model") ?? ""
        let net: String
        if name.isEmpty {
            let known = registry.offers
            guard known.count == 1 else {
                throw .invalid(
                    prefix + "model",
                    "a control needs \(prefix)model, the name of a ControlNet"
                        + (known.isEmpty
                            ? ", of which this server has none."
                            : ": \(known.joined(separator: ", "))."))
            }
            net = known[0]
        } else {
            do { net = try registry.offer(name) } catch {
                throw APIError(
                    .badRequest, code: "control_not_found", parameter: prefix + "model",
                    error.message)
            }
        }
        let type =
            try string(prefix + "type") ?? (first(prefix + "image") == nil ? "inpaint" : "none")
        guard let preprocessor = Preprocessor(named: type) else {
            throw .invalid(
                prefix + "type",
                "\(prefix)type must be one of"
                    + " \(Preprocessor.allCases.map(\.rawValue).joined(separator: ", ")), got"
                    + " \(JSONValue.string(type).summary); make other maps elsewhere and send them"
                    + " with the type none.")
        }
        var control = StatedControl(input: ControlInput(model: net, type: preprocessor))
        control.image = try text(prefix + "image")
        control.source = try text(prefix + "source")
        control.mask = try text(prefix + "mask")
        control.input.values = try values(of: preprocessor, prefix)
        if let fitting = try choice(prefix + "fit", of: Fitting.allCases.map(\.rawValue)) {
            control.input.fitting = Fitting(rawValue: fitting) ?? .stretch
        }
        control.input.strength = try number(prefix + "strength") ?? 1
        control.input.start = try number(prefix + "start") ?? 0
        control.input.end = try number(prefix + "end") ?? 1
        return control
    }

    /// `low` and `high` of canny, `value` of the other types.
    private func values(
        of type: Preprocessor, _ prefix: String
    ) throws(APIError) -> [Double?] {
        let names = type.parameters.count == 2 ? ["low", "high"] : ["value"]
        var values: [Double?] = []
        for (name, parameter) in zip(names, type.parameters) {
            let value = try number(prefix + name)
            if let value, !parameter.range.contains(value) {
                throw .invalid(
                    prefix + name,
                    "\(prefix)\(name) of the type \(type.rawValue) must be between"
                        + " \(parameter.range.lowerBound) and \(parameter.range.upperBound), got"
                        + " \(value).")
            }
            values.append(value)
        }
        return values
    }
}

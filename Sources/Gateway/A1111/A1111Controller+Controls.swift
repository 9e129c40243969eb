// Part of Inkstone. Licence: see LICENSE.

import Catalog
import ControlMaps
import Engine
import Foundation
import HTTPTypes
import Hummingbird
import Imaging
import ModelFiles
import Service

/// The routes of the ControlNet extension, under `/controlnet`.
extension A1111Controller {
    private struct Detection: Encodable {
        var images: [String]
        var info = "Success"
    }

    private struct ModuleDetail: Encodable {
        struct Slider: Encodable {
            var name: String
            var value: Double
            var min: Double
            var max: Double
        }

        var modelFree = false
        var sliders: [Slider]

        private enum CodingKeys: String, CodingKey {
            case sliders
            case modelFree = "model_free"
        }

        init(_ type: Preprocessor) {
            sliders = type.parameters.map {
                Slider(
                    name: $0.name, value: $0.standard, min: $0.range.lowerBound,
                    max: $0.range.upperBound)
            }
        }
    }

    private struct ModuleList: Encodable {
        var names: [String]
        var details: [String: ModuleDetail]

        private enum CodingKeys: String, CodingKey {
            case names = "module_list"
            case details = "module_detail"
        }
    }

    private struct ControlType: Encodable {
        var modules: [String]
        var models: [String]
        var module: String
        var model: String

        private enum CodingKeys: String, CodingKey {
            case modules = "module_list"
            case models = "model_list"
            case module = "default_option"
            case model = "default_model"
        }
    }

    /// Lists of nets and preprocessors, and maps without an image.
    func addControls(to table: inout RouteTable) {
        table.add("/controlnet/version", [.get: .key { _, _ in .json(["version": 2]) }])
        table.add(
            "/controlnet/model_list",
            [
                .get: .key { _, _ in
                    .json(["model_list": requests.controlNets.offers])
                }
            ])
        table.add(
            "/controlnet/module_list",
            [
                .get: .key { _, _ in
                    let types = Preprocessor.allCases
                    return .json(
                        ModuleList(
                            names: types.map(\.webUIName),
                            details: Dictionary(
                                uniqueKeysWithValues: types.map {
                                    ($0.webUIName, ModuleDetail($0))
                                })))
                }
            ])
        table.add(
            "/controlnet/control_types",
            [.get: .key { _, _ in .json(["control_types": controlTypes()]) }])
        table.add(
            "/controlnet/settings",
            [.get: .key { _, _ in .json(["control_net_unit_count": A1111Controls.maximumCount]) }])
        table.add("/controlnet/detect", [.post: .key(sdapi(detect))])
    }

    /// A net of this family takes every kind of map, so that each kind lists all nets.
    private func controlTypes() -> [String: ControlType] {
        let nets = requests.controlNets.offers
        func type(_ modules: [Preprocessor]) -> ControlType {
            ControlType(
                modules: modules.map(\.webUIName), models: ["None"] + nets,
                module: modules[modules.count > 1 ? 1 : 0].webUIName, model: nets.first ?? "None")
        }
        return [
            "All": type(Preprocessor.allCases), "Canny": type([.none, .canny, .invert]),
            "Scribble": type([.none, .scribble, .invert, .threshold]),
            "Tile/Blur": type([.none, .tile, .blur]), "Inpaint": type([.none, .inpaint]),
            "Depth": type([.none]), "OpenPose": type([.none]),
            "SoftEdge": type([.none, .scribble]), "Lineart": type([.none, .invert, .canny]),
            "MLSD": type([.none]), "Recolor": type([.none, .grey]),
        ]
    }

    /// `POST /controlnet/detect`: the maps of images, each in the size of its image.
    @Sendable
    private func detect(_ request: Request, _ context: GatewayContext) async throws -> Response {
        let fields = try RequestFields(
            json: try await request.readBody(upTo: requests.limits.uploadBytes),
            dialect: .pydantic)
        let module = try fields.string("controlnet_module") ?? "none"
        guard let type = Preprocessor(named: module) else {
            throw APIError.invalid(
                "controlnet_module",
                "there is no preprocessor \(JSONValue.string(module).summary) here; this server has"
                    + " \(Preprocessor.allCases.map(\.webUIName).joined(separator: ", ")).")
        }
        guard case .array(let files)? = fields.first("controlnet_images")?.value, !files.isEmpty,
            files.count <= 16
        else {
            throw APIError.invalid(
                "controlnet_images",
                "controlnet_images must be an array of 1 to 16 image files in base64.")
        }
        var values: [Double?] = []
        for (name, parameter) in zip(["a", "b"], type.parameters) {
            let value = try fields.number("controlnet_threshold_\(name)")
            values.append(value.flatMap { parameter.range.contains($0) ? $0 : nil })
        }
        var maps: [String] = []
        for case .string(let file) in files {
            let image = try await reader.image(base64: file, field: "controlnet_images")
                .flattened()
            let map = try await WorkThreads.images.run { [values] in
                try ImageEncoder.encode(try type.map(of: image, values))
            }
            maps.append(Data(map).base64EncodedString())
        }
        return .json(Detection(images: maps))
    }
}

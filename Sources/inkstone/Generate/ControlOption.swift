// Part of Inkstone. Licence: see LICENSE.

import ArgumentParser
import Catalog
import ControlMaps
import Engine
import Foundation
import Imaging
import ModelFiles
import Parameters
import Tensors
import ZImage

/// A control of the command line: `net=NAME,image=FILE,type=canny,strength=0.8`.
struct ControlOption {
    private static let keys = [
        "net", "image", "type", "strength", "start", "end", "low", "high", "value", "fit",
        "source", "mask",
    ]

    private let fields: [String: String]
    /// Name or path of the net.
    var net: String { fields["net"] ?? "" }

    /// Parses the text of an option; a comma belongs to a value unless a key follows it.
    init(_ text: String) throws(ValidationError) {
        var fields: [String: String] = [:]
        var last: String?
        for part in text.split(separator: ",", omittingEmptySubsequences: false) {
            let words = part.split(separator: "=", maxSplits: 1, omittingEmptySubsequences: false)
            if words.count == 2, Self.keys.contains(String(words[0])) {
                last = String(words[0])
                guard fields.updateValue(String(words[1]), forKey: String(words[0])) == nil else {
                    throw ValidationError("--control has '\(words[0])' twice in '\(text)'.")
                }
            } else if let last {
                fields[last, default: ""] += "," + part
            } else {
                throw ValidationError(
                    "--control must begin with a key such as net=NAME or image=FILE, got '\(text)'."
                )
            }
        }
        self.fields = fields
        _ = try input()
    }

    /// The control without its images.
    private func input() throws(ValidationError) -> ControlInput {
        let standard = fields["image"] == nil ? "inpaint" : "none"
        let type = fields["type"] ?? standard
        guard let preprocessor = Preprocessor(named: type) else {
            throw ValidationError(
                "the type of --control must be one of"
                    + " \(Preprocessor.allCases.map(\.rawValue).joined(separator: ", ")), got"
                    + " '\(type)'.")
        }
        guard fields["image"] != nil || fields["mask"] != nil else {
            throw ValidationError("--control needs image=FILE, or source=FILE with mask=FILE.")
        }
        var input = ControlInput(model: net, type: preprocessor)
        let names = preprocessor.parameters.count == 2 ? ["low", "high"] : ["value"]
        for (name, parameter) in zip(names, preprocessor.parameters) {
            let value = try number(name)
            if let value, !parameter.range.contains(value) {
                throw ValidationError(
                    "\(name) of --control with the type \(preprocessor.rawValue) must be between"
                        + " \(parameter.range.lowerBound) and \(parameter.range.upperBound), got"
                        + " \(value).")
            }
            input.values.append(value)
        }
        if let fit = fields["fit"] {
            guard let fitting = Fitting(rawValue: fit) else {
                throw ValidationError(
                    "fit of --control must be stretch, crop or pad, got '\(fit)'.")
            }
            input.fitting = fitting
        }
        input.strength = try number("strength") ?? 1
        input.start = try number("start") ?? 0
        input.end = try number("end") ?? 1
        return input
    }

    private func number(_ key: String) throws(ValidationError) -> Double? {
        guard let text = fields[key] else { return nil }
        guard let number = Double(text), number.isFinite else {
            throw ValidationError("\(key) of --control must be a number, got '\(text)'.")
        }
        return number
    }

    /// The control with the pixels of its images, and the name of its net.
    func input(named name: String) throws -> ControlInput {
        var input = try input()
        input.model = name
        input.image = try fields["image"].map {
            try GenerateCommand.read($0, as: "usable control image")
        }
        input.source = try fields["source"].map {
            try GenerateCommand.read($0, as: "usable image to repaint")
        }
        input.mask = try fields["mask"].map { try GenerateCommand.read($0, as: "mask") }
        return input
    }
}

extension GenerateCommand {
    /// The nets of the data folder, the model, pulled repositories, and those that options name by path.
    func controlNets(for model: ModelDirectory) throws -> ControlNetRegistry {
        let files = try control.map(ControlOption.init).map(\.net).filter {
            $0.contains("/") || FileManager.default.fileExists(atPath: $0)
        }
        return ControlNetRegistry(
            folder: DataOptions.folder(nil).appending(path: "controlnets"), models: [model.url],
            roots: ModelLocator().roots, files: files.map { URL(filePath: $0) })
    }

    /// - Throws: `RequestError` for a net that is not there, `CommandError` for one that may be in a folder that this user may
    ///   not read.
    private static func net(
        _ name: String, of registry: ControlNetRegistry
    ) throws -> ControlNetRegistry.Entry {
        do { return try registry.find(name) } catch {
            guard registry.unreadable.isEmpty else {
                throw CommandError(.notFound, error.message)
            }
            throw error
        }
    }

    /// The controls of the options; every net is checked against the model before it is loaded.
    func controls(for model: ModelDirectory, precision: Precision) throws -> [ControlInput] {
        guard !control.isEmpty else { return [] }
        let registry = try controlNets(for: model)
        return try control.map(ControlOption.init).map { option in
            let entries = registry.entries
            guard !option.net.isEmpty || entries.count == 1 else {
                throw CommandError(
                    .usage,
                    "--control needs net=NAME"
                        + (entries.isEmpty
                            ? "; there is no ControlNet, name a file."
                            : ", one of \(entries.map(\.name).joined(separator: ", ")), or a file.")
                )
            }
            let isPath = option.net.contains("/")
            let name = isPath ? URL(filePath: option.net).lastPathComponent : option.net
            let net = option.net.isEmpty ? entries[0] : try Self.net(name, of: registry)
            _ = try ControlNetPlan(of: net.url, for: model, precision: precision)
            return try option.input(named: net.name)
        }
    }
}

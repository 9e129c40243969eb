// Part of Inkstone. Licence: see LICENSE.

import Foundation
package import ModelFiles

/// alpha of a LoRA file's layers, from the places where programs keep it beside the tensors.
///
/// In the order in which they count: `adapter_config.json` beside the file (PEFT), the entry `lora_adapter_metadata` of the
/// file's header (diffusers), its entries `lora_alpha`, `network_alpha` and `alpha` (other programs).
package struct AdapterMetadata {
    /// The factor of a layer, and what else was found.
    package struct Scaling: Sendable, Equatable {
        /// alpha / rank, 1 if nothing says.
        package var ratio: Double
        /// The place that says it; `nil` if none does.
        package var origin: String?
        /// The places that say something else.
        package var others: [String: Double]

        /// By default what is so if nothing says anything.
        package init(ratio: Double = 1, origin: String? = nil, others: [String: Double] = [:]) {
            self.ratio = ratio
            self.origin = origin
            self.others = others
        }
    }

    private var sources: [AdapterSettings] = []
    /// What was found and cannot be obeyed, in sentences.
    package private(set) var warnings: [String] = []

    /// Name of PEFT's configuration.
    package static let configurationName = "adapter_config.json"
    /// Entries of a header that are alpha itself.
    private static let numbers = ["lora_alpha", "network_alpha", "alpha"]

    /// Reads a header's entries and PEFT's configuration, if there is one.
    ///
    /// - Throws: `CheckpointError` for a configuration that is not a JSON object.
    package init(_ metadata: [String: String], configuration: [UInt8]? = nil)
        throws(CheckpointError)
    {
        if let configuration { sources.append(try Self.settings(configuration)) }
        if let text = metadata["lora_adapter_metadata"] {
            if case .object(let object)? = try? JSONValue(
                Array(text.utf8), options: .init(isLenient: true))
            {
                sources.append(Self.settings(object))
            } else {
                warnings.append(
                    "lora_adapter_metadata in the header is not a JSON object, and was not used.")
            }
        }
        for name in Self.numbers {
            guard let text = metadata[name], !["none", "null", ""].contains(text.lowercased())
            else { continue }
            if let alpha = Double(text), alpha.isFinite {
                sources.append(AdapterSettings(origin: "\(name) in the header", alpha: alpha))
            } else {
                warnings.append("\(name) in the header is not a number, and was not used.")
            }
        }
        warnings += sources.flatMap(\.warnings)
    }

    private static func settings(_ configuration: [UInt8]) throws(CheckpointError)
        -> AdapterSettings
    {
        guard
            case .object(let fields)? = try? JSONValue(
                configuration, options: .init(isLenient: true))
        else {
            throw CheckpointError(
                code: .badHeader,
                message: "\(configurationName) beside the LoRA file is not a JSON object.",
                remedy: "Get it again, or remove it: it has alpha, which scales the LoRA.")
        }
        return AdapterSettings(origin: configurationName, fields: fields)
    }

    /// Settings of the components in one object, whose keys begin with the component's name.
    private static func settings(_ object: [String: JSONValue]) -> AdapterSettings {
        var fields: [String: JSONValue] = [:]
        for prefix in ["text_encoder.", "transformer."] {
            for (key, value) in object where key.hasPrefix(prefix) {
                fields[String(key.dropFirst(prefix.count))] = value
            }
        }
        // Programs that train the transformer alone leave the component out.
        if fields.isEmpty { fields = object }
        return AdapterSettings(origin: "lora_adapter_metadata in the header", fields: fields)
    }

    /// Returns the factor of the layer `module`, whose factors have the given rank; 0 if they do not show it.
    package func scaling(module: String, rank: Int) -> Scaling {
        var result = Scaling()
        for source in sources {
            guard let ratio = source.ratio(module: module, rank: rank) else { continue }
            if result.origin == nil {
                result.ratio = ratio
                result.origin = source.origin
            } else if !isNear(ratio, result.ratio) {
                result.others[source.origin] = ratio
            }
        }
        return result
    }
}

/// Whether two factors differ by no more than the rounding of alpha in bf16.
func isNear(_ a: Double, _ b: Double) -> Bool { abs(a - b) <= max(abs(a), abs(b)) / 128 }

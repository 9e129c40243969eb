// Part of Inkstone. Licence: see LICENSE.

import ModelFiles

#if canImport(FoundationEssentials)
    package import FoundationEssentials
    import Foundation
#else
    package import Foundation
#endif

/// A LoRA file: thin matrices that change a model's weights.
///
/// Reads what diffusers and PEFT write, and the down/up names with `.alpha` tensors; keys may carry
/// any of the known prefixes.
package struct LoRAFile: Sendable {
    /// Which keys of a file found their layer.
    package struct Report: Sendable, Codable, Equatable {
        /// Name of the file.
        package var name: String
        /// Strength it was applied with.
        package var scale: Double
        /// Layers that were changed.
        package var matched: Int
        /// Keys that belong to no layer of this model.
        package var unmatched: [String]
    }

    private static let prefixes = [
        "base_model.model.", "model.diffusion_model.", "diffusion_model.", "transformer.",
        "lora_unet_", "lora_transformer_", "model.", "unet.",
    ]
    private static let suffixes: [(String, Half)] = [
        (".lora_A.default.weight", .down), (".lora_B.default.weight", .up),
        (".lora_A.weight", .down), (".lora_B.weight", .up), (".lora_A", .down),
        (".lora_B", .up), (".lora_down.weight", .down), (".lora_up.weight", .up),
        (".lora.down.weight", .down), (".lora.up.weight", .up), (".alpha", .alpha),
    ]

    private enum Half { case down, up, alpha }

    private struct Found {
        var down: StoredTensor?
        var up: StoredTensor?
        var alpha: Float?
        var keys: [String] = []
    }

    private let url: URL
    private let file: SafetensorsFile

    /// Opens a file.
    package init(url: URL) throws {
        self.url = url
        file = try SafetensorsFile(url: url)
    }

    /// Changes to the weights of a transformer.
    ///
    /// - Parameters:
    ///   - scale: strength; 1 applies the file as it was trained.
    ///   - shapes: shape of every weight of the model, by tensor name.
    /// - Returns: one term a changed weight, and what matched.
    /// - Throws: `CheckpointError` when no key matches, or a matching pair has the wrong shape.
    func deltas(
        scale: Double, shapes: [String: [Int]]
    ) throws -> (terms: [String: LowRankDelta.Term], report: Report) {
        let modules = Self.modules(of: shapes)
        var found: [String: Found] = [:]
        var unmatched: [String] = []
        for key in file.tensors.keys.sorted() {
            guard let (base, half) = Self.split(key), let module = Self.resolve(base, modules),
                let tensor = file.tensor(named: key)
            else {
                unmatched.append(key)
                continue
            }
            var entry = found[module] ?? Found()
            switch half {
            case .down: entry.down = tensor
            case .up: entry.up = tensor
            case .alpha: entry.alpha = try tensor.floats().first
            }
            entry.keys.append(key)
            found[module] = entry
        }
        let metadata = AdapterMetadata(file.metadata)
        var terms: [String: LowRankDelta.Term] = [:]
        for (module, entry) in found {
            guard let down = entry.down, let up = entry.up else {
                unmatched += entry.keys
                continue
            }
            terms[module] = try term(
                module, down: down, up: up, alpha: entry.alpha, metadata: metadata, scale: scale,
                shape: shapes[module] ?? [])
        }
        guard !terms.isEmpty else {
            let example = unmatched.first.map { ", such as '\($0)'" } ?? ""
            throw CheckpointError(
                code: .badTensor,
                message:
                    "LoRA file \(url.lastPathComponent) changes no layer of this model: none of"
                    + " its \(file.tensors.count) keys belongs to one\(example).",
                remedy: "Use a LoRA that was trained for Z-Image.")
        }
        let report = Report(
            name: url.lastPathComponent, scale: scale, matched: terms.count,
            unmatched: unmatched.sorted())
        return (terms, report)
    }

    private func term(
        _ module: String, down: StoredTensor, up: StoredTensor, alpha: Float?,
        metadata: AdapterMetadata, scale: Double, shape: [Int]
    ) throws -> LowRankDelta.Term {
        guard down.shape.count == 2, up.shape.count == 2, shape.count == 2, down.shape[0] > 0,
            down.shape[1] == shape[1], up.shape[0] == shape[0], up.shape[1] == down.shape[0]
        else {
            throw CheckpointError(
                code: .badTensor,
                message: "LoRA file \(url.lastPathComponent) has \(up.shape) x \(down.shape) for"
                    + " '\(module)', expected [\(shape.first ?? 0), r] x [r,"
                    + " \(shape.last ?? 0)].",
                remedy: "Use a LoRA that was trained for a model of this size.")
        }
        let rank = down.shape[0]
        let ratio: Double
        if let alpha {
            ratio = Double(alpha) / Double(rank)
        } else {
            let name = String(module.dropLast(".weight".count))
            ratio = metadata.ratio(module: name, rank: rank)
        }
        return LowRankDelta.Term(
            up: try up.floats(), down: try down.floats(), rank: rank,
            factor: Float(scale * ratio))
    }

    // MARK: - Keys

    private static func modules(of shapes: [String: [Int]]) -> [String: String] {
        var modules: [String: String] = [:]
        for name in shapes.keys where name.hasSuffix(".weight") {
            let module = String(name.dropLast(".weight".count))
            modules[module] = name
            modules[module.map { $0 == "." ? "_" : String($0) }.joined()] = name
        }
        return modules
    }

    private static func split(_ key: String) -> (base: String, half: Half)? {
        for (suffix, half) in suffixes where key.hasSuffix(suffix) {
            return (String(key.dropLast(suffix.count)), half)
        }
        return nil
    }

    /// Strips up to two known prefixes; never guesses where an underscore was a dot.
    private static func resolve(_ base: String, _ modules: [String: String]) -> String? {
        var candidates = [base]
        for _ in 0..<2 {
            candidates += candidates.flatMap { candidate in
                prefixes.filter { candidate.hasPrefix($0) }.map {
                    String(candidate.dropFirst($0.count))
                }
            }
        }
        return candidates.lazy.compactMap { modules[$0] }.first
    }
}

/// Where diffusers and PEFT keep alpha: a JSON text in the file's metadata.
private struct AdapterMetadata {
    private var fields: [String: Any] = [:]

    init(_ metadata: [String: String]) {
        guard let text = metadata["lora_adapter_metadata"],
            let object = try? JSONSerialization.jsonObject(with: Data(text.utf8))
                as? [String: Any]
        else { return }
        for (key, value) in object where key.hasPrefix("transformer.") {
            fields[String(key.dropFirst("transformer.".count))] = value
        }
    }

    /// alpha / rank of a module; 1 where the file is silent.
    func ratio(module: String, rank: Int) -> Double {
        // The longest name that fits is the most exact one; a dictionary has no order to go by.
        let pattern = (fields["alpha_pattern"] as? [String: Any])?
            .filter { module == $0.key || module.hasSuffix(".\($0.key)") }
            .max { ($0.key.count, $0.key) < ($1.key.count, $1.key) }?.value
        guard let alpha = number(pattern) ?? number(fields["lora_alpha"]) else { return 1 }
        let root = (fields["use_rslora"] as? Bool) == true
        return root ? alpha / Double(rank).squareRoot() : alpha / Double(rank)
    }

    private func number(_ value: Any?) -> Double? {
        (value as? NSNumber)?.doubleValue
    }
}

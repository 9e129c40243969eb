// Part of Inkstone. Licence: see LICENSE.

import ModelFiles

/// The JSON text in a file's metadata where diffusers and PEFT store alpha.
package struct AdapterMetadata {
    private var fields: [String: JSONValue] = [:]

    /// Reads the text among a file's metadata, if there is one.
    package init(_ metadata: [String: String]) {
        guard let text = metadata["lora_adapter_metadata"],
            case .object(let object)? = try? JSONValue(
                Array(text.utf8), options: .init(isLenient: true))
        else { return }
        for prefix in ["text_encoder.", "transformer."] {
            for (key, value) in object where key.hasPrefix(prefix) {
                fields[String(key.dropFirst(prefix.count))] = value
            }
        }
    }

    /// Returns alpha / rank of a module, 1 if the file does not say.
    ///
    /// - Complexity: linear in the parts of the module's name, however many patterns a file has.
    package func ratio(module: String, rank: Int) -> Double {
        var patterns: [String: JSONValue] = [:]
        if case .object(let object)? = fields["alpha_pattern"] { patterns = object }
        // The longest matching name is the most specific one.
        var name = module[...]
        while patterns[String(name)] == nil, let dot = name.firstIndex(of: ".") {
            name = name[name.index(after: dot)...]
        }
        let pattern = patterns[String(name)]
        guard let alpha = number(pattern) ?? number(fields["lora_alpha"]) else { return 1 }
        let root = fields["use_rslora"] == .bool(true)
        return root ? alpha / Double(rank).squareRoot() : alpha / Double(rank)
    }

    private func number(_ value: JSONValue?) -> Double? {
        switch value {
        case .integer(let number): Double(number)
        case .number(let number): number
        default: nil
        }
    }
}

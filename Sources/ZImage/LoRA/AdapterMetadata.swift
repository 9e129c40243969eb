// Part of Inkstone. Licence: see LICENSE.

import ModelFiles

/// The JSON text in a file's metadata where diffusers and PEFT store alpha.
struct AdapterMetadata {
    private var fields: [String: JSONValue] = [:]

    init(_ metadata: [String: String]) {
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
    func ratio(module: String, rank: Int) -> Double {
        // The longest matching name is the most specific one; a dictionary has no order.
        var patterns: [String: JSONValue] = [:]
        if case .object(let object)? = fields["alpha_pattern"] { patterns = object }
        let pattern = patterns.filter { module == $0.key || module.hasSuffix(".\($0.key)") }
            .max { ($0.key.count, $0.key) < ($1.key.count, $1.key) }?.value
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

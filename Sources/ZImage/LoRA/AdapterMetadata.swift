// Part of Inkstone. Licence: see LICENSE.

import Foundation

/// The JSON text in a file's metadata where diffusers and PEFT store alpha.
struct AdapterMetadata {
    private var fields: [String: Any] = [:]

    init(_ metadata: [String: String]) {
        guard let text = metadata["lora_adapter_metadata"],
            let object = try? JSONSerialization.jsonObject(with: Data(text.utf8))
                as? [String: Any]
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

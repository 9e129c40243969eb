// Part of Inkstone. Licence: see LICENSE.

#if canImport(FoundationEssentials)
    import FoundationEssentials
    import Foundation
#else
    import Foundation
#endif

/// Where diffusers and PEFT keep alpha: a JSON text in the file's metadata.
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

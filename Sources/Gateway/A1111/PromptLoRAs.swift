// Part of Inkstone. Licence: see LICENSE.

import Catalog
import ModelFiles
import Parameters

/// A prompt with `<lora:NAME:SCALE>` in it, as users of A1111 write: the text without, and the files.
struct PromptLoRAs {
    /// The prompt without the tags.
    private(set) var text = ""
    /// In the order of the prompt.
    private(set) var loras: [LoRAScale] = []

    /// - Throws: `APIError` for a scale that is not a number, for too many tags, and for unknown names.
    /// - Complexity: linear in the length of the prompt.
    init(_ prompt: String, registry: LoRARegistry) throws(APIError) {
        var names: [NamedLoRA] = []
        var rest = prompt[...]
        while let start = rest.utf8.firstRange(of: "<lora:".utf8),
            let end = rest[start.upperBound...].utf8.firstIndex(of: UInt8(ascii: ">"))
        {
            // The blank before a tag is removed with it.
            var before = rest[..<start.lowerBound]
            let inside = rest[start.upperBound..<end]
            rest = rest[rest.utf8.index(after: end)...]
            if before.utf8.last == UInt8(ascii: " "),
                rest.isEmpty || [UInt8(ascii: " "), UInt8(ascii: ",")].contains(rest.utf8.first)
            {
                before = before[..<before.utf8.index(before: before.endIndex)]
            }
            text += before
            names.append(try NamedLoRA(tag: inside))
            try NamedLoRA.check(count: names.count)
        }
        text += rest
        loras = try registry.choices(names)
        if !loras.isEmpty, text.utf8.first == UInt8(ascii: " ") { text.removeFirst() }
    }
}

extension NamedLoRA {
    /// Reads the inside of a tag: a name, and a scale behind a colon.
    fileprivate init(tag: Substring) throws(APIError) {
        let parts = tag.utf8.split(
            separator: UInt8(ascii: ":"), maxSplits: 2, omittingEmptySubsequences: false
        ).map { String(Substring($0)) }
        var scale: Double?
        if parts.count > 1 {
            guard parts[1].utf8.count <= 64, let number = Double(parts[1]), number.isFinite else {
                throw .invalid(
                    "prompt",
                    "<lora:NAME:SCALE> must have a number such as 0.8 as its scale, got"
                        + " \(JSONValue.string(parts[1]).summary).")
            }
            scale = number
        }
        self.init(name: parts[0], scale: scale)
    }
}

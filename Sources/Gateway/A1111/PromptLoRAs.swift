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

    /// - Throws: `APIError` for a scale that is not a number, and for unknown names.
    init(_ prompt: String, registry: LoRARegistry) throws(APIError) {
        var rest = prompt[...]
        while let start = rest.firstRange(of: "<lora:"),
            let end = rest[start.upperBound...].firstIndex(of: ">")
        {
            // The blank before a tag is removed with it.
            var before = rest[..<start.lowerBound]
            rest = rest[rest.index(after: end)...]
            if before.last == " ", rest.isEmpty || rest.first == " " || rest.first == "," {
                before.removeLast()
            }
            text += before
            let inside = prompt[start.upperBound..<end].split(
                separator: ":", omittingEmptySubsequences: false)
            var scale: Double?
            if inside.count > 1 {
                guard let number = Double(inside[1]), number.isFinite else {
                    throw .invalid(
                        "prompt",
                        "<lora:NAME:SCALE> must have a number such as 0.8 as its scale, got"
                            + " \(JSONValue.string(String(inside[1])).summary).")
                }
                scale = number
            }
            loras.append(try registry.choice(String(inside[0]), scale: scale))
        }
        text += rest
        if !loras.isEmpty, text.first == " " { text.removeFirst() }
    }
}

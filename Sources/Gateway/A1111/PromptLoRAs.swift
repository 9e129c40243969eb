// Part of Inkstone. Licence: see LICENSE.

import Catalog
import ModelFiles
import Parameters

/// A prompt with `<lora:NAME:SCALE>` or `<lyco:NAME:SCALE>` in it, as users of A1111 write: the text without, and the
/// files.
struct PromptLoRAs {
    /// The prompt without the tags.
    private(set) var text = ""
    /// In the order of the prompt.
    private(set) var names: [NamedLoRA] = []

    /// - Throws: `APIError` for a scale that is not a number, and for too many tags.
    /// - Complexity: linear in the length of the prompt.
    init(_ prompt: String) throws(APIError) {
        var rest = prompt[...]
        while let start = Self.tagStart(in: rest),
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
        if !names.isEmpty, text.utf8.first == UInt8(ascii: " ") { text.removeFirst() }
    }

    /// The next beginning of a tag.
    private static func tagStart(in text: Substring) -> Range<Substring.Index>? {
        ["<lora:", "<lyco:"].compactMap { text.utf8.firstRange(of: $0.utf8) }
            .min { $0.lowerBound < $1.lowerBound }
    }
}

extension NamedLoRA {
    /// Reads the inside of a tag as A1111 does: a name, and behind colons the scale of the text encoder, that of the
    /// transformer, which is the same if it is left out, and a rank; or the same as `te=`, `unet=`, `dyn=`.
    fileprivate init(tag: Substring) throws(APIError) {
        let parts = tag.utf8.split(
            separator: UInt8(ascii: ":"), maxSplits: 8, omittingEmptySubsequences: false
        ).map { String(Substring($0)) }
        var values: [String: String] = [:]
        var names = ["te", "unet", "dyn"][...]
        for part in parts.dropFirst() {
            let pair = part.utf8.split(separator: UInt8(ascii: "="), maxSplits: 1).map {
                String(Substring($0))
            }
            if pair.count == 2, ["te", "unet", "dyn"].contains(pair[0]) {
                values[pair[0]] = pair[1]
            } else if let name = names.popFirst(), !part.contains("=") {
                values[name] = part
            } else {
                throw Self.invalid(
                    "has \(JSONValue.string(part).summary), which is not one of its parts")
            }
        }
        guard values["dyn"].map({ ["", "none", "0"].contains($0.lowercased()) }) ?? true else {
            throw Self.invalid(
                "asks for another rank (dyn), which this server cannot change; leave it out")
        }
        let text = try Self.number(values["te"])
        let scale = try Self.number(values["unet"]) ?? text
        // Without a scale of the text encoder, A1111's is 1.
        self.init(name: parts[0], scale: scale, textScale: scale == nil ? nil : text ?? 1)
    }

    private static func number(_ text: String?) throws(APIError) -> Double? {
        guard let text else { return nil }
        guard text.utf8.count <= 64, let number = Double(text), number.isFinite else {
            throw invalid(
                "must have a number such as 0.8 as its scale, got \(JSONValue.string(text).summary)"
            )
        }
        return number
    }

    private static func invalid(_ sentence: String) -> APIError {
        .invalid("prompt", "<lora:NAME:SCALE> \(sentence).")
    }
}

// Part of Inkstone. Licence: see LICENSE.

import Catalog
import Foundation
import HTTPTypes
import ModelFiles
import Parameters

/// A LoRA file as a request names it; without a scale it has the file's own.
struct NamedLoRA {
    /// LoRA files of one request, before the model's own limit is applied.
    static let maximumCount = 100

    let name: String
    let scale: Double?
    /// The scale of its changes of the text encoder, if it is another.
    let textScale: Double?

    init(name: String, scale: Double?, textScale: Double? = nil) {
        self.name = name
        self.scale = scale
        self.textScale = textScale
    }

    /// - Throws: `APIError` 400 for more files than a request may name.
    static func check(count: Int) throws(APIError) {
        guard count <= maximumCount else {
            throw .invalid("loras", "loras must have at most \(maximumCount) entries, got more.")
        }
    }
}

extension RequestFields {
    /// The LoRA files that a request names, or `nil` if it has no such field.
    ///
    /// `loras` is an array of objects `{"name": .., "scale": ..}` or of texts `NAME:SCALE`; in forms it
    /// is the same as a text, or `NAME:SCALE, NAME`. Without a scale a file has the registry's. An object may
    /// have another scale for the text encoder, `text_scale`.
    ///
    /// - Throws: `APIError` for another format, for too many files, and for unknown names.
    func loras(of registry: LoRARegistry) throws(APIError) -> [LoRAScale]? {
        guard let (field, value) = first("loras", "lora") else { return nil }
        let wanted = "an array of objects such as {\"name\": \"pixel\", \"scale\": 0.8}"
        let rows: [JSONValue]
        switch value {
        case .array(let values): rows = values
        case .string(let text) where text.isEmpty: return nil
        case .string(let text):
            if text.utf8.first == UInt8(ascii: "[") {
                guard
                    case .array(let values)? = try? JSONValue(client: Array(text.utf8))
                else { throw wrong(field, wanted, value) }
                rows = values
            } else {
                rows = text.utf8.split(
                    separator: UInt8(ascii: ","), maxSplits: NamedLoRA.maximumCount
                ).map { .string(String(Substring($0).trimming(" "))) }
            }
        default: throw wrong(field, wanted, value)
        }
        try NamedLoRA.check(count: rows.count)
        var names: [NamedLoRA] = []
        for row in rows { names.append(try named(row, in: field)) }
        return try registry.choices(names)
    }

    /// Reads an entry of the list.
    private func named(_ row: JSONValue, in field: String) throws(APIError) -> NamedLoRA {
        switch row {
        case .string(let text):
            let parts = text.utf8.split(
                separator: UInt8(ascii: ":"), maxSplits: 2, omittingEmptySubsequences: false
            ).map { String(Substring($0)) }
            guard parts.count > 1 else { return NamedLoRA(name: text, scale: nil) }
            guard parts.count == 2, parts[1].utf8.count <= 64, let number = Double(parts[1]),
                number.isFinite
            else { throw wrong("an entry of \(field)", "NAME or NAME:SCALE", row) }
            return NamedLoRA(name: parts[0], scale: number)
        case .object(let fields):
            let scale = try scale(fields["scale"] ?? fields["weight"] ?? fields["strength"])
            guard case .string(let name)? = fields["name"] else { break }
            return NamedLoRA(
                name: name, scale: scale, textScale: try self.scale(fields["text_scale"]))
        default: break
        }
        throw wrong("an entry of \(field)", "a name or an object", row)
    }

    private func scale(_ value: JSONValue?) throws(APIError) -> Double? {
        guard let value, value != .null else { return nil }
        guard let number = value.asNumber else {
            throw wrong("the scale of a LoRA", "a number", value)
        }
        return number
    }
}

extension LoRARegistry {
    /// Files by their names, each with its own scale where the request has none.
    ///
    /// The folders are listed once, whatever the number of names.
    ///
    /// - Throws: `APIError` 400 that lists the names there are.
    func choices(_ names: [NamedLoRA]) throws(APIError) -> [LoRAScale] {
        guard !names.isEmpty else { return [] }
        let listing = listing
        let scales = Dictionary(listing.offers.map { ($0.name, $0.scale) }) { first, _ in first }
        var choices: [LoRAScale] = []
        for named in names {
            let name = listing.name(for: named.name)
            guard LoRAScale.isName(name), let scale = scales[name] else {
                throw APIError(
                    .badRequest, code: "lora_not_found", parameter: "loras",
                    unknown(named.name, listing).message)
            }
            choices.append(
                LoRAScale(name, scale: named.scale ?? scale, textScale: named.textScale))
        }
        return choices
    }
}

// Part of Inkstone. Licence: see LICENSE.

import Catalog
import Foundation
import HTTPTypes
import ModelFiles
import Parameters

extension RequestFields {
    /// The LoRA files that a request names, or `nil` if it has no such field.
    ///
    /// `loras` is an array of objects `{"name": .., "scale": ..}` or of texts `NAME:SCALE`; in forms it
    /// is the same as a text, or `NAME:SCALE, NAME`. Without a scale a file has the registry's.
    ///
    /// - Throws: `APIError` for another format, and for unknown names.
    func loras(of registry: LoRARegistry) throws(APIError) -> [LoRAScale]? {
        guard let (field, value) = first("loras", "lora") else { return nil }
        let wanted = "an array of objects such as {\"name\": \"pixel\", \"scale\": 0.8}"
        var rows: [JSONValue]
        switch value {
        case .array(let values): rows = values
        case .string(let text) where text.isEmpty: return nil
        case .string(let text):
            if text.hasPrefix("[") {
                guard
                    case .array(let values)? = try? JSONValue(client: Array(text.utf8))
                else { throw wrong(field, wanted, value) }
                rows = values
            } else {
                rows = text.split(separator: ",").map { .string($0.trimming(" ")) }
            }
        default: throw wrong(field, wanted, value)
        }
        var choices: [LoRAScale] = []
        for row in rows {
            var name: String?
            var scale: Double?
            switch row {
            case .string(let text):
                let parts = text.split(separator: ":", omittingEmptySubsequences: false)
                name = String(parts[0])
                guard parts.count > 1 else { break }
                guard parts.count == 2, let number = Double(parts[1]), number.isFinite else {
                    throw wrong("an entry of \(field)", "NAME or NAME:SCALE", row)
                }
                scale = number
            case .object(let fields):
                if case .string(let text)? = fields["name"] { name = text }
                switch fields["scale"] ?? fields["weight"] ?? fields["strength"] {
                case .integer(let number)?: scale = Double(number)
                case .number(let number)?: scale = number
                case nil, .null?: break
                case let other?: throw wrong("the scale of a LoRA", "a number", other)
                }
            default: break
            }
            guard let name else { throw wrong("an entry of \(field)", "a name or an object", row) }
            choices.append(try registry.choice(name, scale: scale))
        }
        return choices
    }
}

extension LoRARegistry {
    /// A file by its name, with the file's own scale if `scale` is `nil`.
    ///
    /// - Throws: `APIError` 400 that lists the names there are.
    func choice(_ name: String, scale: Double?) throws(APIError) -> LoRAScale {
        do throws(RequestError) {
            let offer = try offer(name)
            return LoRAScale(offer.name, scale: scale ?? offer.scale)
        } catch {
            throw APIError(
                .badRequest, code: "lora_not_found", parameter: error.field, error.message)
        }
    }
}

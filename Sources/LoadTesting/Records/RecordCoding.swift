// Part of Inkstone. Licence: see LICENSE.

package import Foundation

/// The JSON of result folders: sorted `snake_case` names, no NaN and no infinity.
package enum RecordCoding {
    /// Encodes on one line, for `requests.jsonl` and `plan.jsonl`.
    package static func line(_ value: some Encodable) throws -> Data {
        try encoder([.sortedKeys, .withoutEscapingSlashes]).encode(value)
    }

    /// Encodes values as JSON lines.
    package static func lines(_ values: [some Encodable]) throws -> Data {
        var data = Data()
        for value in values {
            data.append(try line(value))
            data.append(UInt8(ascii: "\n"))
        }
        return data
    }

    /// Encodes on many lines, for people.
    package static func document(_ value: some Encodable) throws -> Data {
        var data = try encoder([.prettyPrinted, .sortedKeys, .withoutEscapingSlashes]).encode(value)
        data.append(UInt8(ascii: "\n"))
        return data
    }

    /// Decodes either form.
    package static func decode<T: Decodable>(_ type: T.Type, from data: Data) throws -> T {
        let decoder = JSONDecoder()
        decoder.keyDecodingStrategy = .convertFromSnakeCase
        return try decoder.decode(type, from: data)
    }

    private static func encoder(_ format: JSONEncoder.OutputFormatting) -> JSONEncoder {
        let encoder = JSONEncoder()
        encoder.outputFormatting = format
        encoder.keyEncodingStrategy = .convertToSnakeCase
        return encoder
    }
}

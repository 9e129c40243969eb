// Part of Inkstone. Licence: see LICENSE.

package import Foundation

/// JSON as the result folder has it: `snake_case` names, sorted, no NaN and no infinity.
package enum RecordCoding {
    /// One line, for `requests.jsonl` and `plan.jsonl`.
    package static func line(_ value: some Encodable) throws -> Data {
        try encoder([.sortedKeys, .withoutEscapingSlashes]).encode(value)
    }

    /// Many lines, for people.
    package static func document(_ value: some Encodable) throws -> Data {
        var data = try encoder([.prettyPrinted, .sortedKeys, .withoutEscapingSlashes]).encode(value)
        data.append(UInt8(ascii: "\n"))
        return data
    }

    /// Reads either.
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

// Part of Inkstone. Licence: see LICENSE.

import Foundation
import ModelFiles

extension VocabularyBuilder {
    /// Calls `body` with the bytes of a file.
    static func scan<Result>(
        _ bytes: [UInt8],
        _ file: String,
        _ body: (UnsafeRawBufferPointer) throws -> Result
    ) throws(TokenizerError) -> Result {
        do {
            return try bytes.withUnsafeBytes(body)
        } catch let error as TokenizerError {
            throw error
        } catch let error as JSONSyntaxError {
            throw .malformed("\(file) at byte \(error.offset): \(error.reason).")
        } catch {
            throw .malformed("\(file) cannot be read: \(error).")
        }
    }

    /// Positions of values in a file.
    typealias Parts = [String: Range<Int>]

    /// Reads the object at the top of `tokenizer.json`.
    ///
    /// - Returns: the positions of its members, and those of the members of `model`.
    static func parts(
        _ bytes: UnsafeRawBufferPointer
    ) throws(JSONSyntaxError) -> (all: Parts, model: Parts?) {
        var (all, model): (Parts, Parts?) = ([:], nil)
        var scanner = JSONScanner(bytes)
        try scanner.object { (scanner, name) throws(JSONSyntaxError) in
            if name != "model" {
                all[name] = try scanner.skip()
                return
            }
            var members: Parts = [:]
            try scanner.object { (scanner, name) throws(JSONSyntaxError) in
                members[name] = try scanner.skip()
            }
            model = members
        }
        try scanner.expectEnd()
        return (all, model)
    }

    /// Decodes a part of a file.
    static func decode<T: Decodable>(
        _ type: T.Type,
        _ bytes: ArraySlice<UInt8>,
        _ place: String
    ) throws(TokenizerError) -> T {
        do {
            return try JSONDecoder().decode(type, from: Data(bytes))
        } catch let error as DecodingError {
            throw .malformed("\(place) cannot be read: \(reason(error)).")
        } catch {
            throw .malformed("\(place) cannot be read: \(error.localizedDescription).")
        }
    }

    /// Returns the reason of a decoding error as a clause.
    private static func reason(_ error: DecodingError) -> String {
        func path(_ context: DecodingError.Context) -> String {
            let names = context.codingPath.map { $0.intValue.map(String.init) ?? $0.stringValue }
            return names.isEmpty ? "" : " in " + names.joined(separator: ".")
        }
        switch error {
        case .keyNotFound(let key, let context):
            return "expected '\(key.stringValue)'\(path(context)), found none"
        case .typeMismatch(let type, let context), .valueNotFound(let type, let context):
            return "expected \(type)\(path(context)), found something else"
        default:
            return "expected JSON, found bytes that are not"
        }
    }
}

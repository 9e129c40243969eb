// Part of Inkstone. Licence: see LICENSE.

import Foundation
import HTTPTypes
import ModelFiles

/// The fields of a client's JSON object, read with errors that name the field.
///
/// `null` counts as absent, unknown fields are ignored, and each reader accepts aliases: the first
/// one that is present counts.
struct RequestFields {
    private let values: [String: JSONValue]
    /// Fields of a form are all text: numbers and truth values are read from it.
    private let isForm: Bool

    /// Reads a request body.
    ///
    /// Some clients put every extra parameter into `kwargs`, a string that holds JSON; its fields
    /// count if the body itself does not have them.
    ///
    /// - Throws: `APIError` 400 that describes the error in the document.
    init(json body: [UInt8]) throws(APIError) {
        guard !body.isEmpty else {
            throw APIError(
                .badRequest, code: "invalid_json",
                "The body is empty; send a JSON object such as {\"prompt\": \"a red apple\"}.")
        }
        var values = try Self.object(body, name: "The body")
        if case .string(let text)? = values["kwargs"], !text.isEmpty {
            let extra = try Self.object(Array(text.utf8), name: "kwargs")
            values.merge(extra) { own, extra in own == .null ? extra : own }
        }
        self.values = values
        isForm = false
    }

    /// Fields that were read by other means.
    init(_ values: [String: JSONValue]) {
        self.values = values
        isForm = false
    }

    /// Reads the fields of a form; `kwargs` counts as in `init(json:)`.
    ///
    /// - Throws: `APIError` 400 when `kwargs` is not a JSON object.
    init(form fields: [String: String]) throws(APIError) {
        var values = fields.mapValues { $0.isEmpty ? JSONValue.null : .string($0) }
        if case .string(let text)? = values["kwargs"] {
            let extra = try Self.object(Array(text.utf8), name: "kwargs")
            values.merge(extra) { own, extra in own == .null ? extra : own }
        }
        self.values = values
        isForm = true
    }

    private static func object(
        _ document: [UInt8], name: String
    ) throws(APIError) -> [String: JSONValue] {
        let value: JSONValue
        do {
            value = try JSONValue(client: document)
        } catch {
            throw APIError(.badRequest, code: "invalid_json", refusal(error, name: name))
        }
        guard case .object(let fields) = value else {
            throw APIError(
                .badRequest, code: "invalid_json",
                "\(name) must be a JSON object, got \(value.summary).")
        }
        return fields
    }

    private static func refusal(_ error: JSONSyntaxError, name: String) -> String {
        switch error.kind {
        case .syntax: "\(name) must be a JSON object, and is not valid JSON."
        case .nesting: "\(name) must nest at most \(JSONValue.maximumDepth) levels of JSON."
        case .valueCount:
            "\(name) must hold at most \(JSONValue.maximumValues) values of JSON, found more."
        case .keyLength:
            "The keys of \(name.lowercased()) must have at most \(JSONValue.maximumKeyBytes) bytes."
        }
    }

    /// The first alias that is present, with its name.
    func first(_ names: String...) -> (name: String, value: JSONValue)? {
        first(names)
    }

    private func first(_ names: [String]) -> (name: String, value: JSONValue)? {
        for name in names {
            if let value = values[name], value != .null { return (name, value) }
        }
        return nil
    }

    /// Bytes of the longest text that is compared with others: names, choices, numbers in forms.
    static let maximumStringBytes = 4096

    /// Text of at most `maximumStringBytes`, or `nil` if absent.
    func string(_ names: String...) throws(APIError) -> String? {
        guard let (name, value) = first(names) else { return nil }
        guard case .string(let text) = value else { throw wrong(name, "a string", value) }
        guard text.utf8.count <= Self.maximumStringBytes else {
            throw .invalid(
                name,
                "\(name) must have at most \(Self.maximumStringBytes) bytes, got"
                    + " \(text.utf8.count).")
        }
        return text
    }

    /// Text of any length, such as a prompt or a file in base64, or `nil` if absent.
    func text(_ names: String...) throws(APIError) -> String? {
        guard let (name, value) = first(names) else { return nil }
        guard case .string(let text) = value else { throw wrong(name, "a string", value) }
        return text
    }

    /// Bytes of the longest number in a form.
    private static let maximumNumberBytes = 1024

    /// A whole number; `8.0` is accepted as one, `"8"` is not.
    func integer(_ names: String...) throws(APIError) -> Int64? {
        guard let (name, value) = first(names) else { return nil }
        switch value {
        case .integer(let number): return number
        case .number(let number):
            if let exact = Int64(exactly: number) { return exact }
        case .string(let text) where isForm && text.utf8.count <= Self.maximumNumberBytes:
            if let number = Int64(text) { return number }
        default: break
        }
        throw wrong(name, "an integer", value)
    }

    /// A number.
    func number(_ names: String...) throws(APIError) -> Double? {
        guard let (name, value) = first(names) else { return nil }
        switch value {
        case .integer(let number): return Double(number)
        case .number(let number): return number
        case .string(let text) where isForm && text.utf8.count <= Self.maximumNumberBytes:
            if let number = Double(text), number.isFinite { return number }
        default: break
        }
        throw wrong(name, "a number", value)
    }

    /// A list of numbers; in a form they are separated by commas.
    func numbers(_ name: String) throws(APIError) -> [Double]? {
        guard let (name, value) = first(name) else { return nil }
        let entries: [JSONValue]
        switch value {
        case .array(let values): entries = values
        case .string(let text) where isForm && text.utf8.count <= Self.maximumStringBytes:
            entries = text.utf8.split(separator: UInt8(ascii: ",")).map {
                .string(String(Substring($0).drop { $0 == " " }))
            }
        default: throw wrong(name, "an array of numbers", value)
        }
        var numbers: [Double] = []
        for entry in entries {
            switch entry {
            case .integer(let number): numbers.append(Double(number))
            case .number(let number): numbers.append(number)
            case .string(let text) where isForm && Double(text)?.isFinite == true:
                numbers.append(Double(text) ?? 0)
            default: throw wrong("an entry of \(name)", "a number", entry)
            }
        }
        return numbers
    }

    /// A truth value.
    func bool(_ names: String...) throws(APIError) -> Bool? {
        guard let (name, value) = first(names) else { return nil }
        switch value {
        case .bool(let flag): return flag
        case .string(let text)
        where isForm && text.utf8.count <= 5 && ["true", "false"].contains(text.lowercased()):
            return text.lowercased() == "true"
        default: throw wrong(name, "true or false", value)
        }
    }

    /// A list of texts.
    func texts(_ name: String) throws(APIError) -> [String]? {
        guard let (name, value) = first(name) else { return nil }
        guard case .array(let values) = value else { throw wrong(name, "an array of texts", value) }
        var texts: [String] = []
        for value in values {
            guard case .string(let text) = value, text.utf8.count <= Self.maximumStringBytes else {
                throw wrong(
                    "an entry of \(name)", "a string of at most \(Self.maximumStringBytes) bytes",
                    value)
            }
            texts.append(text)
        }
        return texts
    }

    /// One of a few words.
    func choice(_ name: String, of words: [String]) throws(APIError) -> String? {
        guard let text = try string(name) else { return nil }
        guard words.contains(text) else {
            throw .invalid(
                name,
                "\(name) must be one of \(words.joined(separator: ", ")), got"
                    + " \(JSONValue.string(text).summary).")
        }
        return text
    }

    /// The error for a value of the wrong type.
    func wrong(_ name: String, _ expected: String, _ value: JSONValue) -> APIError {
        APIError(
            .badRequest, code: "invalid_type", parameter: name,
            "\(name) must be \(expected), got \(value.summary).")
    }
}

// Part of Inkstone. Licence: see LICENSE.

import Foundation
import HTTPTypes
import ModelFiles

/// The fields of a client's JSON object, read with errors that name the field.
///
/// `null` counts as absent, unknown fields are ignored, and each reader accepts aliases: the first
/// one that is present counts.
struct RequestFields {
    /// How numbers and truth values may be written.
    enum Dialect: Sendable {
        /// As JSON has them.
        case json
        /// As text: all fields of a form are.
        case form
        /// As A1111's server takes them, which is pydantic's conversion: text as well as numbers, and truth values and
        /// numbers for each other.
        case pydantic
    }

    private let values: [String: JSONValue]
    /// How numbers and truth values may be written.
    let dialect: Dialect

    /// Reads a request body.
    ///
    /// Some clients put every extra parameter into `kwargs`, a string that holds JSON; its fields
    /// count if the body itself does not have them.
    ///
    /// - Throws: `APIError` 400 that describes the error in the document, and 415 for a compressed one.
    init(json body: [UInt8], dialect: Dialect = .json) throws(APIError) {
        self.init(try Self.merged(JSONBody.object(body)), dialect: dialect)
    }

    /// Fields that were read by other means.
    init(_ values: [String: JSONValue], dialect: Dialect = .json) {
        self.values = values
        self.dialect = dialect
    }

    /// Reads the fields of a form; `kwargs` counts as in `init(json:)`.
    ///
    /// - Throws: `APIError` 400 when `kwargs` is not a JSON object.
    init(form fields: [String: String]) throws(APIError) {
        self.init(
            try Self.merged(fields.mapValues { $0.isEmpty ? .null : .string($0) }), dialect: .form)
    }

    /// The fields of an object among the values, written as these are.
    func part(_ object: [String: JSONValue]) -> RequestFields {
        RequestFields(object, dialect: dialect)
    }

    /// The fields without some of them.
    func without(_ names: Set<String>) -> RequestFields {
        RequestFields(values.filter { !names.contains($0.key) }, dialect: dialect)
    }

    /// The fields with a prompt if they have none.
    func withPrompt(_ prompt: String) -> RequestFields {
        if case .string(let own)? = values["prompt"], !own.isEmpty { return self }
        return RequestFields(
            values.merging(["prompt": .string(prompt)]) { $1 }, dialect: dialect)
    }

    /// The fields with those in `kwargs`.
    private static func merged(
        _ fields: [String: JSONValue]
    ) throws(APIError) -> [String: JSONValue] {
        guard case .string(let text)? = fields["kwargs"], !text.isEmpty else { return fields }
        let extra = try JSONBody.object(Array(text.utf8), name: "kwargs")
        return fields.merging(extra) { own, extra in own == .null ? extra : own }
    }

    /// The first alias that is present, with its name.
    func first(_ names: String...) -> (name: String, value: JSONValue)? {
        first(names)
    }

    /// The first alias that is present, with its name.
    func first(_ names: [String]) -> (name: String, value: JSONValue)? {
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
        guard let text = plainText(value) else { throw wrong(name, "a string", value) }
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
        guard let text = plainText(value) else { throw wrong(name, "a string", value) }
        return text
    }

    /// A text; pydantic's conversion makes one of a number.
    private func plainText(_ value: JSONValue) -> String? {
        switch value {
        case .string(let text): text
        case .integer(let number) where dialect == .pydantic: "\(number)"
        case .number(let number) where dialect == .pydantic: "\(number)"
        default: nil
        }
    }

    /// Bytes of the longest number that is written as text.
    private static let maximumNumberBytes = 1024

    /// A number that is written as text, where that is possible.
    private func digits(_ value: JSONValue) -> String? {
        guard dialect != .json, case .string(let text) = value,
            text.utf8.count <= Self.maximumNumberBytes
        else { return nil }
        return text.trimming(" \t\r\n")
    }

    /// A whole number; `8.0` is accepted as one, `"8"` in JSON is not.
    func integer(_ names: String...) throws(APIError) -> Int64? {
        guard let (name, value) = first(names) else { return nil }
        switch value {
        case .integer(let number): return number
        case .number(let number):
            if let exact = Int64(exactly: number) { return exact }
        case .bool(let flag) where dialect == .pydantic: return flag ? 1 : 0
        default: if let number = digits(value).flatMap({ Int64($0) }) { return number }
        }
        throw wrong(name, "an integer", value)
    }

    /// A number.
    func number(_ names: String...) throws(APIError) -> Double? {
        guard let (name, value) = first(names) else { return nil }
        guard let number = number(value) else { throw wrong(name, "a number", value) }
        return number
    }

    private func number(_ value: JSONValue) -> Double? {
        if let number = value.asNumber { return number }
        if case .bool(let flag) = value, dialect == .pydantic { return flag ? 1 : 0 }
        return digits(value).flatMap { Double($0) }.flatMap { $0.isFinite ? $0 : nil }
    }

    /// A list of numbers; in a form they are separated by commas.
    func numbers(_ name: String) throws(APIError) -> [Double]? {
        guard let (name, value) = first(name) else { return nil }
        let entries: [JSONValue]
        switch value {
        case .array(let values): entries = values
        case .string(let text) where dialect == .form && text.utf8.count <= Self.maximumStringBytes:
            entries = text.utf8.split(separator: UInt8(ascii: ",")).map {
                .string(String(Substring($0)))
            }
        default: throw wrong(name, "an array of numbers", value)
        }
        var numbers: [Double] = []
        for entry in entries {
            guard let number = number(entry) else {
                throw wrong("an entry of \(name)", "a number", entry)
            }
            numbers.append(number)
        }
        return numbers
    }

    /// Words for truth values: of forms, and those of pydantic.
    private static let truths: [Dialect: [String: Bool]] = [
        .form: ["true": true, "false": false],
        .pydantic: [
            "true": true, "t": true, "yes": true, "y": true, "on": true, "1": true,
            "false": false, "f": false, "no": false, "n": false, "off": false, "0": false,
        ],
    ]

    /// A truth value.
    func bool(_ names: String...) throws(APIError) -> Bool? {
        guard let (name, value) = first(names) else { return nil }
        switch value {
        case .bool(let flag): return flag
        case .string(let text) where text.utf8.count <= 5:
            if let flag = Self.truths[dialect]?[text.lowercased()] { return flag }
        case .integer(0) where dialect == .pydantic, .number(0) where dialect == .pydantic:
            return false
        case .integer(1) where dialect == .pydantic, .number(1) where dialect == .pydantic:
            return true
        default: break
        }
        throw wrong(name, "true or false", value)
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

    /// One of a few words; an empty text counts as absent, as clients send it for a choice that was not made.
    func choice(_ name: String, of words: [String]) throws(APIError) -> String? {
        guard let text = try string(name), !text.isEmpty else { return nil }
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

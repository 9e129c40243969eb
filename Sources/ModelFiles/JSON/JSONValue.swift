// Part of Inkstone. Licence: see LICENSE.

import Basics

/// A value of a JSON document, of any shape: a wrong type can be named instead of failing to decode.
package enum JSONValue: Sendable, Equatable {
    /// `null`.
    case null
    /// `true` or `false`.
    case bool(Bool)
    /// A number written without fraction or exponent that fits a 64-bit integer.
    case integer(Int64)
    /// Such a number from 2^63 to 2^64 - 1, which only seeds are.
    case unsigned(UInt64)
    /// Any other number.
    case number(Double)
    /// A text.
    case string(String)
    /// A list.
    case array([JSONValue])
    /// Values by key.
    case object([String: JSONValue])

    /// Reads a document.
    ///
    /// Equal keys are refused; a lenient reader keeps the first.
    ///
    /// - Parameters:
    ///   - document: the whole document, in UTF-8.
    ///   - options: what is accepted.
    /// - Throws: `JSONSyntaxError`.
    package init(
        _ document: UnsafeRawBufferPointer, options: JSONScanner.Options = .init()
    ) throws(JSONSyntaxError) {
        var scanner = JSONScanner(document, options: options)
        self = try scanner.value()
        try scanner.expectEnd()
    }

    /// Reads a document.
    ///
    /// - Parameters:
    ///   - document: the whole document, in UTF-8.
    ///   - options: what is accepted.
    /// - Throws: `JSONSyntaxError`.
    package init(
        _ document: [UInt8], options: JSONScanner.Options = .init()
    ) throws(JSONSyntaxError) {
        self = try document.withUnsafeBufferPointer { (bytes) throws(JSONSyntaxError) in
            try JSONValue(UnsafeRawBufferPointer(bytes), options: options)
        }
    }
}

extension JSONScanner {
    /// Reads a value.
    package mutating func value() throws(JSONSyntaxError) -> JSONValue {
        try countValue()
        switch peek() {
        case UInt8(ascii: "{"):
            var members: [String: JSONValue] = [:]
            try object { (scanner, key) throws(JSONSyntaxError) in
                let value = try scanner.value()
                guard members[key] != nil else {
                    members[key] = value
                    return
                }
                guard scanner.options.isLenient else {
                    throw scanner.failure("the key \(key.quoted) comes twice")
                }
            }
            return .object(members)
        case UInt8(ascii: "["):
            var elements: [JSONValue] = []
            try array { (scanner) throws(JSONSyntaxError) in
                elements.append(try scanner.value())
            }
            return .array(elements)
        case UInt8(ascii: "\""): return .string(try string())
        default: return try scalar()
        }
    }
}

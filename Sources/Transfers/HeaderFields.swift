// Part of Inkstone. Licence: see LICENSE.

/// Header fields of a request or a response, in their order; names have no case.
package struct HeaderFields: Sendable, Equatable, ExpressibleByDictionaryLiteral {
    /// A line of a head.
    package struct Field: Sendable, Equatable {
        /// As it was spelled.
        package var name: String
        /// Without white space around it.
        package var value: String
    }

    /// All fields.
    package private(set) var fields: [Field] = []

    /// No fields.
    package init() {}

    /// Fields in the order of the literal.
    package init(dictionaryLiteral elements: (String, String)...) {
        for (name, value) in elements { add(name, value) }
    }

    /// Appends a field; others of the same name stay.
    package mutating func add(_ name: String, _ value: String) {
        fields.append(Field(name: name, value: value))
    }

    /// The first value of a name.
    package func first(_ name: String) -> String? {
        fields.first { Self.isSame($0.name, name) }?.value
    }

    /// All values of a name.
    package func all(_ name: String) -> [String] {
        fields.filter { Self.isSame($0.name, name) }.map(\.value)
    }

    /// Appends text to the last value: a folded line.
    ///
    /// - Source: RFC 9112, section 5.2.
    mutating func fold(_ text: some StringProtocol) {
        guard !fields.isEmpty else { return }
        fields[fields.count - 1].value += " " + text
    }

    private static func isSame(_ first: String, _ second: String) -> Bool {
        first.utf8.count == second.utf8.count
            && zip(first.utf8, second.utf8).allSatisfy { lowercase($0) == lowercase($1) }
    }

    private static func lowercase(_ byte: UInt8) -> UInt8 {
        (UInt8(ascii: "A")...UInt8(ascii: "Z")).contains(byte) ? byte | 0x20 : byte
    }
}

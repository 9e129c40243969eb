// Part of Inkstone. Licence: see LICENSE.

/// Why some bytes are not JSON.
struct JSONSyntaxError: Error, Sendable, Equatable {
    /// What was expected and found, as a clause without a full stop.
    let reason: String
    /// Byte at which it was noticed.
    let offset: Int
}

/// Reads JSON tokens from memory, one after the other.
///
/// Foundation's parser keeps one of two equal keys without a word, and builds the whole tree before
/// anything can be refused. Headers come from strangers, so this scanner is strict (RFC 8259, valid
/// UTF-8, no equal keys, no endless nesting) and lets the caller stop at the first bad entry.
struct JSONScanner {
    /// Deepest nesting of arrays and objects.
    static let depthLimit = 64

    private let bytes: UnsafeRawBufferPointer
    private(set) var offset = 0
    private var depth = 0

    /// Starts at the first of `bytes`, which must stay valid while the scanner is used.
    init(_ bytes: UnsafeRawBufferPointer) {
        self.bytes = bytes
    }

    func failure(_ reason: String) -> JSONSyntaxError {
        JSONSyntaxError(reason: reason, offset: offset)
    }

    /// The next byte that is not white space, without taking it.
    mutating func peek() -> UInt8? {
        while offset < bytes.count {
            let byte = bytes[offset]
            guard byte == 0x20 || byte == 0x0A || byte == 0x0D || byte == 0x09 else { return byte }
            offset += 1
        }
        return nil
    }

    /// Takes the next byte if it is `character`.
    mutating func take(_ character: Unicode.Scalar) -> Bool {
        guard let byte = peek(), UInt32(byte) == character.value else { return false }
        offset += 1
        return true
    }

    mutating func expect(_ character: Unicode.Scalar) throws(JSONSyntaxError) {
        guard take(character) else { throw failure("expected '\(character)', found \(found())") }
    }

    /// Nothing but white space may follow.
    mutating func expectEnd() throws(JSONSyntaxError) {
        guard peek() == nil else { throw failure("expected the end, found \(found())") }
    }

    /// Reads `{…}`; `member` is called after each key and must take the value.
    mutating func object(
        _ member: (inout JSONScanner, String) throws(JSONSyntaxError) -> Void
    ) throws(JSONSyntaxError) {
        try expect("{")
        try enter()
        if !take("}") {
            repeat {
                let key = try string()
                try expect(":")
                try member(&self, key)
            } while take(",")
            try expect("}")
        }
        depth -= 1
    }

    /// Reads `[…]`; `element` is called before each element and must take it.
    mutating func array(
        _ element: (inout JSONScanner) throws(JSONSyntaxError) -> Void
    ) throws(JSONSyntaxError) {
        try expect("[")
        try enter()
        if !take("]") {
            repeat { try element(&self) } while take(",")
            try expect("]")
        }
        depth -= 1
    }

    private mutating func enter() throws(JSONSyntaxError) {
        depth += 1
        guard depth <= Self.depthLimit else {
            throw failure("expected at most \(Self.depthLimit) levels of nesting, found more")
        }
    }

    /// Reads a string.
    mutating func string() throws(JSONSyntaxError) -> String {
        guard take("\"") else { throw failure("expected a string, found \(found())") }
        let start = offset
        while offset < bytes.count {
            let byte = bytes[offset]
            if byte == 0x22 {
                defer { offset += 1 }
                return try text(from: start)
            }
            if byte == 0x5C { return try escapedString(from: start) }
            guard byte >= 0x20 else { throw failure("a string holds a bare control character") }
            offset += 1
        }
        throw failure("a string has no end")
    }

    /// The bytes from `start` up to here.
    private func text(from start: Int) throws(JSONSyntaxError) -> String {
        let slice = UnsafeRawBufferPointer(rebasing: bytes[start..<offset])
        guard let text = String(validating: slice, as: UTF8.self) else {
            throw failure("a string is not UTF-8")
        }
        return text
    }

    private mutating func escapedString(from start: Int) throws(JSONSyntaxError) -> String {
        var result = try text(from: start)
        while offset < bytes.count {
            let byte = bytes[offset]
            switch byte {
            case 0x22:
                offset += 1
                return result
            case 0x5C:
                offset += 1
                result.unicodeScalars.append(try escape())
            default:
                let run = offset
                while offset < bytes.count, bytes[offset] >= 0x20, bytes[offset] != 0x22,
                    bytes[offset] != 0x5C
                {
                    offset += 1
                }
                guard offset > run else {
                    throw failure("a string holds a bare control character")
                }
                result += try text(from: run)
            }
        }
        throw failure("a string has no end")
    }

    private mutating func escape() throws(JSONSyntaxError) -> Unicode.Scalar {
        guard offset < bytes.count else { throw failure("a string has no end") }
        let byte = bytes[offset]
        offset += 1
        switch byte {
        case 0x22, 0x2F, 0x5C: return Unicode.Scalar(byte)
        case UInt8(ascii: "b"): return "\u{8}"
        case UInt8(ascii: "f"): return "\u{C}"
        case UInt8(ascii: "n"): return "\n"
        case UInt8(ascii: "r"): return "\r"
        case UInt8(ascii: "t"): return "\t"
        case UInt8(ascii: "u"): return try unicodeEscape()
        default: throw failure("a string holds an unknown escape")
        }
    }

    private mutating func unicodeEscape() throws(JSONSyntaxError) -> Unicode.Scalar {
        let first = try hexadecimal()
        if let scalar = Unicode.Scalar(first) { return scalar }
        guard first < 0xDC00, offset + 1 < bytes.count, bytes[offset] == 0x5C,
            bytes[offset + 1] == UInt8(ascii: "u")
        else { throw failure("a string holds half a surrogate pair") }
        offset += 2
        let second = try hexadecimal()
        guard (0xDC00...0xDFFF).contains(second),
            let scalar = Unicode.Scalar(0x10000 + (first - 0xD800) << 10 + (second - 0xDC00))
        else { throw failure("a string holds half a surrogate pair") }
        return scalar
    }

    private mutating func hexadecimal() throws(JSONSyntaxError) -> UInt32 {
        var value: UInt32 = 0
        for _ in 0..<4 {
            guard offset < bytes.count,
                let digit = Character(Unicode.Scalar(bytes[offset])).hexDigitValue
            else { throw failure("a string holds a broken escape") }
            value = value << 4 | UInt32(digit)
            offset += 1
        }
        return value
    }

    /// Reads a number: whole ones that fit as `.integer`, others as `.number`.
    mutating func number() throws(JSONSyntaxError) -> JSONValue {
        guard let first = peek(), first == UInt8(ascii: "-") || Self.isDigit(first) else {
            throw failure("expected a number, found \(found())")
        }
        let start = offset
        if first == UInt8(ascii: "-") { offset += 1 }
        let leading = offset
        try digits()
        guard bytes[leading] != UInt8(ascii: "0") || offset == leading + 1 else {
            throw failure("a number has a leading zero")
        }
        var isWhole = true
        if offset < bytes.count, bytes[offset] == UInt8(ascii: ".") {
            isWhole = false
            offset += 1
            try digits()
        }
        if offset < bytes.count, bytes[offset] | 0x20 == UInt8(ascii: "e") {
            isWhole = false
            offset += 1
            if offset < bytes.count,
                bytes[offset] == UInt8(ascii: "+") || bytes[offset] == UInt8(ascii: "-")
            {
                offset += 1
            }
            try digits()
        }
        let text = try text(from: start)
        if isWhole, let value = Int(text) { return .integer(value) }
        guard let value = Double(text), value.isFinite else {
            throw failure("a number is out of range")
        }
        return .number(value)
    }

    private mutating func digits() throws(JSONSyntaxError) {
        let start = offset
        while offset < bytes.count, Self.isDigit(bytes[offset]) { offset += 1 }
        guard offset > start else { throw failure("expected a digit, found \(found())") }
    }

    private static func isDigit(_ byte: UInt8) -> Bool {
        (UInt8(ascii: "0")...UInt8(ascii: "9")).contains(byte)
    }

    /// Takes a bare word such as `true` if it comes next.
    mutating func take(word: StaticString) -> Bool {
        guard peek() != nil, bytes.count - offset >= word.utf8CodeUnitCount else { return false }
        for index in 0..<word.utf8CodeUnitCount
        where bytes[offset + index] != word.utf8Start[index] {
            return false
        }
        offset += word.utf8CodeUnitCount
        return true
    }

    /// What stands here, for a message.
    private func found() -> String {
        guard offset < bytes.count else { return "the end" }
        let byte = bytes[offset]
        guard (0x21...0x7E).contains(byte) else {
            return "byte 0x\(String(byte, radix: 16, uppercase: true))"
        }
        return "'\(Unicode.Scalar(byte))'"
    }
}

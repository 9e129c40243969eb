// Part of Inkstone. Licence: see LICENSE.

extension JSONScanner {
    /// Longest number, in bytes.
    private static var numberLimit: Int { 1024 }

    /// Reads a number: one without fraction and exponent that fits 64 bits with a sign as
    /// `.integer`, any other as `.number`.
    package mutating func number() throws(JSONSyntaxError) -> JSONValue {
        guard let first = peek(), first == UInt8(ascii: "-") || Self.isDigit(first) else {
            throw unexpected("a number")
        }
        let start = offset
        let isNegative = first == UInt8(ascii: "-")
        if isNegative { offset += 1 }
        let leading = offset
        var magnitude: Int64? = 0
        while offset < bytes.count, Self.isDigit(bytes[offset]) {
            magnitude = Self.appended(magnitude, bytes[offset], isNegative)
            offset += 1
        }
        guard offset > leading else { throw unexpected("a digit") }
        guard bytes[leading] != UInt8(ascii: "0") || offset == leading + 1 else {
            throw failure("a number has a leading zero")
        }
        let isWhole = try !readFraction()
        guard offset - start <= Self.numberLimit else {
            throw failure("a number is longer than \(Self.numberLimit) bytes")
        }
        if isWhole, let magnitude { return .integer(magnitude) }
        let text = String(
            decoding: UnsafeRawBufferPointer(rebasing: bytes[start..<offset]), as: UTF8.self)
        guard let value = Double(text), value.isFinite else {
            throw failure("a number is out of range")
        }
        if options.isLenient, let whole = Int64(exactly: value) { return .integer(whole) }
        return .number(value)
    }

    /// Reads a number without fraction and exponent that fits 64 bits with a sign.
    package mutating func integer() throws(JSONSyntaxError) -> Int64 {
        guard let first = peek(), first == UInt8(ascii: "-") || Self.isDigit(first) else {
            throw unexpected("a whole number")
        }
        switch try number() {
        case .integer(let value): return value
        case .number(let value) where value.magnitude >= 0x1p63:
            throw failure("expected a smaller number")
        default: throw failure("expected a whole number")
        }
    }

    /// `value` with one more decimal digit, `nil` once it does not fit.
    private static func appended(_ value: Int64?, _ digit: UInt8, _ isNegative: Bool) -> Int64? {
        guard let value else { return nil }
        let digit = Int64(digit - UInt8(ascii: "0"))
        let (product, productOverflows) = value.multipliedReportingOverflow(by: 10)
        let (sum, sumOverflows) = product.addingReportingOverflow(isNegative ? -digit : digit)
        return productOverflows || sumOverflows ? nil : sum
    }

    /// Reads fraction and exponent; `false` if there is neither.
    private mutating func readFraction() throws(JSONSyntaxError) -> Bool {
        var found = false
        if offset < bytes.count, bytes[offset] == UInt8(ascii: ".") {
            found = true
            offset += 1
            try readDigits()
        }
        if offset < bytes.count, bytes[offset] | 0x20 == UInt8(ascii: "e") {
            found = true
            offset += 1
            if offset < bytes.count,
                bytes[offset] == UInt8(ascii: "+") || bytes[offset] == UInt8(ascii: "-")
            {
                offset += 1
            }
            try readDigits()
        }
        return found
    }

    private mutating func readDigits() throws(JSONSyntaxError) {
        let start = offset
        while offset < bytes.count, Self.isDigit(bytes[offset]) { offset += 1 }
        guard offset > start else { throw unexpected("a digit") }
    }

    private static func isDigit(_ byte: UInt8) -> Bool {
        (UInt8(ascii: "0")...UInt8(ascii: "9")).contains(byte)
    }
}

// Part of Inkstone. Licence: see LICENSE.

extension JSONScanner {
    /// Longest number, in bytes.
    private static var numberLimit: Int { 1024 }

    /// Reads a number: one without fraction and exponent that fits 64 bits with a sign as
    /// `.integer`, one that fits them without as `.unsigned`, any other as `.number`.
    package mutating func number() throws(JSONSyntaxError) -> JSONValue {
        guard let first = peek(), first == UInt8(ascii: "-") || Self.isDigit(first) else {
            throw unexpected("a number")
        }
        let start = offset
        let isNegative = first == UInt8(ascii: "-")
        if isNegative { offset += 1 }
        let leading = offset
        var magnitude: UInt64? = 0
        while offset < bytes.count, Self.isDigit(bytes[offset]) {
            magnitude = Self.appended(magnitude, bytes[offset])
            offset += 1
        }
        guard offset > leading else { throw unexpected("a digit") }
        guard bytes[leading] != UInt8(ascii: "0") || offset == leading + 1 else {
            offset = leading + 1
            throw failure("a number has a leading zero")
        }
        let isWhole = try !readFraction()
        guard offset - start <= Self.numberLimit else {
            throw failure("a number is longer than \(Self.numberLimit) bytes")
        }
        if isWhole, let magnitude, let whole = Self.whole(magnitude, isNegative) { return whole }
        let text = String(
            decoding: UnsafeRawBufferPointer(rebasing: bytes[start..<offset]), as: UTF8.self)
        guard let value = Double(text), value.isFinite else {
            throw failure("a number is out of range")
        }
        if options.isLenient {
            if let whole = Int64(exactly: value) { return .integer(whole) }
            if let whole = UInt64(exactly: value) { return .unsigned(whole) }
        }
        return .number(value)
    }

    /// Reads a number without fraction and exponent that fits 64 bits with a sign.
    package mutating func integer() throws(JSONSyntaxError) -> Int64 {
        guard let first = peek(), first == UInt8(ascii: "-") || Self.isDigit(first) else {
            throw unexpected("a whole number")
        }
        switch try number() {
        case .integer(let value): return value
        case .unsigned: throw failure("expected a smaller number")
        case .number(let value) where value.magnitude >= 0x1p63:
            throw failure("expected a smaller number")
        default: throw failure("expected a whole number")
        }
    }

    /// `value` with one more decimal digit, `nil` once it does not fit.
    private static func appended(_ value: UInt64?, _ digit: UInt8) -> UInt64? {
        guard let value else { return nil }
        let (product, productOverflows) = value.multipliedReportingOverflow(by: 10)
        let (sum, sumOverflows) = product.addingReportingOverflow(UInt64(digit - UInt8(ascii: "0")))
        return productOverflows || sumOverflows ? nil : sum
    }

    /// A whole number, `nil` if it does not fit 64 bits.
    private static func whole(_ magnitude: UInt64, _ isNegative: Bool) -> JSONValue? {
        guard isNegative else {
            return Int64(exactly: magnitude).map(JSONValue.integer) ?? .unsigned(magnitude)
        }
        guard magnitude <= Int64.min.magnitude else { return nil }
        return .integer(Int64(truncatingIfNeeded: 0 &- magnitude))
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

// Part of Inkstone. Licence: see LICENSE.

/// Reads JSON tokens from memory, one after the other.
///
/// Strict by default: RFC 8259, valid UTF-8, bounded nesting. The caller decides what to do with equal
/// keys, and can stop at the first bad value before a tree of values is built. Foundation's decoder
/// keeps one of two equal keys silently, compares keys by canonical equivalence, and is four times
/// slower on a vocabulary of 150,000 tokens.
///
/// - Complexity: linear in the bytes read; memory for the longest string and one frame for each level
///   of nesting.
package struct JSONScanner {
    /// What a scanner accepts.
    package struct Options: Sendable {
        /// Deepest nesting of arrays and objects.
        package var depthLimit: Int
        /// Largest number of values, those in arrays and objects included.
        package var valueLimit: Int
        /// Bytes of the longest key of an object.
        package var keyLimit: Int
        /// Whether common mistakes of clients are accepted.
        ///
        /// The escape of an unpaired surrogate is read as U+FFFD, a comma may follow the last element or
        /// member, the first of equal keys counts, and a whole number such as 8.0 is an integer.
        package var isLenient: Bool

        /// Options for strict reading, unless given otherwise.
        package init(
            depthLimit: Int = 64, valueLimit: Int = .max, keyLimit: Int = .max,
            isLenient: Bool = false
        ) {
            self.depthLimit = depthLimit
            self.valueLimit = valueLimit
            self.keyLimit = keyLimit
            self.isLenient = isLenient
        }
    }

    let bytes: UnsafeRawBufferPointer
    let options: Options
    /// Position of the next byte.
    package internal(set) var offset: Int
    /// The UTF-8 of the last string that `readText` read, escapes resolved.
    package internal(set) var text: [UInt8] = []
    private var depth = 0
    private var valueCount = 0
    /// Whether a container was opened and none of its elements was read.
    private var isFirst = false

    /// Starts at byte `offset` of `bytes`, which must stay valid while the scanner is used.
    package init(
        _ bytes: UnsafeRawBufferPointer, offset: Int = 0, options: Options = Options()
    ) {
        self.bytes = bytes
        self.offset = offset
        self.options = options
    }

    // MARK: - Punctuation

    /// Returns the next byte that is not white space, without consuming it; `nil` at the end.
    package mutating func peek() -> UInt8? {
        while offset < bytes.count {
            let byte = bytes[offset]
            guard byte == 0x20 || byte == 0x0A || byte == 0x0D || byte == 0x09 else { return byte }
            offset += 1
        }
        return nil
    }

    /// Consumes the next byte if it is `character`.
    package mutating func consume(_ character: Unicode.Scalar) -> Bool {
        guard let byte = peek(), UInt32(byte) == character.value else { return false }
        offset += 1
        return true
    }

    /// Consumes `character`.
    package mutating func expect(_ character: Unicode.Scalar) throws(JSONSyntaxError) {
        guard consume(character) else { throw unexpected("'\(character)'") }
    }

    /// Checks that nothing but white space follows.
    package mutating func expectEnd() throws(JSONSyntaxError) {
        guard peek() == nil else { throw unexpected("the end") }
    }

    /// Consumes a bare word such as `true` if it comes next.
    package mutating func consume(word: StaticString) -> Bool {
        guard peek() != nil, bytes.count - offset >= word.utf8CodeUnitCount else { return false }
        for index in 0..<word.utf8CodeUnitCount
        where bytes[offset + index] != word.utf8Start[index] {
            return false
        }
        offset += word.utf8CodeUnitCount
        return true
    }

    // MARK: - Containers

    /// Consumes the start of an object; `nextKey` reads its members.
    package mutating func openObject() throws(JSONSyntaxError) {
        try expect("{")
        try enter()
    }

    /// Consumes the start of an array; `nextElement` reads up to its elements.
    package mutating func openArray() throws(JSONSyntaxError) {
        try expect("[")
        try enter()
    }

    /// Reads the next key of an object into `text`, or the end of the object.
    ///
    /// - Returns: whether there is a key; the caller must consume its value.
    /// - Throws: `JSONSyntaxError`.
    package mutating func nextKey() throws(JSONSyntaxError) -> Bool {
        guard try hasNext("}") else { return false }
        try readText()
        guard text.count <= options.keyLimit else {
            throw JSONSyntaxError(
                kind: .keyLength,
                reason: "expected a key of at most \(options.keyLimit) bytes, found \(text.count)",
                offset: offset)
        }
        try expect(":")
        return true
    }

    /// Reads up to the next element of an array, or the end of the array.
    ///
    /// - Returns: whether there is an element; the caller must consume it.
    /// - Throws: `JSONSyntaxError`.
    package mutating func nextElement() throws(JSONSyntaxError) -> Bool {
        try hasNext("]")
    }

    private mutating func hasNext(_ close: Unicode.Scalar) throws(JSONSyntaxError) -> Bool {
        let isFirst = isFirst
        self.isFirst = false
        let follows = isFirst || consume(",")
        if isFirst || options.isLenient || !follows, consume(close) {
            depth -= 1
            return false
        }
        guard follows else { throw unexpected("',' or '\(close)'") }
        return true
    }

    /// Reads `{…}`; `member` is called after each key and must consume the value.
    package mutating func object(
        _ member: (inout JSONScanner, String) throws(JSONSyntaxError) -> Void
    ) throws(JSONSyntaxError) {
        try openObject()
        while try nextKey() { try member(&self, String(decoding: text, as: UTF8.self)) }
    }

    /// Reads `[…]`; `element` is called before each element and must consume it.
    package mutating func array(
        _ element: (inout JSONScanner) throws(JSONSyntaxError) -> Void
    ) throws(JSONSyntaxError) {
        try openArray()
        while try nextElement() { try element(&self) }
    }

    private mutating func enter() throws(JSONSyntaxError) {
        isFirst = true
        depth += 1
        guard depth <= options.depthLimit else {
            throw JSONSyntaxError(
                kind: .nesting,
                reason: "expected at most \(options.depthLimit) levels of nesting, found more",
                offset: offset)
        }
    }

    /// Counts a value whose tree is about to be built.
    mutating func countValue() throws(JSONSyntaxError) {
        valueCount += 1
        guard valueCount <= options.valueLimit else {
            throw JSONSyntaxError(
                kind: .valueCount,
                reason: "expected at most \(options.valueLimit) values, found more", offset: offset)
        }
    }

    /// Reads a value of any kind and returns its bytes' positions.
    package mutating func skip() throws(JSONSyntaxError) -> Range<Int> {
        _ = peek()
        let start = offset
        switch peek() {
        case UInt8(ascii: "{"):
            try openObject()
            while try hasNext("}") {
                try skipText()
                try expect(":")
                _ = try skip()
            }
        case UInt8(ascii: "["):
            try openArray()
            while try nextElement() { _ = try skip() }
        case UInt8(ascii: "\""): try skipText()
        default: _ = try scalar()
        }
        return start..<offset
    }

    /// Reads a number, `true`, `false` or `null`.
    mutating func scalar() throws(JSONSyntaxError) -> JSONValue {
        switch peek() {
        case UInt8(ascii: "n") where consume(word: "null"): return .null
        case UInt8(ascii: "t") where consume(word: "true"): return .bool(true)
        case UInt8(ascii: "f") where consume(word: "false"): return .bool(false)
        case UInt8(ascii: "-"), (UInt8(ascii: "0")...UInt8(ascii: "9"))?: return try number()
        default: throw unexpected("a value")
        }
    }

    // MARK: - Errors

    /// An error at a position, by default the current one.
    package func failure(_ reason: String, at position: Int? = nil) -> JSONSyntaxError {
        JSONSyntaxError(kind: .syntax, reason: reason, offset: position ?? offset)
    }

    /// An error that names what was found at the current position.
    func unexpected(_ expected: String) -> JSONSyntaxError {
        failure("expected \(expected), found \(found)")
    }

    private var found: String {
        guard offset < bytes.count else { return "the end" }
        let byte = bytes[offset]
        guard (0x21...0x7E).contains(byte) else {
            return "byte 0x\(String(byte, radix: 16, uppercase: true))"
        }
        return "'\(Unicode.Scalar(byte))'"
    }
}

// Part of Inkstone. Licence: see LICENSE.

/// Reads the fields of a GGUF file sequentially, with bounds checks.
struct GGUFCursor {
    /// Why a field could not be read.
    struct Failure: Error {
        let reason: String
        var code = CheckpointError.Code.badHeader
    }

    private let bytes: UnsafeRawBufferPointer
    /// Number of bytes read.
    private(set) var offset = 0

    /// Maximum length of a metadata text; chat templates have several kilobytes.
    private static let textLimit = 16 << 20
    /// Maximum number of elements of a list; vocabularies have about 150,000.
    private static let listLimit = 4 << 20

    init(_ bytes: UnsafeRawBufferPointer) { self.bytes = bytes }

    private var remaining: Int { bytes.count - offset }

    private func failure(
        _ reason: String, code: CheckpointError.Code = .badHeader
    ) -> Failure {
        Failure(reason: "at byte \(offset), \(reason)", code: code)
    }

    mutating func fixed<Number: FixedWidthInteger>(
        _ type: Number.Type
    ) throws(Failure) -> Number {
        let width = MemoryLayout<Number>.size
        guard width <= remaining else { throw failure("the file ends", code: .truncated) }
        defer { offset += width }
        return Number(littleEndian: bytes.loadUnaligned(fromByteOffset: offset, as: type))
    }

    /// A length or a count.
    mutating func size(_ what: String, atMost limit: Int) throws(Failure) -> Int {
        let start = self
        let number = try fixed(UInt64.self)
        guard number <= UInt64(limit) else {
            throw start.failure("\(what) is \(number), expected at most \(limit)")
        }
        return Int(number)
    }

    /// A length followed by that many bytes.
    mutating func text() throws(Failure) -> [UInt8] {
        let length = try size("the length of a text", atMost: Self.textLimit)
        guard length <= remaining else {
            throw failure("a text of \(length) bytes begins, and the file ends", code: .truncated)
        }
        defer { offset += length }
        return [UInt8](UnsafeRawBufferPointer(rebasing: bytes[offset..<(offset + length)]))
    }

    /// The name of a tensor or a value.
    mutating func name() throws(Failure) -> String {
        let start = self
        let bytes = try text()
        guard bytes.count <= SafetensorsHeader.nameLimit else {
            throw start.failure(
                "a name has \(bytes.count) bytes, expected at most \(SafetensorsHeader.nameLimit)")
        }
        return String(decoding: bytes, as: UTF8.self)
    }

    /// A type and a value of it.
    mutating func value() throws(Failure) -> GGUFValue {
        let kind = try kind()
        guard kind == .array else { return try value(kind) }
        let element = try self.kind()
        let count = try size("the length of a list", atMost: Self.listLimit)
        // Before anything is allocated for them.
        guard element != .array else { throw failure("a list of lists begins, expected none") }
        guard count * element.leastBytes <= remaining else {
            throw failure("a list of \(count) begins, and the file ends", code: .truncated)
        }
        switch element {
        case .string:
            var texts: [[UInt8]] = []
            texts.reserveCapacity(count)
            for _ in 0..<count { texts.append(try text()) }
            return .texts(texts)
        case .float32, .float64, .bool:
            offset += count * element.leastBytes
            return .other
        default:
            var numbers: [Int] = []
            numbers.reserveCapacity(count)
            for _ in 0..<count {
                guard case .integer(let number) = try value(element) else { return .other }
                numbers.append(number)
            }
            return .integers(numbers)
        }
    }

    private mutating func kind() throws(Failure) -> GGUFValue.Kind {
        let start = self
        let number = try fixed(UInt32.self)
        guard let kind = GGUFValue.Kind(rawValue: number) else {
            throw start.failure("a value has the type \(number), expected 0 to 12")
        }
        return kind
    }

    private mutating func value(_ kind: GGUFValue.Kind) throws(Failure) -> GGUFValue {
        switch kind {
        case .uint8: return .integer(Int(try fixed(UInt8.self)))
        case .int8: return .integer(Int(try fixed(Int8.self)))
        case .uint16: return .integer(Int(try fixed(UInt16.self)))
        case .int16: return .integer(Int(try fixed(Int16.self)))
        case .uint32: return .integer(Int(try fixed(UInt32.self)))
        case .int32: return .integer(Int(try fixed(Int32.self)))
        case .uint64: return Int(exactly: try fixed(UInt64.self)).map { .integer($0) } ?? .other
        case .int64: return .integer(Int(try fixed(Int64.self)))
        case .float32: return .number(Double(Float(bitPattern: try fixed(UInt32.self))))
        case .float64: return .number(Double(bitPattern: try fixed(UInt64.self)))
        case .bool: return .bool(try fixed(UInt8.self) != 0)
        case .string: return .string(String(decoding: try text(), as: UTF8.self))
        case .array: return .other
        }
    }
}

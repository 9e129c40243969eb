// Part of Inkstone. Licence: see LICENSE.

import Basics
import Tensors

/// The validated header of a safetensors file.
///
/// A file is a 64-bit little-endian length, a JSON object of that length, and the tensors' bytes.
/// The content is untrusted: everything is checked against the file's actual size before memory is
/// allocated.
struct SafetensorsHeader {
    /// Tensors by name.
    private(set) var tensors: [String: TensorEntry] = [:]
    /// The text metadata under `__metadata__`.
    private(set) var metadata: [String: String] = [:]
    /// Number of bytes before those of the tensors.
    let byteCount: Int

    /// Maximum length of a header; one of 521 tensors has about 60 kB.
    static let byteLimit = 100_000_000
    /// Maximum number of tensors, and of metadata texts, of one file.
    static let entryLimit = 100_000
    /// Maximum length in bytes of a tensor's name or a metadata key; real ones have about a hundred.
    ///
    /// Names are compared with many others, and error messages quote them.
    static let nameLimit = 1_000

    private static let metadataKey = "__metadata__"

    /// Reads the header at the start of a file's content.
    ///
    /// - Parameters:
    ///   - file: all bytes of the file.
    ///   - name: its name in quotes, for messages.
    /// - Throws: `CheckpointError` of code `truncated`, `badHeader` or `unsupported`.
    init(_ file: UnsafeRawBufferPointer, name: String) throws(CheckpointError) {
        let prefix = 8
        guard file.count >= prefix else {
            let size = file.isEmpty ? "is empty" : "has only \(file.count) bytes"
            throw Self.truncated("\(name) \(size), expected a safetensors file.")
        }
        let length = UInt64(littleEndian: file.loadUnaligned(as: UInt64.self))
        guard length <= UInt64(min(Self.byteLimit, file.count - prefix)) else {
            // Formats that are often mistaken for safetensors begin like this.
            if let other = ForeignFormat(file) { throw other.error(name) }
            if length > UInt64(Self.byteLimit) {
                throw Self.bad(
                    "\(name) announces a header of \(length) bytes, expected at most"
                        + " \(Self.byteLimit).")
            }
            throw Self.truncated(
                "\(name) has \(file.count) bytes, but announces a header of \(length).")
        }
        let dataStart = prefix + Int(length)
        byteCount = dataStart
        let header = UnsafeRawBufferPointer(rebasing: file[prefix..<dataStart])
        do {
            try read(header, dataStart: dataStart, fileSize: file.count)
        } catch {
            switch error {
            case .syntax(let cause):
                throw CheckpointError(
                    code: .badHeader,
                    message: "\(name) has a damaged header: at byte \(cause.offset),"
                        + " \(cause.reason).",
                    remedy: Self.remedy, cause: cause)
            case .entry(let reason): throw Self.bad("\(name): \(reason).")
            case .pastEnd(let reason): throw Self.truncated("\(name): \(reason).")
            }
        }
        try checkOverlaps(name)
    }

    // MARK: Reading

    private enum Failure: Error {
        case syntax(JSONSyntaxError)
        case entry(String)
        case pastEnd(String)
    }

    private mutating func read(
        _ header: UnsafeRawBufferPointer, dataStart: Int, fileSize: Int
    ) throws(Failure) {
        var scanner = JSONScanner(header)
        var failure: Failure?
        var tensors: [String: TensorEntry] = [:]
        var metadata: [String: String]?
        do throws(JSONSyntaxError) {
            try scanner.object { (scanner, name) throws(JSONSyntaxError) in
                // Before it is compared, which takes long for a long one.
                try Self.checkLength(of: name, "name of a tensor", scanner)
                if name == Self.metadataKey {
                    guard metadata == nil else {
                        throw scanner.failure("the key '__metadata__' comes twice")
                    }
                    metadata = try Self.texts(&scanner)
                    return
                }
                guard tensors[name] == nil else {
                    throw scanner.failure("tensor \(name.quoted) is described twice")
                }
                guard tensors.count < Self.entryLimit else {
                    throw scanner.failure("there are more than \(Self.entryLimit) tensors")
                }
                let raw = try RawEntry(&scanner, name: name)
                do throws(Failure) {
                    tensors[name] = try Self.entry(
                        raw, name: name, dataStart: dataStart, fileSize: fileSize)
                } catch {
                    failure = error
                    throw scanner.failure("see failure")
                }
            }
            try scanner.expectEnd()
        } catch {
            throw failure ?? .syntax(error)
        }
        self.tensors = tensors
        self.metadata = metadata ?? [:]
    }

    private static func checkLength(
        of name: String, _ kind: String, _ scanner: JSONScanner
    ) throws(JSONSyntaxError) {
        guard name.utf8.count <= nameLimit else {
            throw scanner.failure(
                "the \(kind) has \(name.utf8.count) bytes, expected at most \(nameLimit)")
        }
    }

    private static func texts(
        _ scanner: inout JSONScanner
    ) throws(JSONSyntaxError) -> [String: String] {
        var texts: [String: String] = [:]
        if scanner.consume(word: "null") { return texts }
        try scanner.object { (scanner, key) throws(JSONSyntaxError) in
            try checkLength(of: key, "key of a metadata text", scanner)
            guard texts.updateValue(try scanner.string(), forKey: key) == nil else {
                throw scanner.failure("the metadata key \(key.quoted) comes twice")
            }
            guard texts.count <= Self.entryLimit else {
                throw scanner.failure("there are more than \(Self.entryLimit) metadata texts")
            }
        }
        return texts
    }

    private static func entry(
        _ raw: RawEntry, name: String, dataStart: Int, fileSize: Int
    ) throws(Failure) -> TensorEntry {
        let name = name.quoted
        guard let dtype = DType(rawValue: raw.dtype) else {
            throw .entry("tensor \(name) has the unknown number type \(raw.dtype.quoted)")
        }
        guard let byteCount = TensorEntry.byteCount(dtype: dtype, shape: raw.shape) else {
            throw .entry("tensor \(name) has the impossible shape \(raw.shape)")
        }
        let (begin, end) = (raw.begin, raw.end)
        guard begin <= end else {
            throw .entry("tensor \(name) ends at byte \(end), before its start at \(begin)")
        }
        guard end <= fileSize - dataStart else {
            throw .pastEnd(
                "tensor \(name) ends at byte \(end) of the data, but the file has only"
                    + " \(fileSize - dataStart)")
        }
        guard end - begin == byteCount else {
            throw .entry(
                "tensor \(name) has \(end - begin) bytes, expected \(byteCount) for shape"
                    + " \(raw.shape) of \(dtype)")
        }
        return TensorEntry(
            dtype: dtype, shape: raw.shape, byteRange: (dataStart + begin)..<(dataStart + end))
    }

    /// Gaps between tensors are accepted; overlaps are not.
    private func checkOverlaps(_ file: String) throws(CheckpointError) {
        let order = tensors.filter { !$0.value.byteRange.isEmpty }
            .sorted { $0.value.byteRange.lowerBound < $1.value.byteRange.lowerBound }
        for (one, next) in zip(order, order.dropFirst())
        where next.value.byteRange.lowerBound < one.value.byteRange.upperBound {
            throw Self.bad(
                "\(file): tensors \(one.key.quoted) and \(next.key.quoted) claim the same bytes.")
        }
    }

    // MARK: Errors

    private static let remedy = "Download the file again."

    private static func bad(_ message: String) -> CheckpointError {
        CheckpointError(code: .badHeader, message: message, remedy: remedy)
    }

    private static func truncated(_ message: String) -> CheckpointError {
        CheckpointError(code: .truncated, message: message, remedy: remedy)
    }
}

/// The unvalidated entry of one tensor.
private struct RawEntry {
    var dtype = ""
    var shape: [Int] = []
    var begin = 0
    var end = 0

    init(_ scanner: inout JSONScanner, name: String) throws(JSONSyntaxError) {
        var dtype: String?
        var shape: [Int]?
        var offsets: [Int]?
        try scanner.object { (scanner, key) throws(JSONSyntaxError) in
            switch key {
            case "dtype" where dtype == nil:
                dtype = try scanner.string()
            case "shape" where shape == nil:
                shape = try Self.counts(&scanner, atMost: TensorEntry.rankLimit)
            case "data_offsets" where offsets == nil:
                offsets = try Self.counts(&scanner, atMost: 2)
            case "dtype", "shape", "data_offsets":
                throw scanner.failure("tensor \(name.quoted) has two entries \(key.quoted)")
            default:
                throw scanner.failure("tensor \(name.quoted) has the unknown entry \(key.quoted)")
            }
        }
        guard let dtype, let shape, let offsets else {
            throw scanner.failure("tensor \(name.quoted) lacks dtype, shape or data_offsets")
        }
        guard offsets.count == 2 else {
            throw scanner.failure("tensor \(name.quoted) lacks one of its two data_offsets")
        }
        self.dtype = dtype
        self.shape = shape
        begin = offsets[0]
        end = offsets[1]
    }

    private static func counts(
        _ scanner: inout JSONScanner, atMost limit: Int
    ) throws(JSONSyntaxError) -> [Int] {
        var counts: [Int] = []
        try scanner.array { (scanner) throws(JSONSyntaxError) in
            guard counts.count < limit else {
                throw scanner.failure("expected at most \(limit) numbers, found more")
            }
            guard case .integer(let count) = try scanner.number(), count >= 0 else {
                throw scanner.failure("expected a whole number that is not negative")
            }
            counts.append(Int(count))
        }
        return counts
    }
}

// Part of Inkstone. Licence: see LICENSE.

import Foundation
import ModelFiles
import Testing

/// A folder that is removed with its content when the object goes.
final class TemporaryFolder: Sendable {
    let url: URL

    init() throws {
        url = FileManager.default.temporaryDirectory
            .appending(path: "inkstone-tests-\(UUID().uuidString)")
        try FileManager.default.createDirectory(at: url, withIntermediateDirectories: true)
    }

    deinit { try? FileManager.default.removeItem(at: url) }

    /// Writes a file, making its folders.
    @discardableResult
    func write(_ bytes: some Sequence<UInt8>, to path: String) throws -> URL {
        let file = url.appending(path: path)
        try FileManager.default.createDirectory(
            at: file.deletingLastPathComponent(), withIntermediateDirectories: true)
        try Data(bytes).write(to: file)
        return file
    }

    @discardableResult
    func write(_ text: String, to path: String) throws -> URL {
        try write(text.utf8, to: path)
    }

    /// Names of everything inside, hidden files included.
    func contents() throws -> [String] {
        try FileManager.default.contentsOfDirectory(atPath: url.path).sorted()
    }
}

/// Bytes of a safetensors file with the given header and `count` bytes of data.
func safetensors(_ header: String, dataBytes count: Int = 0) -> [UInt8] {
    withUnsafeBytes(of: UInt64(header.utf8.count).littleEndian) { Array($0) }
        + header.utf8 + (0..<count).map { UInt8(truncatingIfNeeded: $0) }
}

/// Runs something that must fail with a `CheckpointError` whose text is fit for one line of a log.
@discardableResult
func failure<Result>(
    sourceLocation: SourceLocation = #_sourceLocation, _ body: () throws -> Result
) throws -> CheckpointError {
    let error = try #require(throws: CheckpointError.self, sourceLocation: sourceLocation) {
        _ = try body()
    }
    let text = error.description
    #expect(error.message.hasSuffix("."), "\(text)", sourceLocation: sourceLocation)
    #expect(!text.contains { $0.isNewline }, "\(text)", sourceLocation: sourceLocation)
    #expect(text.utf8.count < 8_000, sourceLocation: sourceLocation)
    return error
}

/// SplitMix64: the same numbers on every run.
struct SeededGenerator: RandomNumberGenerator {
    private var state: UInt64

    init(seed: UInt64) { state = seed }

    mutating func next() -> UInt64 {
        state &+= 0x9E37_79B9_7F4A_7C15
        var z = state
        z = (z ^ (z >> 30)) &* 0xBF58_476D_1CE4_E5B9
        z = (z ^ (z >> 27)) &* 0x94D0_49BB_1331_11EB
        return z ^ (z >> 31)
    }
}

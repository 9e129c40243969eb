// Part of Inkstone. Licence: see LICENSE.

import Foundation

/// A JSON document without its long strings, so that an image in base64 costs one scan and is not
/// decoded while the load runs.
package struct CutJSON: Sendable {
    /// The document; a long string is replaced by `@` and its index in `strings`.
    package let document: [UInt8]
    /// The long strings, in order, without quotes.
    package let strings: [[UInt8]]

    /// Longer strings are cut out, unless they contain escapes other than `\/`.
    private static let longest = 1024

    package init(_ bytes: [UInt8]) {
        var document: [UInt8] = []
        var strings: [[UInt8]] = []
        var position = 0
        var copied = 0
        bytes.withUnsafeBufferPointer { bytes in
            while let open = Self.quote(bytes, from: position) {
                guard let close = Self.end(bytes, from: open + 1) else { break }
                if close - open > Self.longest, let text = Self.plain(bytes[(open + 1)..<close]) {
                    document.append(contentsOf: bytes[copied...open])
                    document.append(contentsOf: "@\(strings.count)".utf8)
                    strings.append(text)
                    copied = close
                }
                position = close + 1
            }
            document.append(contentsOf: bytes[copied...])
        }
        self.document = document
        self.strings = strings
    }

    /// Decodes the document; `nil` when it is malformed.
    func decode<T: Decodable>(_ type: T.Type) -> T? {
        try? JSONDecoder().decode(type, from: Data(document))
    }

    /// The bytes of a string of the document: the long string that it replaces, or its own.
    package func text(_ string: String) -> [UInt8] {
        if string.first == "@", let index = Int(string.dropFirst()), strings.indices.contains(index)
        {
            return strings[index]
        }
        return [UInt8](string.utf8)
    }

    private static func quote(_ bytes: UnsafeBufferPointer<UInt8>, from start: Int) -> Int? {
        guard start < bytes.count, let base = bytes.baseAddress,
            let found = memchr(base + start, Int32(UInt8(ascii: "\"")), bytes.count - start)
        else { return nil }
        return UnsafeRawPointer(base).distance(to: UnsafeRawPointer(found))
    }

    /// The index of the closing quote of the string that starts before `start`.
    private static func end(_ bytes: UnsafeBufferPointer<UInt8>, from start: Int) -> Int? {
        var position = start
        while let candidate = quote(bytes, from: position) {
            var slashes = 0
            while candidate - slashes - 1 >= start,
                bytes[candidate - slashes - 1] == UInt8(ascii: "\\")
            {
                slashes += 1
            }
            if slashes.isMultiple(of: 2) { return candidate }
            position = candidate + 1
        }
        return nil
    }

    /// The string with the escapes `\/` replaced; `nil` when it contains others.
    private static func plain(_ text: Slice<UnsafeBufferPointer<UInt8>>) -> [UInt8]? {
        let isPlain =
            text.base.baseAddress.map {
                memchr($0 + text.startIndex, Int32(UInt8(ascii: "\\")), text.count) == nil
            } ?? true
        if isPlain { return [UInt8](text) }
        var result: [UInt8] = []
        result.reserveCapacity(text.count)
        var index = text.startIndex
        while index < text.endIndex {
            if text[index] == UInt8(ascii: "\\") {
                index += 1
                guard index < text.endIndex, text[index] == UInt8(ascii: "/") else { return nil }
            }
            result.append(text[index])
            index += 1
        }
        return result
    }
}

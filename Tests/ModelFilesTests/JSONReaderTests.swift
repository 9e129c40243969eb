// Part of Inkstone. Licence: see LICENSE.

import Foundation
import ModelFiles
import Testing

/// The one JSON reader: what it accepts, what it refuses, and that time and depth are bounded.
@Suite("JSON")
struct JSONReaderTests {
    private static let lenient = JSONScanner.Options(isLenient: true)

    private func parse(
        _ text: String, _ options: JSONScanner.Options = .init()
    ) throws(JSONSyntaxError) -> JSONValue {
        try JSONValue(Array(text.utf8), options: options)
    }

    private func error(_ text: String, _ options: JSONScanner.Options = .init()) -> JSONSyntaxError?
    {
        do {
            _ = try parse(text, options)
            return nil
        } catch { return error }
    }

    @Test("values of every kind")
    func values() throws {
        #expect(try parse(" null\n") == .null)
        #expect(
            try parse("[true,false , {}]") == .array([.bool(true), .bool(false), .object([:])]))
        #expect(try parse("{\"a\":{\"b\":[]}}") == .object(["a": .object(["b": .array([])])]))
        #expect(
            try parse(#""\"\\\/\b\f\n\r\t\u00E9\uD83D\uDE00é😀""#)
                == .string("\"\\/\u{8}\u{C}\n\r\té😀é😀"))
    }

    @Test("integers of 64 bits are exact, larger ones are rounded")
    func numbers() throws {
        #expect(try parse("-0") == .integer(0))
        #expect(try parse("9223372036854775807") == .integer(.max))
        #expect(try parse("-9223372036854775808") == .integer(.min))
        #expect(try parse("9223372036854775808") == .unsigned(1 << 63))
        #expect(try parse("18446744073709551615") == .unsigned(.max))
        #expect(try parse("18446744073709551616") == .number(0x1p64))
        #expect(try parse("-9223372036854775809") == .number(-0x1p63))
        #expect(try parse("1.0") == .number(1))
        #expect(try parse("1e-05") == .number(0.00001))
        #expect(
            try parse("[8.0,1e3,-0.0,0.5,1e20]", Self.lenient)
                == .array([.integer(8), .integer(1000), .integer(0), .number(0.5), .number(1e20)]))
        #expect(try parse("4.9e-324") == .number(.leastNonzeroMagnitude))
        #expect(error("1e999")?.reason == "a number is out of range")
        #expect(error(String(repeating: "1", count: 1025)) != nil)
        #expect(try parse(String(repeating: "1", count: 300)) != .null)
    }

    @Test(
        "damaged documents",
        arguments: [
            "", " ", "nul", "truex", "01", "-", "-a", "1.", ".5", "1e", "1e+", "+1", "NaN", "\"",
            #""\x""#, #""\u12""#, #""\u12g4""#, "\"a\nb\"", "'a'", "[1 2]", "[,]", "{\"a\"}",
            "{a:1}", "{\"a\":1} x", "// c\n1", "[", "{", "{\"a\":", "{\"a\" 1}", "]", "[}", "{]",
            "\u{FEFF}1", "1 2",
        ])
    func damaged(_ text: String) {
        #expect(error(text)?.kind == .syntax)
        #expect(error(text, Self.lenient)?.kind == .syntax)
    }

    @Test("errors name the place, what was expected and what was found")
    func messages() {
        #expect(error("[1, x]")?.reason == "expected a value, found 'x'")
        #expect(error("[1, x]")?.offset == 4)
        #expect(error("{\"a\" 1}")?.reason == "expected ':', found '1'")
        #expect(error("[1 2]")?.reason == "expected ',' or ']', found '2'")
        #expect(error("[1")?.reason == "expected ',' or ']', found the end")
        #expect(error("\u{1}")?.reason == "expected a value, found byte 0x1")
    }

    @Test("half a surrogate pair is refused, or read as U+FFFD")
    func surrogates() throws {
        for (escape, read) in [
            (#"\ud83d"#, "\u{FFFD}"), (#"\ude00"#, "\u{FFFD}"), (#"\ud83d\u0041"#, "\u{FFFD}A"),
            (#"\ud83d\ud83d\ude00"#, "\u{FFFD}😀"), (#"\ude00\ud83d"#, "\u{FFFD}\u{FFFD}"),
            (#"\ud83d\n"#, "\u{FFFD}\n"), (#"\ud83dx"#, "\u{FFFD}x"),
        ] {
            let text = "\"a\(escape)\""
            #expect(error(text)?.reason == "a string holds half a surrogate pair")
            #expect(try parse(text, Self.lenient) == .string("a" + read))
        }
        #expect(error(#""\ud83d\uZZZZ""#, Self.lenient)?.reason == "a string holds a broken escape")
    }

    @Test("equal keys and a last comma are refused, or the first key counts")
    func lenience() throws {
        #expect(error(#"{"a":1,"a":2}"#)?.reason == "the key 'a' comes twice")
        #expect(try parse(#"{"a":1,"a":2}"#, Self.lenient) == .object(["a": .integer(1)]))
        #expect(error("[1,]") != nil)
        #expect(error(#"{"a":1,}"#) != nil)
        #expect(try parse("[1, ]", Self.lenient) == .array([.integer(1)]))
        #expect(try parse(#"{"a":1,}"#, Self.lenient) == .object(["a": .integer(1)]))
    }

    @Test("the number of values and the length of keys are bounded on request")
    func bounds() throws {
        let few = JSONScanner.Options(valueLimit: 4)
        #expect(error("[1,2,3]", few) == nil)
        #expect(error(#"{"a":1,"b":[2]}"#, few) == nil)
        for document in ["[1,2,3,4]", "[[[[[]]]]]", #"{"a":{"a":{"a":{"a":0}}}}"#] {
            #expect(error(document, few)?.kind == .valueCount)
        }
        #expect(error("[1,2,3,4]", few)?.reason == "expected at most 4 values, found more")
        let short = JSONScanner.Options(keyLimit: 3)
        #expect(error(#"{"abc":"abcdef"}"#, short) == nil)
        #expect(error(#"{"abcd":0}"#, short)?.kind == .keyLength)
        #expect(
            error(#"[{"\u00e9\u00e9":0}]"#, short)?.reason
                == "expected a key of at most 3 bytes, found 4")
        #expect(error("[" + String(repeating: "0,", count: 200_000) + "0]") == nil)
    }

    @Test(
        "bytes that are not UTF-8",
        arguments: [
            [0xFF], [0x80], [0xC0, 0x80], [0xC3], [0xE0, 0x80, 0x80], [0xED, 0xA0, 0x80],
            [0xE2, 0x82], [0xF0, 0x80, 0x80, 0x80], [0xF4, 0x90, 0x80, 0x80],
            [0xF5, 0x80, 0x80, 0x80],
            [0xE2, 0x82, 0x28], [0xF0, 0x9F, 0x98, 0x28],
        ] as [[UInt8]])
    func notUTF8(_ bytes: [UInt8]) {
        for options in [JSONScanner.Options(), Self.lenient] {
            #expect(throws: JSONSyntaxError.self) {
                try JSONValue([0x22, 0x61] + bytes + [0x22], options: options)
            }
        }
    }

    @Test("every scalar comes back, as it is and as an escape")
    func scalars() throws {
        for value in stride(from: UInt32(0x20), through: 0x10FFFF, by: 7) {
            guard let scalar = Unicode.Scalar(value), scalar != "\"", scalar != "\\" else {
                continue
            }
            #expect(try parse("\"\(scalar)\"") == .string(String(scalar)))
            let escape = String(scalar).utf16.map { unit in
                "\\u" + String(0x10000 + Int(unit), radix: 16).dropFirst()
            }.joined()
            #expect(try parse("\"\(escape)\"") == .string(String(scalar)))
        }
    }

    @Test("nesting is bounded", arguments: ["[", "{\"a\":"])
    func nesting(_ bracket: String) throws {
        func nested(_ depth: Int, _ options: JSONScanner.Options) -> JSONSyntaxError? {
            let close = bracket == "[" ? "]" : "}"
            return error(
                String(repeating: bracket, count: depth) + "1"
                    + String(repeating: close, count: depth), options)
        }
        #expect(nested(64, .init()) == nil)
        #expect(nested(65, .init())?.kind == .nesting)
        #expect(nested(32, .init(depthLimit: 32)) == nil)
        #expect(nested(33, .init(depthLimit: 32))?.kind == .nesting)
        #expect(nested(1_000_000, .init())?.kind == .nesting)
        let bytes = Array(String(repeating: bracket, count: 100_000).utf8)
        bytes.withUnsafeBytes { bytes in
            var scanner = JSONScanner(bytes)
            #expect(throws: JSONSyntaxError.self) { try scanner.skip() }
        }
    }

    @Test("skipping passes over exactly one value")
    func skipping() throws {
        let values = ["1", "-2.5e3", "true", "null", #""a\"]""#, "[1,[2,{\"a\":[]}]]", "{}"]
        let text = values.map { " \($0) ," }.joined()
        try Array(text.utf8).withUnsafeBytes { bytes in
            var scanner = JSONScanner(bytes)
            for value in values {
                let range = try scanner.skip()
                #expect(String(decoding: bytes[range], as: UTF8.self) == value)
                try scanner.expect(",")
            }
            try scanner.expectEnd()
        }
    }

    /// Fifty million bytes take a second or two in a linear reader, and hours in a quadratic one.
    @Test(
        "long documents take linear time", .timeLimit(.minutes(5)),
        arguments: ["[", #"\n"#, #"\u00e9"#, "é", "1,", "\"\",", "1"])
    func linear(_ part: String) throws {
        let count = 50_000_000 / part.utf8.count
        var bytes = Array((part == "[" ? "" : part.hasSuffix(",") ? "[" : "\"").utf8)
        for _ in 0..<count { bytes += part.utf8 }
        bytes += (part == "[" ? "" : part.hasSuffix(",") ? "1]" : "\"").utf8
        try bytes.withUnsafeBytes { bytes in
            var scanner = JSONScanner(bytes)
            if part == "[" {
                #expect(throws: JSONSyntaxError.self) { try scanner.skip() }
            } else {
                let range = try scanner.skip()
                #expect(range == 0..<bytes.count)
            }
        }
    }

    @Test("bytes changed at random are read or refused as Foundation does")
    func mutations() throws {
        let document = Array(
            #"{"a": [1, -2.5e3, true, null, "x\u00e9\ud83d\ude00é😀\n"], "b": {"c": [], "d": {}}}"#
                .utf8)
        var random = SplitMix(state: 0x5EED)
        var accepted = 0
        for _ in 0..<20_000 {
            var bytes = document
            for _ in 0...random.below(3) {
                let place = random.below(bytes.count)
                switch random.below(4) {
                case 0: bytes[place] = UInt8(random.below(256))
                case 1: bytes.remove(at: place)
                case 2: bytes.insert(Array("[]{}\",:\\-u9e.".utf8)[random.below(13)], at: place)
                default: bytes.removeSubrange(place..<min(bytes.count, place + random.below(9)))
                }
                if bytes.isEmpty { break }
            }
            guard let value = try? JSONValue(bytes) else { continue }
            accepted += 1
            // Whatever a strict reader accepts, another reader accepts as well.
            let other = try? JSONSerialization.jsonObject(
                with: Data(bytes), options: .fragmentsAllowed)
            #expect(other != nil, "\(String(decoding: bytes, as: UTF8.self)) \(value)")
            #expect(throws: Never.self) { try JSONValue(bytes, options: Self.lenient) }
        }
        #expect(accepted > 100)
    }
}

/// Random numbers that are the same in every run.
private struct SplitMix {
    var state: UInt64

    mutating func below(_ bound: Int) -> Int {
        state &+= 0x9E37_79B9_7F4A_7C15
        var z = (state ^ (state >> 30)) &* 0xBF58_476D_1CE4_E5B9
        z = (z ^ (z >> 27)) &* 0x94D0_49BB_1331_11EB
        return Int((z ^ (z >> 31)) % UInt64(max(1, bound)))
    }
}

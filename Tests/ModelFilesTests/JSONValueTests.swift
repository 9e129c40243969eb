// Part of Inkstone. Licence: see LICENSE.

import Foundation
import ModelFiles
import Testing

@Suite struct JSONValueTests {
    private func parse(_ text: String) throws -> JSONValue {
        try Array(text.utf8).withUnsafeBytes { try JSONValue(parsing: $0, source: "'x.json'") }
    }

    @Test("documents are read") func reads() throws {
        #expect(try parse(" null ") == .null)
        #expect(try parse("[true,false]") == .array([.bool(true), .bool(false)]))
        #expect(try parse("-0") == .integer(0))
        #expect(try parse("9223372036854775807") == .integer(.max))
        #expect(try parse("9223372036854775808") == .unsigned(9_223_372_036_854_775_808))
        #expect(try parse("1e-05") == .number(0.00001))
        #expect(try parse("1.0") == .number(1))
        #expect(try parse("{\"a\":{\"b\":[]}}") == .object(["a": .object(["b": .array([])])]))
        #expect(
            try parse("\"\\\"\\\\\\/\\b\\f\\n\\r\\t\\u00E9\\uD83D\\uDE00é😀\"")
                == .string("\"\\/\u{8}\u{C}\n\r\té😀é😀"))
    }

    @Test(
        "damaged documents are refused",
        arguments: [
            "", " ", "nul", "truex", "01", "-", "1.", ".5", "1e", "+1", "1e999", "NaN", "Infinity",
            "\"", "\"\\x\"", "\"\\u12\"", "\"\\ud800\"", "\"\\ud800\\u0041\"", "\"\\udc00\"",
            "\"a\nb\"", "'a'", "[1,]", "[1 2]", "{\"a\"}", "{\"a\":1,}", "{a:1}", "{\"a\":1} x",
            "{\"a\":1,\"a\":2}", "// c\n1", "[", "{", "{\"a\":", "\u{FEFF}1",
        ])
    func refuses(_ text: String) throws {
        #expect(try failure { try parse(text) }.code == .badConfig)
    }

    @Test("endless nesting is refused") func refusesNesting() throws {
        #expect(
            try parse(String(repeating: "[", count: 64) + String(repeating: "]", count: 64))
                != .null)
        #expect(try failure { try parse(String(repeating: "[", count: 65)) }.code == .badConfig)
        #expect(
            try failure { try parse(String(repeating: "{\"a\":", count: 1_000_000)) }.code
                == .badConfig)
    }
}

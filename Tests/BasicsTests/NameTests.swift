// Part of Inkstone. Licence: see LICENSE.

import Basics
import Testing

@Suite("Names and texts")
struct NameTests {
    @Test(
        "plain names are letters, digits, '.', '_' and '-'",
        arguments: [
            ("a", true), ("Z-Image_2.0", true), ("9", true), ("", false), ("a b", false),
            ("a/b", false), ("é", false), ("a\n", false), ("٣", false), ("a\u{301}", false),
        ])
    func plainNames(_ text: String, _ expected: Bool) {
        #expect(text.isPlainName(atMost: 20, notBeginningWith: ".-") == expected)
    }

    @Test("length and first character of plain names are limited")
    func limits() {
        #expect("abc".isPlainName(atMost: 3, notBeginningWith: ""))
        #expect(!"abcd".isPlainName(atMost: 3, notBeginningWith: ""))
        #expect(".a".isPlainName(atMost: 3, notBeginningWith: ""))
        #expect(!".a".isPlainName(atMost: 3, notBeginningWith: ".-"))
        #expect(!"-a".isPlainName(atMost: 3, notBeginningWith: ".-"))
        #expect("a-.".isPlainName(atMost: 3, notBeginningWith: ".-"))
    }

    @Test("quoted text stays on one line and is bounded")
    func quoted() {
        #expect("a'b".quoted == "'a'b'")
        #expect("a\nb\u{7F}\u{85}\u{2028}".quoted == "'a\\u{a}b\\u{7f}\\u{85}\\u{2028}'")
        let long = String(repeating: "x", count: 201).quoted
        #expect(long == "'" + String(repeating: "x", count: 200) + "…'")
        #expect("a\r\nb\u{2029}c".onOneLine == "a  b c")
    }

    @Test("numbers of bytes")
    func bytes() {
        #expect(28_640_000.byteText == "28.6 MB")
        #expect(999_999_999.byteText == "1000.0 MB")
        #expect(1_000_000_000.byteText == "1.0 GB")
        #expect(12_345_678_901.byteText == "12.3 GB")
        #expect(50_000_000.gigabyteText == "0.1 GB")
        #expect(12_345_678_901.preciseGigabyteText == "12.35 GB")
        #expect(500_000_000.preciseGigabyteText == "0.5 GB")
        #expect(28_999_999.megabyteText == "28 MB")
    }
}

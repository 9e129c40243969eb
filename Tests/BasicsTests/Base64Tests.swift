// Part of Inkstone. Licence: see LICENSE.

import Basics
import Foundation
import Testing

@Suite("Base64")
struct Base64Tests {
    private func decode(_ text: String) -> [UInt8]? {
        var text = text
        return text.withUTF8 { Base64.decode($0) }
    }

    @Test("bytes of every length come back, with padding or without, in lines or not")
    func lengths() {
        var state = UInt64(1)
        for length in 0...300 {
            let bytes = (0..<length).map { _ -> UInt8 in
                state = state &* 6_364_136_223_846_793_005 &+ 1_442_695_040_888_963_407
                return UInt8(truncatingIfNeeded: state >> 56)
            }
            let text = Data(bytes).base64EncodedString()
            let lines = Data(bytes).base64EncodedString(options: .lineLength64Characters)
            #expect(decode(text) == bytes)
            #expect(decode(lines) == bytes)
            #expect(decode(text.replacing("=", with: "")) == bytes)
            #expect(
                decode(text.replacing("+", with: "-").replacing("/", with: "_")) == bytes)
        }
    }

    @Test(
        "text that is not base64 is refused",
        arguments: ["A", "AAAAA", "AA=A", "AA==AA", "A===", "A*AA", "é", "AAAA\u{0}", "data:,AAAA"])
    func refused(text: String) {
        #expect(decode(text) == nil)
    }

    @Test("blanks alone are empty")
    func blanks() {
        #expect(decode("") == [])
        #expect(decode(" \r\n\t") == [])
    }
}

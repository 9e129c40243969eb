// Part of Inkstone. Licence: see LICENSE.

import Basics
import Testing

@Suite struct HexadecimalTests {
    @Test("bytes have two digits each") func bytes() {
        #expect([UInt8]().hexadecimal.isEmpty)
        #expect([0, 9, 10, 127, 255].hexadecimal == "00090a7fff")
    }

    @Test("numbers are padded, and never cut") func numbers() {
        #expect(UInt8(7).hexadecimal(digits: 2) == "07")
        #expect(UInt8(171).hexadecimal(digits: 2, uppercase: true) == "AB")
        #expect(UInt32(0x1F).hexadecimal(digits: 4) == "001f")
        #expect(UInt64.max.hexadecimal(digits: 4) == "ffffffffffffffff")
        #expect(UInt64(0).hexadecimal(digits: 16) == "0000000000000000")
    }
}

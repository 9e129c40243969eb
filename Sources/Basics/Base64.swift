// Part of Inkstone. Licence: see LICENSE.

/// The base64 coding of bytes as text.
package enum Base64 {
    /// What a byte of the text means, other than the 64 digits.
    private static let (blank, padding, invalid) = (UInt8(64), UInt8(65), UInt8(66))

    /// The value of each byte as a digit, or one of the three marks above.
    private static let digits: [UInt8] = {
        var table = [UInt8](repeating: invalid, count: 256)
        let alphabet = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/"
        for (value, character) in alphabet.utf8.enumerated() {
            table[Int(character)] = UInt8(value)
        }
        table[Int(UInt8(ascii: "-"))] = 62
        table[Int(UInt8(ascii: "_"))] = 63
        for character in " \t\r\n".utf8 { table[Int(character)] = blank }
        table[Int(UInt8(ascii: "="))] = padding
        return table
    }()

    /// Decodes text of the standard alphabet or that of URLs; white space is skipped, and the padding at the
    /// end may be absent.
    ///
    /// - Returns: `nil` for text with another character, with a digit behind the padding, or with a last group
    ///   of one digit.
    /// - Complexity: linear in the length of the text.
    package static func decode(_ text: UnsafeBufferPointer<UInt8>) -> [UInt8]? {
        var isValid = true
        let bytes = digits.withUnsafeBufferPointer { digits in
            [UInt8](unsafeUninitializedCapacity: text.count / 4 * 3 + 3) { target, count in
                var (group, groupCount, isPadded) = (UInt32(0), 0, false)
                for byte in text {
                    let digit = digits[Int(byte)]
                    guard digit < 64, !isPadded else {
                        if digit == blank { continue }
                        if digit == padding {
                            isPadded = true
                            continue
                        }
                        isValid = false
                        return
                    }
                    group = group << 6 | UInt32(digit)
                    groupCount += 1
                    guard groupCount == 4 else { continue }
                    target[count] = UInt8(truncatingIfNeeded: group >> 16)
                    target[count + 1] = UInt8(truncatingIfNeeded: group >> 8)
                    target[count + 2] = UInt8(truncatingIfNeeded: group)
                    count += 3
                    (group, groupCount) = (0, 0)
                }
                switch groupCount {
                case 0: break
                case 2:
                    target[count] = UInt8(truncatingIfNeeded: group >> 4)
                    count += 1
                case 3:
                    target[count] = UInt8(truncatingIfNeeded: group >> 10)
                    target[count + 1] = UInt8(truncatingIfNeeded: group >> 2)
                    count += 2
                default: isValid = false
                }
            }
        }
        return isValid ? bytes : nil
    }
}

// Part of Inkstone. Licence: see LICENSE.

import Foundation

/// Formats numbers as text, the same on every machine.
package enum Figures {
    /// Formats with a fixed number of decimals; `-` for NaN and infinity.
    package static func decimals(_ value: Double, _ count: Int) -> String {
        guard value.isFinite else { return "-" }
        let text = String(format: "%.\(count)f", locale: nil, value)
        // A small negative number must not become "-0.0".
        return text.contains(where: { ("1"..."9").contains($0) })
            ? text : text.replacing("-", with: "")
    }

    /// Formats with a number of significant digits and no exponent; `-` for NaN and infinity.
    package static func significant(_ value: Double, _ digits: Int) -> String {
        guard value.isFinite else { return "-" }
        guard value != 0 else { return "0" }
        let magnitude = Int(log10(abs(value)).rounded(.down))
        let first = decimals(value, max(0, digits - 1 - magnitude))
        // 0.996 to two digits is 1.0, not 1.00.
        let rounded = Double(first) ?? value
        guard rounded != 0 else { return first }
        let after = Int(log10(abs(rounded)).rounded(.down))
        return after == magnitude ? first : decimals(value, max(0, digits - 1 - after))
    }

    /// Formats a whole number with spaces between thousands: `12 790`.
    package static func grouped(_ value: Double) -> String {
        let digits = decimals(abs(value).rounded(), 0)
        guard digits != "-" else { return "-" }
        var result = ""
        for (index, digit) in digits.enumerated() {
            if index > 0, (digits.count - index).isMultiple(of: 3) { result.append(" ") }
            result.append(digit)
        }
        return value < 0 && digits != "0" ? "-" + result : result
    }
}

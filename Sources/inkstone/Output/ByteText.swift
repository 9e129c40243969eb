// Part of Inkstone. Licence: see LICENSE.

extension Int {
    /// Formats a number of bytes: `28.6 MB`, `12.3 GB`.
    var asBytes: String {
        self >= 1_000_000_000
            ? "\((Double(self) / 1e8).rounded() / 10) GB"
            : "\((Double(self) / 1e5).rounded() / 10) MB"
    }

    /// Digits in groups of three: `13,005,171`.
    var grouped: String {
        var digits = String(self)
        var groups: [String] = []
        while digits.count > 3 {
            groups.insert(String(digits.suffix(3)), at: 0)
            digits.removeLast(3)
        }
        return ([digits] + groups).joined(separator: ",")
    }
}

// Part of Inkstone. Licence: see LICENSE.

extension Int {
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

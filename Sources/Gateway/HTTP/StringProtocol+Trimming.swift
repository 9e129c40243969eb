// Part of Inkstone. Licence: see LICENSE.

extension StringProtocol {
    /// The text without any of some characters at its ends.
    ///
    /// Scalars are compared: characters of many scalars take quadratic time to compare.
    func trimming(_ characters: String) -> String {
        let set = characters.unicodeScalars
        var scalars = Substring(self).unicodeScalars
        while let first = scalars.first, set.contains(first) { scalars.removeFirst() }
        while let last = scalars.last, set.contains(last) { scalars.removeLast() }
        return String(Substring(scalars))
    }
}

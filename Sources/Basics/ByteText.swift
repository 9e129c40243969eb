// Part of Inkstone. Licence: see LICENSE.

extension Int {
    /// A number of bytes as text with one decimal: `28.6 MB`, `12.3 GB`.
    package var byteText: String {
        self >= 1_000_000_000 ? gigabyteText : "\((Double(self) / 1e5).rounded() / 10) MB"
    }

    /// A number of bytes as text in gigabytes with one decimal: `12.3 GB`.
    package var gigabyteText: String { "\((Double(self) / 1e8).rounded() / 10) GB" }

    /// A number of bytes as text in gigabytes with at most two decimals: `12.34 GB`.
    package var preciseGigabyteText: String { "\((Double(self) / 1e7).rounded() / 100) GB" }

    /// A number of bytes as text in whole megabytes, rounded down: `28 MB`.
    package var megabyteText: String { "\(self / 1_000_000) MB" }
}

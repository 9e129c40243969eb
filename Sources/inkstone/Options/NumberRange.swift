// Part of Inkstone. Licence: see LICENSE.

import ArgumentParser

/// Validates the range of an option's value, if it was given.
func check(
    _ option: String, _ number: Int?, in range: ClosedRange<Int>
) throws(ValidationError) {
    guard let number, !range.contains(number) else { return }
    throw ValidationError(
        "\(option) must be between \(range.lowerBound) and \(range.upperBound), got \(number).")
}

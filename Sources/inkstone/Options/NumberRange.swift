// Part of Inkstone. Licence: see LICENSE.

import ArgumentParser

/// Refuses a number that was given and is outside of what an option takes.
func check(
    _ option: String, _ number: Int?, in range: ClosedRange<Int>
) throws(ValidationError) {
    guard let number, !range.contains(number) else { return }
    throw ValidationError(
        "\(option) must be between \(range.lowerBound) and \(range.upperBound), got \(number).")
}

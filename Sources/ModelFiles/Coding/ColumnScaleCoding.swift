// Part of Inkstone. Licence: see LICENSE.

/// Another coding's rows with a factor per column, which the file applies to the inputs.
struct ColumnScaleCoding: TensorCoding {
    let base: any TensorCoding
    /// One factor a column of the base's rows.
    let factors: [Float]

    var name: String { base.name }
    var unit: Int { base.unit }

    func decode(
        _ bytes: UnsafeRawBufferPointer, units: Range<Int>,
        into numbers: UnsafeMutablePointer<Float>
    ) {
        base.decode(bytes, units: units, into: numbers)
        for index in 0..<(units.count * unit) { numbers[index] *= factors[index % unit] }
    }
}

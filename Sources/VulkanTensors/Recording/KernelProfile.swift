// Part of Inkstone. Licence: see LICENSE.

/// The arithmetic of a dispatch, for comparisons with the peak of the device.
package struct KernelWork: Sendable, Hashable {
    /// What is multiplied.
    package enum Numbers: String, Sendable, CaseIterable {
        case f32, f16, int8
    }

    package let numbers: Numbers
    /// Operations; a multiply-add counts as two.
    package let operations: Int

    /// Operations on some numbers.
    package init(_ numbers: Numbers, operations: Int) {
        self.numbers = numbers
        self.operations = operations
    }
}

/// How long the commands of a recorder took, by timestamps of the device.
package struct KernelProfile: Sendable {
    /// Commands of one kind.
    package struct Entry: Sendable {
        /// The kernel; `nil` for copies, fills and small uploads.
        package let kernel: Kernel?
        /// What its products multiply, if it has any.
        package let numbers: KernelWork.Numbers?
        package internal(set) var calls = 0
        /// Time from the end of all earlier commands to the end of these.
        package internal(set) var seconds = 0.0
        package internal(set) var operations = 0
    }

    package internal(set) var entries: [Entry] = []
    /// Time between the end of a submission and the beginning of the next.
    package internal(set) var idleSeconds = 0.0
    /// Submissions that were measured.
    package internal(set) var submissions = 0

    /// Time of all commands.
    package var seconds: Double { entries.reduce(0) { $0 + $1.seconds } }
}

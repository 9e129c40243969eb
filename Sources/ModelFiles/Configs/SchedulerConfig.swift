// Part of Inkstone. Licence: see LICENSE.

public import Foundation

/// Parameters of the noise schedule, as in `scheduler/scheduler_config.json`.
///
/// - Source: diffusers 0.42.1, `FlowMatchEulerDiscreteScheduler.__init__`, also for the defaults.
public struct SchedulerConfig: Sendable, Equatable {
    /// How a shift that depends on the image size is applied.
    public enum TimeShift: String, Sendable, Equatable, CaseIterable {
        /// The shift is `e^mu`.
        case exponential
        /// The shift is `mu`.
        case linear
    }

    /// Shift towards noise; 3 for Z-Image-Turbo, 6 for Z-Image.
    public var shift: Double
    /// Whether the shift depends on the image size; no release uses it.
    public var usesDynamicShifting: Bool
    /// `mu` at `baseImageSequenceLength` tokens.
    public var baseShift: Double
    /// `mu` at `maxImageSequenceLength` tokens.
    public var maxShift: Double
    /// Number of image tokens for `baseShift`.
    public var baseImageSequenceLength: Int
    /// Number of image tokens for `maxShift`.
    public var maxImageSequenceLength: Int
    /// How the dynamic shift is applied.
    public var timeShiftType: TimeShift

    /// A configuration; the defaults are those of the scheduler's class.
    public init(
        shift: Double = 1, usesDynamicShifting: Bool = false, baseShift: Double = 0.5,
        maxShift: Double = 1.15, baseImageSequenceLength: Int = 256,
        maxImageSequenceLength: Int = 4096, timeShiftType: TimeShift = .exponential
    ) {
        self.shift = shift
        self.usesDynamicShifting = usesDynamicShifting
        self.baseShift = baseShift
        self.maxShift = maxShift
        self.baseImageSequenceLength = baseImageSequenceLength
        self.maxImageSequenceLength = maxImageSequenceLength
        self.timeShiftType = timeShiftType
    }

    /// The configuration of Z-Image-Turbo, and of repacks without a scheduler folder.
    public static let turbo = SchedulerConfig(shift: 3)

    /// Reads and checks a `scheduler_config.json`.
    ///
    /// - Throws: `CheckpointError` of code `badConfig` for invalid values, `unsupported` for
    ///   schedules that are not implemented.
    public init(contentsOf url: URL) throws(CheckpointError) {
        let reader = try ConfigReader(contentsOf: url)
        try reader.require("_class_name", .string("FlowMatchEulerDiscreteScheduler"))
        // The pipeline always uses 1000, independent of this value.
        try reader.require("num_train_timesteps", .integer(1000))
        for key in [
            "invert_sigmas", "use_karras_sigmas", "use_exponential_sigmas", "use_beta_sigmas",
            "stochastic_sampling",
        ] {
            try reader.require(key, .bool(false))
        }
        try reader.requireAbsent("shift_terminal")
        self.init()
        shift = try reader.number("shift", in: 0.001...1000) ?? shift
        usesDynamicShifting = try reader.bool("use_dynamic_shifting") ?? usesDynamicShifting
        baseShift = try reader.number("base_shift", in: -100...100) ?? baseShift
        maxShift = try reader.number("max_shift", in: -100...100) ?? maxShift
        baseImageSequenceLength =
            try reader.integer("base_image_seq_len", in: 1...16_777_216)
            ?? baseImageSequenceLength
        maxImageSequenceLength =
            try reader.integer("max_image_seq_len", in: 1...16_777_216) ?? maxImageSequenceLength
        if let name = try reader.string("time_shift_type") {
            guard let type = TimeShift(rawValue: name) else {
                throw reader.unsupported(
                    "time_shift_type", .string(name), expected: "'exponential' or 'linear'")
            }
            timeShiftType = type
        }
        guard baseImageSequenceLength < maxImageSequenceLength else {
            throw reader.bad(
                "base_image_seq_len \(baseImageSequenceLength) is not below max_image_seq_len"
                    + " \(maxImageSequenceLength)")
        }
    }
}

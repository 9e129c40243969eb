// Part of Inkstone. Licence: see LICENSE.

import Basics

extension Sampler {
    /// The name in A1111's lists and in image files.
    public var label: String {
        switch self {
        case .euler: "Euler"
        case .heun: "Heun"
        case .dpm2: "DPM2"
        case .eulerAncestral: "Euler a"
        case .dpmpp2SAncestral: "DPM++ 2S a"
        case .dpmpp2M: "DPM++ 2M"
        case .dpmpp2MLambda: "DPM++ 2M Lambda"
        case .dpmpp2MSDE: "DPM++ 2M SDE"
        case .lcm: "LCM"
        case .resMultistep: "Res Multistep"
        case .res2S: "Res 2S"
        case .erSDE: "ER SDE"
        case .uniPC: "UniPC"
        }
    }

    /// Further names that A1111, ComfyUI, stable-diffusion.cpp and diffusers use.
    public var aliases: [String] {
        switch self {
        case .euler:
            [
                "k_euler", "DDIM", "ddim_trailing", "FlowMatchEulerDiscrete",
                "FlowMatchEulerDiscreteScheduler", "EulerDiscreteScheduler", "DDIMScheduler",
            ]
        case .heun: ["k_heun", "FlowMatchHeunDiscreteScheduler", "HeunDiscreteScheduler"]
        case .dpm2: ["k_dpm_2", "dpm2", "KDPM2DiscreteScheduler"]
        case .eulerAncestral:
            [
                "k_euler_a", "k_euler_ancestral", "euler_a", "LTXEulerAncestralRFScheduler",
                "EulerAncestralDiscreteScheduler",
            ]
        case .dpmpp2SAncestral: ["k_dpmpp_2s_a", "dpm++2s_a"]
        case .dpmpp2M: ["k_dpmpp_2m", "dpm++2m"]
        case .dpmpp2MLambda: ["DPMSolverMultistep", "DPMSolverMultistepScheduler"]
        case .dpmpp2MSDE: ["k_dpmpp_2m_sde", "dpmpp_2m_sde_gpu", "dpm++2m_sde"]
        case .lcm: ["k_lcm", "FlowMatchLCMScheduler", "LCMScheduler"]
        case .resMultistep: []
        case .res2S: []
        case .erSDE: ["ER-SDE-Solver"]
        case .uniPC: ["unipc", "uni_pc_bh2", "UniPCMultistepScheduler"]
        }
    }

    /// Samplers of A1111 that this program does not have.
    static let missing = [
        "DPM++ SDE", "DPM++ 2M SDE Heun", "DPM++ 3M SDE", "LMS", "DPM2 a", "DPM fast",
        "DPM adaptive", "Restart", "DDIM CFG++", "PLMS",
    ]
}

extension NoiseSchedule {
    /// The name in A1111's lists and in image files.
    public var label: String {
        switch self {
        case .standard: "Automatic"
        case .simple: "Simple"
        case .sgmUniform: "SGM Uniform"
        case .normal: "Normal"
        case .beta: "Beta"
        case .beta57: "Beta57"
        case .karras: "Karras"
        case .exponential: "Exponential"
        case .klOptimal: "KL Optimal"
        case .ddimUniform: "DDIM"
        case .linearQuadratic: "Linear Quadratic"
        case .bongTangent: "Bong Tangent"
        case .smoothstep: "Smoothstep"
        }
    }

    /// Further names that A1111, stable-diffusion.cpp and diffusers use.
    public var aliases: [String] {
        switch self {
        case .standard: ["auto", "FlowMatchEulerDiscrete", "FlowMatchEulerDiscreteScheduler"]
        case .normal: ["uniform", "discrete"]
        case .exponential: ["polyexponential"]
        default: []
        }
    }

    /// Schedules of A1111 that this program does not have.
    static let missing = [
        "Align Your Steps", "Align Your Steps GITS", "Align Your Steps 11", "Align Your Steps 32",
        "Turbo",
    ]
}

/// The sampler and the schedule that names of any program choose.
public struct SamplingChoice: Sendable, Equatable {
    /// The sampler; `nil` stands for the default.
    public private(set) var sampler: Sampler?
    /// The schedule; `nil` stands for the default.
    public private(set) var schedule: NoiseSchedule?

    /// Reads the names of a sampler and of a schedule.
    ///
    /// Case, spaces and underscores do not count. A sampler's name may end in a schedule's, as in "DPM++ 2M
    /// Karras", and a schedule may be a sampler's name, as the classes of diffusers are, where no sampler is named.
    ///
    /// - Throws: `RequestError` with the list of names, for field `sampler` or `scheduler`.
    public init(sampler: String?, schedule: String?) throws(RequestError) {
        if let sampler, !Self.isDefault(sampler) { try read(sampler: sampler) }
        guard let schedule, !Self.isDefault(schedule) else { return }
        let key = Self.key(schedule)
        if let known = Self.schedules[key] {
            self.schedule = known
        } else if let known = Self.samplers[key], self.sampler ?? known == known {
            self.sampler = known
        } else {
            throw RequestError(
                field: "scheduler",
                message: "scheduler must be one of \(Self.list(NoiseSchedule.allCases)), got"
                    + " \(schedule.quoted)\(Self.remark(key, Self.missingSchedules)).")
        }
    }

    private mutating func read(sampler text: String) throws(RequestError) {
        let key = Self.key(text)
        if let known = Self.samplers[key] {
            sampler = known
            return
        }
        for (name, known) in Self.schedules where key.hasSuffix(name) {
            guard let start = Self.samplers[String(key.dropLast(name.count))] else { continue }
            (sampler, schedule) = (start, known)
            return
        }
        throw RequestError(
            field: "sampler",
            message: "sampler must be one of \(Self.list(Sampler.allCases)), got"
                + " \(text.quoted)\(Self.remark(key, Self.missingSamplers)).")
    }

    // MARK: - Names

    private static let samplers = table(Sampler.allCases) { [$0.rawValue, $0.label] + $0.aliases }
    private static let schedules = table(NoiseSchedule.allCases) {
        [$0.rawValue, $0.label] + $0.aliases
    }
    private static let missingSamplers = Set(Sampler.missing.map(key))
    private static let missingSchedules = Set(NoiseSchedule.missing.map(key))

    private static func table<Value>(
        _ values: [Value], _ names: (Value) -> [String]
    ) -> [String: Value] {
        Dictionary(values.flatMap { value in names(value).map { (key($0), value) } }) { a, _ in a }
    }

    /// The letters, digits and plus signs of a name, in lower case; "pp" is what ComfyUI writes for "++".
    private static func key(_ name: String) -> String {
        guard name.utf8.count <= 64 else { return "" }
        let kept = name.utf8.filter { byte in
            switch byte {
            case UInt8(ascii: "a")...UInt8(ascii: "z"), UInt8(ascii: "A")...UInt8(ascii: "Z"),
                UInt8(ascii: "0")...UInt8(ascii: "9"), UInt8(ascii: "+"):
                true
            default: false
            }
        }
        return String(decoding: kept, as: UTF8.self).lowercased().replacing("dpmpp", with: "dpm++")
    }

    /// Whether a name stands for the default of either list.
    private static func isDefault(_ name: String) -> Bool {
        name.isEmpty || ["default", "auto", "automatic", "none"].contains(key(name))
    }

    private static func remark(_ key: String, _ missing: Set<String>) -> String {
        missing.contains(key) ? ", which this program does not have" : ""
    }

    private static func list<Value: RawRepresentable<String>>(_ values: [Value]) -> String {
        values.map(\.rawValue).joined(separator: ", ")
    }
}

// Part of Inkstone. Licence: see LICENSE.

import Foundation
import Synchronization

/// The energy that this machine has used since the meter was created, by source.
///
/// * RAPL: `powercap/intel-rapl:N` of the kernel, the package and its memory, for Intel and AMD. Since 2020 only root
///   can read the counters.
/// * NVML: the counters of NVIDIA's devices.
/// * amdgpu: the power of the device, summed over the time between readings.
///
/// - Source: `Documentation/power/powercap/powercap.rst` and `Documentation/gpu/amdgpu/thermal.rst` of Linux.
package final class EnergyMeter: Sendable {
    /// What was read at a moment.
    package struct Reading: Sendable, Equatable {
        /// Joules since the first reading, by source, for instance `rapl package-0`.
        package var joules: [String: Double] = [:]
        /// MiB in use on the devices; absent without one.
        package var deviceMemory: Double?
        /// Source of the memory: `nvml` or `amdgpu`.
        package var memorySource: String?

        package init() {}
    }

    /// A counter of microjoules that starts again at its range.
    fileprivate struct Counter {
        var name: String
        var file: String
        var range: Double
        var last: Double
        var joules = 0.0
    }

    /// A file with a power in microwatts.
    fileprivate struct Power {
        var name: String
        var file: String
        var last: Double
        var time: Int64?
        var joules = 0.0
    }

    fileprivate struct State {
        var counters: [Counter]
        var powers: [Power]
        var deviceStart: [Double]
    }

    private let state: Mutex<State>
    private let memoryFiles: [String]
    private let devices: NVMLDevices?

    /// Finds the counters below `root`, which is `/sys` but in tests.
    package init(root: String = "/sys", devices: NVMLDevices? = NVMLDevices()) {
        self.devices = devices
        let cards = Self.entries("\(root)/class/drm").filter { $0.wholeMatch(of: /card\d+/) != nil }
            .map { "\(root)/class/drm/\($0)/device" }
        memoryFiles = cards.map { $0 + "/mem_info_vram_used" }
            .filter { Self.number($0) != nil }
        let start = devices?.millijoules ?? []
        state = Mutex(
            State(
                counters: Self.counters("\(root)/class/powercap"), powers: Self.powers(cards),
                deviceStart: start))
    }

    /// Whether there is anything to read.
    package var isEmpty: Bool {
        devices == nil && memoryFiles.isEmpty
            && state.withLock { $0.counters.isEmpty && $0.powers.isEmpty }
    }

    /// Reads all counters; `time` is in nanoseconds of any clock.
    package func read(at time: Int64) -> Reading {
        var reading = Reading()
        state.withLock { state in
            for index in state.counters.indices {
                state.counters[index].advance()
                reading.joules[state.counters[index].name] = state.counters[index].joules
            }
            for index in state.powers.indices {
                state.powers[index].advance(to: time)
                reading.joules[state.powers[index].name] = state.powers[index].joules
            }
            for (index, value) in (devices?.millijoules ?? []).enumerated() {
                guard state.deviceStart.indices.contains(index) else { continue }
                reading.joules["nvml \(index)"] = (value - state.deviceStart[index]) / 1000
            }
        }
        if let used = devices?.memoryInUse {
            reading.deviceMemory = used / 1_048_576
            reading.memorySource = "nvml"
        } else if !memoryFiles.isEmpty {
            reading.deviceMemory =
                memoryFiles.compactMap(Self.number).reduce(0, +) / 1_048_576
            reading.memorySource = "amdgpu"
        }
        return reading
    }

    // MARK: Files

    /// The zones of packages and of their memory; the zone of the whole platform only without packages.
    private static func counters(_ folder: String) -> [Counter] {
        let zones = entries(folder).filter { $0.hasPrefix("intel-rapl:") }.sorted()
        let named = zones.compactMap { zone -> (zone: String, name: String)? in
            text("\(folder)/\(zone)/name").map { (zone, $0) }
        }
        let packages = named.filter { $0.name.hasPrefix("package") }
        let chosen = packages.isEmpty ? named.filter { $0.name == "psys" } : packages
        let memory = named.filter { $0.name == "dram" }
        return (chosen + (packages.isEmpty ? [] : memory)).compactMap { zone, name in
            let file = "\(folder)/\(zone)/energy_uj"
            guard let value = number(file),
                let range = number("\(folder)/\(zone)/max_energy_range_uj")
            else { return nil }
            let suffix = name == "dram" ? " of \(zone.dropFirst("intel-rapl:".count))" : ""
            return Counter(name: "rapl \(name)\(suffix)", file: file, range: range, last: value)
        }
    }

    private static func powers(_ cards: [String]) -> [Power] {
        cards.enumerated().compactMap { index, card in
            for monitor in entries(card + "/hwmon").sorted() {
                for name in ["power1_average", "power1_input"] {
                    let file = "\(card)/hwmon/\(monitor)/\(name)"
                    if let value = number(file) {
                        return Power(name: "amdgpu \(index)", file: file, last: value)
                    }
                }
            }
            return nil
        }
    }

    private static func entries(_ folder: String) -> [String] {
        (try? FileManager.default.contentsOfDirectory(atPath: folder)) ?? []
    }

    private static func text(_ file: String) -> String? {
        (try? String(contentsOfFile: file, encoding: .utf8))?
            .trimmingCharacters(in: .whitespacesAndNewlines)
    }

    private static func number(_ file: String) -> Double? { text(file).flatMap { Double($0) } }
}

extension EnergyMeter.Counter {
    fileprivate mutating func advance() {
        guard
            let value = (try? String(contentsOfFile: file, encoding: .utf8)).flatMap({
                Double($0.trimmingCharacters(in: .whitespacesAndNewlines))
            })
        else { return }
        let used = value >= last ? value - last : value + range - last
        joules += used / 1e6
        last = value
    }
}

extension EnergyMeter.Power {
    fileprivate mutating func advance(to now: Int64) {
        guard
            let value = (try? String(contentsOfFile: file, encoding: .utf8)).flatMap({
                Double($0.trimmingCharacters(in: .whitespacesAndNewlines))
            })
        else { return }
        if let time { joules += (value + last) / 2 / 1e6 * Double(now - time) / 1e9 }
        (last, time) = (value, now)
    }
}

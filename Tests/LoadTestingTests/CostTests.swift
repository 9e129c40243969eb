// Part of Inkstone. Licence: see LICENSE.

import Foundation
import LoadTesting
import Testing

/// Energy counters below a folder that stands for `/sys`, and what an image costs.
@Suite struct CostTests {
    /// A folder that stands for `/sys`.
    private final class FalseSystem {
        let root: URL

        init() throws {
            root = FileManager.default.temporaryDirectory.appending(path: "sys-\(UUID())")
            try FileManager.default.createDirectory(at: root, withIntermediateDirectories: true)
        }

        deinit { try? FileManager.default.removeItem(at: root) }

        func write(_ path: String, _ text: String) throws {
            let file = root.appending(path: path)
            try FileManager.default.createDirectory(
                at: file.deletingLastPathComponent(), withIntermediateDirectories: true)
            try Data((text + "\n").utf8).write(to: file)
        }

        func zone(_ name: String, _ title: String, _ energy: Int, range: Int = 1_000_000_000) throws
        {
            try write("class/powercap/\(name)/name", title)
            try write("class/powercap/\(name)/energy_uj", "\(energy)")
            try write("class/powercap/\(name)/max_energy_range_uj", "\(range)")
        }

        var meter: EnergyMeter { EnergyMeter(root: root.path, devices: nil) }
    }

    @Test("packages and their memory are counted, not their cores nor the platform")
    func zones() throws {
        let system = try FalseSystem()
        try system.zone("intel-rapl:0", "package-0", 5_000_000)
        try system.zone("intel-rapl:0:0", "core", 1_000_000)
        try system.zone("intel-rapl:0:1", "dram", 2_000_000)
        try system.zone("intel-rapl:1", "psys", 9_000_000)
        let meter = system.meter
        #expect(meter.read(at: 0).joules == ["rapl package-0": 0, "rapl dram of 0:1": 0])
        try system.zone("intel-rapl:0", "package-0", 8_000_000)
        try system.zone("intel-rapl:0:1", "dram", 2_500_000)
        #expect(meter.read(at: 1).joules == ["rapl package-0": 3, "rapl dram of 0:1": 0.5])
    }

    @Test("a counter that starts again at its range goes on")
    func wrap() throws {
        let system = try FalseSystem()
        try system.zone("intel-rapl:0", "package-0", 999_000_000)
        let meter = system.meter
        _ = meter.read(at: 0)
        try system.zone("intel-rapl:0", "package-0", 500_000)
        #expect(meter.read(at: 1).joules["rapl package-0"] == 1.5)
        try system.zone("intel-rapl:0", "package-0", 700_000)
        #expect(abs((meter.read(at: 2).joules["rapl package-0"] ?? 0) - 1.7) < 1e-9)
    }

    @Test("the power of an amdgpu is summed over time, and its memory is read")
    func amdgpu() throws {
        let system = try FalseSystem()
        try system.write("class/drm/card0/device/hwmon/hwmon3/power1_average", "50000000")
        try system.write("class/drm/card0/device/mem_info_vram_used", "\(512 << 20)")
        try system.write("class/drm/card0-HDMI-A-1/status", "connected")
        let meter = system.meter
        let first = meter.read(at: 0)
        #expect(first.deviceMemory == 512 && first.memorySource == "amdgpu")
        #expect(first.joules == ["amdgpu 0": 0])
        try system.write("class/drm/card0/device/hwmon/hwmon3/power1_average", "70000000")
        #expect(meter.read(at: 2_000_000_000).joules == ["amdgpu 0": 120])
    }

    @Test("a machine without counters, or with counters that cannot be read, has no meter")
    func nothing() throws {
        let system = try FalseSystem()
        #expect(system.meter.isEmpty)
        try system.write("class/powercap/intel-rapl:0/name", "package-0")
        #expect(system.meter.isEmpty)
        #expect(NVMLDevices(library: "libno-such-library.so.1") == nil)
    }

    /// A library with the functions of NVML that are used: two devices, of which the second has no energy counter.
    private static let library = """
        #include <stdint.h>
        static int reads = 0;
        int nvmlInit_v2(void) { return 0; }
        int nvmlDeviceGetCount_v2(unsigned *count) { *count = 2; return 0; }
        int nvmlDeviceGetHandleByIndex_v2(unsigned index, void **device) {
            *device = (void *)(uintptr_t)(index + 1);
            return 0;
        }
        int nvmlDeviceGetTotalEnergyConsumption(void *device, unsigned long long *energy) {
            if (device != (void *)1) return 3;
            *energy = 7000 + 2500ull * reads++;
            return 0;
        }
        int nvmlDeviceGetMemoryInfo(void *device, unsigned long long *memory) {
            memory[0] = 8ull << 30;
            memory[1] = 5ull << 30;
            memory[2] = (uintptr_t)device << 30;
            return 0;
        }
        """

    @Test(
        "the counters of NVIDIA's devices are read through their library",
        .enabled(if: FileManager.default.isExecutableFile(atPath: "/usr/bin/cc")))
    func nvml() throws {
        let system = try FalseSystem()
        try system.write("nvml.c", Self.library)
        let path = system.root.appending(path: "libnvidia-ml.so.1").path
        let compiler = Process()
        compiler.executableURL = URL(filePath: "/usr/bin/cc")
        compiler.arguments = [
            "-shared", "-fPIC", "-o", path, system.root.appending(path: "nvml.c").path,
        ]
        try compiler.run()
        compiler.waitUntilExit()
        let devices = try #require(NVMLDevices(library: path))
        let meter = EnergyMeter(root: system.root.path, devices: devices)
        #expect(!meter.isEmpty)
        let reading = meter.read(at: 0)
        #expect(reading.joules == ["nvml 0": 2.5])
        #expect(reading.deviceMemory == 3072 && reading.memorySource == "nvml")
        #expect(meter.read(at: 1).joules == ["nvml 0": 5])
    }

    @Test("joules and money of an image follow from power, rate and price")
    func cost() throws {
        var run = SimulatedRun.evidence(users: [4], hold: 60)
        run.levels[0].result?.resources.power = 90
        run.levels[0].result?.resources.powerSources = ["rapl package-0"]
        run.manifest.price = Price()
        run.manifest.price?.kilowattHour = 0.4
        run.manifest.price?.hour = 3.6
        run.manifest.price?.currency = "CHF"
        let rate = try #require(run.levels[0].figures?.throughput.value)
        try EvidenceTests.withFolder { folder in
            try EvidenceTests.write(run, to: folder)
            let reporter = try RunReporter(folder)
            let cost = try #require(reporter.summary.levels[0].cost)
            #expect(abs((cost.joulesPerImage ?? 0) - 90 / rate) < 1e-9)
            let money = 90 / rate / 3.6e6 * 0.4 + 0.001 / rate
            #expect(abs((cost.moneyPerImage ?? 0) - money) < 1e-12)
            #expect(reporter.markdown.contains("J/img"))
            #expect(reporter.markdown.contains("CHF for 1000 img"))
        }
        // Without power and price, the table has no such columns.
        let plain = SimulatedRun.evidence(users: [4], hold: 20)
        try EvidenceTests.withFolder { folder in
            try EvidenceTests.write(plain, to: folder)
            let reporter = try RunReporter(folder)
            #expect(reporter.summary.levels[0].cost == nil)
            #expect(!reporter.markdown.contains("J/img"))
        }
    }

    @Test("a price is read, written and checked")
    func price() throws {
        let text =
            EditPlanTests.yaml + "\nprice: { energy: 0.30/kWh, machine: 2.5/h, currency: CHF }\n"
        let scenario = try Scenario(yaml: text, environment: [:])
        #expect(scenario.price?.kilowattHour == 0.3 && scenario.price?.hour == 2.5)
        #expect(try Scenario(yaml: scenario.yaml, environment: [:]).price == scenario.price)
        for (old, new, words) in [
            ("0.30/kWh", "0.30", "a price such as 0.30/kWh"),
            ("energy: 0.30/kWh, machine: 2.5/h, ", "", "price needs energy, machine, or both"),
        ] {
            let error = #expect(throws: ScenarioError.self) {
                try Scenario(yaml: text.replacing(old, with: new), environment: [:])
            }
            #expect(error?.description.contains(words) == true)
        }
    }
}

// Part of Inkstone. Licence: see LICENSE.

import Foundation
import Tensors
import Testing
import ZImage

/// The choice of what stays in the machine's memory, with the sizes of Z-Image-Turbo in int8.
@Suite("Residency of weights")
struct WeightResidencyTests {
    private static let gigabyte = 1_000_000_000
    private let plan: MemoryPlan

    init() throws {
        let model = try RandomModel.zImageTurbo.directory(tokenizerOf: URL(filePath: "/"))
        plan = try MemoryPlan(model: model, precision: .int8)
    }

    @Test("a card of 16 GB has the whole model")
    func largeCard() throws {
        let residency = try plan.residency(
            device: 15 * Self.gigabyte, host: 16 * Self.gigabyte)
        #expect(residency == WeightResidency())
        #expect(plan.description(of: residency) == nil)
    }

    @Test("on 12 GB layers of the text encoder stay on the host, on 8 GB all of them, and blocks")
    func smallCards() throws {
        let medium = try plan.residency(device: 11 * Self.gigabyte, host: 16 * Self.gigabyte)
        #expect(medium.textLayersOnHost == 23 && medium.blocksOnHost == 0)
        let small = try plan.residency(device: 7 * Self.gigabyte, host: 16 * Self.gigabyte)
        #expect(
            plan.description(of: small)
                == "35 of 35 layers of the text encoder and 13 of 30 blocks of the transformer (6.0 GB) are"
                + " copied to the device when they run")
    }

    @Test("less memory never means more on the device, and what is on it always fits")
    func everySize() throws {
        var before = Int.max
        var smallest = Int.max
        for free in stride(from: 20 * Self.gigabyte, to: Self.gigabyte, by: -100_000_000) {
            guard let residency = try? plan.residency(device: free, host: .max) else {
                smallest = min(smallest, free)
                continue
            }
            #expect(smallest == .max, "\(free) fits, and \(smallest) does not")
            let onDevice = plan.residentBytes - plan.bytesOnHost(residency)
            #expect(onDevice <= before && onDevice + plan.activationBytes <= free)
            before = onDevice
        }
        #expect(smallest < 3 * Self.gigabyte)
    }

    @Test("without room the error names the memory that is missing")
    func noRoom() throws {
        let device = #expect(throws: MemoryError.self) {
            try plan.residency(device: Self.gigabyte, host: .max)
        }
        #expect(
            device?.description.contains("of the device's memory, but only 1.0 GB are free") == true
        )
        let host = #expect(throws: MemoryError.self) {
            try plan.residency(device: 7 * Self.gigabyte, host: 2 * Self.gigabyte)
        }
        #expect(host?.description.contains("of memory, but only 2.0 GB are free") == true)
    }

    @Test("a device that shares the machine's memory packs the text encoder again where it must")
    func shared() throws {
        #expect(try plan.residency(sharing: 24 * Self.gigabyte) == WeightResidency())
        let small = try plan.residency(sharing: plan.residentBytes)
        #expect(small.repacksTextEncoder && plan.bytesOnHost(small) == 0)
        #expect(throws: MemoryError.self) { try plan.residency(sharing: Self.gigabyte) }
    }
}

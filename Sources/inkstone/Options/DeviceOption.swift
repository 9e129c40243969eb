// Part of Inkstone. Licence: see LICENSE.

import ArgumentParser
import Tensors

/// The devices that a model runs on: one, or one for each of several workers.
struct DeviceOption: ExpressibleByArgument, Equatable {
    /// The device of each worker, in order; never empty.
    let all: [DeviceSelection]

    /// The processor.
    static let cpu = DeviceOption(all: [.cpu])

    private init(all: [DeviceSelection]) { self.all = all }

    init?(argument: String) {
        guard let devices = DeviceSelection.list(argument: argument) else { return nil }
        all = devices
    }

    /// The option's text.
    var defaultValueDescription: String { all.map(\.argument).joined(separator: ",") }

    /// Whether it can be a GPU.
    var mayBeGPU: Bool { all.contains { $0 != .cpu } }
}

// Part of Inkstone. Licence: see LICENSE.

import Foundation
import ModelFiles
import ZImage

extension Trace {
    /// Writes all tensors as safetensors.
    func write(to file: URL) throws {
        let new = self.tensors.sorted { $0.key < $1.key }.map { name, tensor in
            switch tensor {
            case .f32(let numbers, let shape): NewTensor(name, shape: shape, .f32(numbers))
            case .i32(let numbers, let shape): NewTensor(name, shape: shape, .i32(numbers))
            case .u8(let numbers, let shape): NewTensor(name, shape: shape, .u8(numbers))
            }
        }
        try SafetensorsFile.write(new, metadata: ["format": "inkstone-trace"], to: file)
    }
}

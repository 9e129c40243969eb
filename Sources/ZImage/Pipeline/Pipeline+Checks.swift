// Part of Inkstone. Licence: see LICENSE.

import ModelFiles
import Parameters
import Tensors

extension Pipeline {
    /// Strength of a source image if none is given.
    static var defaultStrength: Double { 0.6 }

    /// Checks an input against the limits of the model.
    ///
    /// - Throws: `PipelineError`.
    func check(_ input: PipelineInput) throws(PipelineError) {
        let later = input.secondPass?.size ?? input.size
        for (name, side) in [
            ("width", input.size.width), ("height", input.size.height),
            ("the second pass's width", later.width), ("the second pass's height", later.height),
        ] {
            guard side >= 16, side <= 8192, side.isMultiple(of: 2 * model.autoencoderConfig.scale)
            else {
                throw PipelineError(
                    message: "\(name) must be a multiple of"
                        + " \(2 * model.autoencoderConfig.scale) up to 8192, got \(side).")
            }
        }
        guard input.steps >= 1 else {
            throw PipelineError(message: "steps must be at least 1, got \(input.steps).")
        }
        if input.mask != nil, input.source == nil {
            throw PipelineError(
                message: "a mask needs a source image, got none.")
        }
        guard input.loras.count >= input.parameters.loras.count else {
            throw PipelineError(
                message: "each LoRA that the parameters name needs its file in 'loras', got"
                    + " \(input.loras.count) files for \(input.parameters.loras.count) names.")
        }
        if input.source != nil {
            let strength = input.strength ?? Self.defaultStrength
            guard strength > 0, strength <= 1,
                input.sampling.strengthRule != .steps || Double(input.steps) * strength >= 1
            else {
                throw PipelineError(
                    message: "strength must leave at least one of \(input.steps) steps and be at"
                        + " most 1, got \(strength).")
            }
        }
        try checkSampling(input)
        if let noise = input.noise {
            let scale = model.autoencoderConfig.scale
            let count =
                model.transformerConfig.inChannels * (input.size.height / scale)
                * (input.size.width / scale)
            guard noise.count == count else {
                throw PipelineError(
                    message: "initial latents must have \(count) numbers for"
                        + " \(input.size.width)x\(input.size.height), got \(noise.count).")
            }
        }
    }

    private func checkSampling(_ input: PipelineInput) throws(PipelineError) {
        do {
            try input.sampling.check(
                steps: input.steps, strength: input.source.map { _ in input.strength ?? 1 })
            try input.seeds.check()
        } catch { throw PipelineError(message: error.message) }
        guard let pass = input.secondPass else { return }
        guard pass.tiles == nil || input.sampling.cacheThreshold == nil else {
            throw PipelineError(message: "a step cache does not work with tiles.")
        }
        if let tiles = pass.tiles {
            let unit = 2 * model.autoencoderConfig.scale
            guard tiles.side >= unit, tiles.side.isMultiple(of: unit), tiles.overlap >= 0,
                tiles.overlap.isMultiple(of: unit), tiles.overlap <= tiles.side / 2
            else {
                throw PipelineError(
                    message: "the sides of tiles must be multiples of \(unit), and overlap by one"
                        + " up to their half; got \(tiles.side) and \(tiles.overlap).")
            }
        }
        guard pass.strength > 0, pass.strength <= 1, pass.steps ?? 1 >= 1 else {
            throw PipelineError(
                message: "a second pass needs a strength above 0 and at most 1, and at least 1"
                    + " step.")
        }
        do {
            try input.parameters.method(of: pass).check(
                steps: pass.steps ?? input.steps, strength: pass.strength)
        } catch { throw PipelineError(message: "the second pass's \(error.message)") }
    }

    /// Checks that an image fits in memory, before anything is allocated for it.
    ///
    /// - Throws: `MemoryError`.
    func checkMemory(_ input: PipelineInput) throws(MemoryError) {
        let size = input.parameters.outputSize
        let needed = memory.activationBytes(of: input.parameters)
        let available = MemoryPlan.freeBytes(on: device)
        guard needed <= available else {
            throw MemoryError(
                needed: needed, available: available,
                purpose: "an image of \(size.width)x\(size.height)"
                    + (input.secondPass.map { $0.tiles == nil } == true
                        ? " (less with hires.tiles)" : ""))
        }
    }
}

/// An invalid input of a pipeline.
public struct PipelineError: Error, Sendable, Equatable, CustomStringConvertible {
    /// One sentence: what was expected and what was found.
    public let message: String
    /// The message.
    public var description: String { message }
}

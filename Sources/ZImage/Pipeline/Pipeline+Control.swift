// Part of Inkstone. Licence: see LICENSE.

import Basics
import Foundation
import Imaging
import ModelFiles
import Parameters
import Tensors

extension Pipeline {
    /// Names and bytes of the ControlNets in memory.
    package var loadedControlNets: [(name: String, bytes: Int)] { controlNets.loaded }

    /// Checks the controls of an input.
    ///
    /// - Throws: `ControlError`.
    func checkControls(_ input: PipelineInput) throws(ControlError) {
        for control in input.controls {
            let name = control.name.quoted
            guard control.image != nil || control.repaint != nil else {
                throw ControlError(
                    message: "ControlNet \(name) needs a control image or an image to repaint.")
            }
            guard control.strength.isFinite, (0...10).contains(control.strength) else {
                throw ControlError(
                    message: "the strength of ControlNet \(name) must be between 0 and 10, got"
                        + " \(control.strength).")
            }
            guard control.start >= 0, control.end <= 1, control.start <= control.end else {
                throw ControlError(
                    message: "ControlNet \(name) must start and end between 0 and 1, and not end"
                        + " before it starts; got \(control.start) and \(control.end).")
            }
        }
    }

    /// Loads the nets of controls and encodes their images for a pass of a size.
    ///
    /// - Throws: `ControlError`, `MemoryError`, `NumericError`.
    func controls(
        _ sources: [ControlSource], _ size: PixelSize, tiles: TiledEvaluation? = nil,
        _ trace: inout Trace?
    ) throws -> [ScheduledControl<Device>] {
        var controls: [ScheduledControl<Device>] = []
        let scale = model.autoencoderConfig.scale
        let evaluated = tiles.map {
            PixelSize(width: $0.width * scale, height: $0.height * scale)
        }
        // Bytes that an image needs beside the nets.
        let reserve = memory.activationBytes(of: size, evaluated: evaluated ?? size)
        for (index, source) in sources.enumerated() {
            let net = try loaded(source, reserve)
            let planes = try planes(of: source, net.config, size)
            trace?.record(
                "control.\(index).context",
                .f32(planes.numbers, shape: [planes.channels, planes.height, planes.width]))
            let parts =
                tiles.map { tiles in (0..<tiles.count).map { tiles.part($0, of: planes) } }
                ?? [planes]
            controls.append(
                ScheduledControl(
                    inputs: parts.map { part in
                        .init(
                            net, part.numbers, height: part.height, width: part.width,
                            strength: Float(source.strength))
                    },
                    range: source.start...source.end))
        }
        return controls
    }

    private func loaded(_ source: ControlSource, _ reserve: Int) throws -> ControlNet<Device> {
        do {
            return try controlNets.net(source, for: model, on: device, reserve: reserve)
        } catch let error as MemoryError {
            throw error
        } catch let error as any DeviceError {
            throw error
        } catch {
            // The path is not exposed to clients.
            throw ControlError(
                message: "\(error)".replacing(source.url.path, with: source.url.lastPathComponent))
        }
    }

    /// The channels of a net's input: the latents of the control image; then what is kept, and its latents.
    private func planes(
        of source: ControlSource, _ config: ControlNetConfig, _ size: PixelSize
    ) throws -> Planes {
        let scale = model.autoencoderConfig.scale
        let (height, width) = (size.height / scale, size.width / scale)
        let area = height * width
        guard config.takesInpainting || source.repaint == nil else {
            throw ControlError(
                message: "ControlNet \(source.name.quoted) is of version \(config.version), which"
                    + " repaints no image; use one of version 2 or leave out the image to repaint.")
        }
        var numbers: [Float]
        if let image = source.image {
            let fitted = try image.resized(width: size.width, height: size.height)
            numbers = try latents(of: Planes(fitted), pixels: fitted.pixels, size).numbers
        } else {
            numbers = [Float](repeating: 0, count: model.transformerConfig.inChannels * area)
        }
        if let repaint = source.repaint {
            let mask = try Inpainting.mask(
                repaint.mask, width: size.width, height: size.height, scale: scale)
            numbers += mask.map { 1 - $0 }
            numbers += try keptLatents(of: repaint, size).numbers
        } else {
            let count = config.channels * area
            numbers += repeatElement(0, count: count - numbers.count)
        }
        return Planes(numbers, channels: config.channels, height: height, width: width)
    }

    /// The latents of an image whose part to repaint is grey.
    private func keptLatents(
        of repaint: ControlSource.Repaint, _ size: PixelSize
    ) throws -> Planes {
        let mask = try Inpainting.mask(
            repaint.mask, width: size.width, height: size.height, scale: 1)
        let fitted = try repaint.image.resized(width: size.width, height: size.height)
        var planes = Planes(fitted)
        for index in planes.numbers.indices where mask[index % mask.count] > 0 {
            planes.numbers[index] = 0
        }
        let content = fitted.pixels + mask.map { $0 > 0 ? 1 : 0 }
        return try latents(of: planes, pixels: content, size)
    }

    /// The mean of the latents that the autoencoder gives, cached by content.
    private func latents(of planes: Planes, pixels: [UInt8], _ size: PixelSize) throws -> Planes {
        try controlNets.latents(of: pixels, width: size.width, height: size.height) {
            try encodedMean(of: planes)
        }
    }
}

/// A control that cannot be used as stated.
package struct ControlError: Error, Sendable, CustomStringConvertible {
    /// One or two sentences: what was expected, what was found, what to do.
    package let message: String
    /// The message.
    package var description: String { message }
}

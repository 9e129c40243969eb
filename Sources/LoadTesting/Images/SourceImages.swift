// Part of Inkstone. Licence: see LICENSE.

import Imaging
import Synchronization

/// The files that requests send: source images, masks and images of ControlNets, made once and then kept.
package final class SourceImages: Sendable {
    /// A file and the digest of its pixels.
    package struct File: Sendable {
        package var bytes: [UInt8]
        package var digest: String
    }

    private struct State {
        var images: [String: File] = [:]
        var masks: [String: [UInt8]] = [:]
    }

    private let state = Mutex(State())

    package init() {}

    /// The image of a seed in a size, as a PNG file; the same for every run.
    package func image(width: Int, height: Int, seed: UInt32) -> File? {
        let key = "\(width)x\(height) \(seed)"
        if let known = state.withLock({ $0.images[key] }) { return known }
        guard
            let image = try? MockImage.generate("source \(seed)", width: width, height: height),
            let bytes = try? ImageEncoder.encode(image)
        else { return nil }
        let file = File(bytes: bytes, digest: ImageCheck.digest(image))
        state.withLock { $0.images[key] = file }
        return file
    }

    /// A mask as a PNG file, transparent or white where the image is generated again.
    package func mask(
        width: Int, height: Int, share: Double, isTransparent: Bool
    ) -> [UInt8]? {
        let key = "\(width)x\(height) \(share) \(isTransparent)"
        if let known = state.withLock({ $0.masks[key] }) { return known }
        let mask =
            isTransparent
            ? MaskImage.transparent(width: width, height: height, share: share)
            : try? MaskImage.opaque(width: width, height: height, share: share)
        state.withLock { $0.masks[key] = mask }
        return mask
    }

    /// The files of a request.
    ///
    /// - Parameters:
    ///   - parameters: what the request asks for.
    ///   - previous: the image of the turn before, for a request that changes it.
    ///   - isTransparent: the form of the mask.
    /// - Returns: the files that the request needs; a source that is missing is absent.
    package func inputs(
        _ parameters: RequestParameters, previous: [UInt8]? = nil, isTransparent: Bool
    ) -> RequestInputs {
        var inputs = RequestInputs()
        if let source = parameters.source {
            inputs.source =
                source.seed.flatMap {
                    image(width: source.width, height: source.height, seed: $0)?.bytes
                } ?? previous
            inputs.mask = source.mask.flatMap {
                mask(
                    width: source.width, height: source.height, share: $0,
                    isTransparent: isTransparent)
            }
        }
        if let control = parameters.control {
            inputs.control =
                image(width: parameters.width, height: parameters.height, seed: control.seed)?.bytes
        }
        return inputs
    }

    /// Makes the files of a visit before its load, so that they cost no time during it.
    func prepare(_ mix: RequestMix, isTransparent: Bool) {
        let own = mix.sizes.map(\.value)
        if let edits = mix.edits {
            for size in edits.sizes.isEmpty ? own : edits.sizes.map(\.value) {
                for seed in 0..<UInt32(edits.images) {
                    _ = image(width: size.width, height: size.height, seed: seed)
                }
                for share in edits.masks.compactMap(\.value) {
                    _ = mask(
                        width: size.width, height: size.height, share: share,
                        isTransparent: isTransparent)
                }
            }
        }
        guard mix.control != nil else { return }
        for size in own {
            for seed in 0..<8 as Range<UInt32> {
                _ = image(width: size.width, height: size.height, seed: seed)
            }
        }
    }
}

/// The files that a request sends.
package struct RequestInputs: Sendable {
    /// The image that is changed.
    package var source: [UInt8]?
    /// The mask of the part that is generated again.
    package var mask: [UInt8]?
    /// The image of the ControlNet.
    package var control: [UInt8]?

    package init() {}
}

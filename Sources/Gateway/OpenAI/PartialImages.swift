// Part of Inkstone. Licence: see LICENSE.

import Synchronization

/// Selects the previews that become partial images: as many as requested, the first one as soon as there is
/// one, the others evenly over the steps.
final class PartialImages: Sendable {
    private let count: Int
    private let steps: Int
    /// The steps that were selected, by image.
    private let picked = Mutex<[Int: [Int]]>([:])

    init(count: Int, steps: Int) {
        self.count = count
        self.steps = steps
    }

    /// Whether the preview after this step becomes a partial image.
    ///
    /// Not every step has a preview: the next one replaces a missing one that is due.
    func picks(image: Int, step: Int) -> Bool {
        picked.withLock { picked in
            let before = picked[image, default: []].count
            guard before < count, step * count > before * steps else { return false }
            picked[image, default: []].append(step)
            return true
        }
    }

    /// The index of a selected preview among those of its image, from 0.
    func index(image: Int, step: Int) -> Int? {
        picked.withLock { $0[image]?.firstIndex(of: step) }
    }
}

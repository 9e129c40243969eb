// Part of Inkstone. Licence: see LICENSE.

import Synchronization

/// Chooses which previews become partial pictures: as many as asked for, the first one as soon as there is
/// one, the others evenly over the steps.
final class PartialImages: Sendable {
    private let count: Int
    private let steps: Int
    /// The steps that were picked, by picture.
    private let picked = Mutex<[Int: [Int]]>([:])

    init(count: Int, steps: Int) {
        self.count = count
        self.steps = steps
    }

    /// Whether the preview after this step becomes a partial picture.
    ///
    /// Not every step has a preview, so the next one there is stands in for one that is due.
    func picks(image: Int, step: Int) -> Bool {
        picked.withLock { picked in
            let before = picked[image, default: []].count
            guard before < count, step * count > before * steps else { return false }
            picked[image, default: []].append(step)
            return true
        }
    }

    /// The place of a picked preview among those of its picture, from 0.
    func index(image: Int, step: Int) -> Int? {
        picked.withLock { $0[image]?.firstIndex(of: step) }
    }
}

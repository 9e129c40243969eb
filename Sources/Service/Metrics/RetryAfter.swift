// Part of Inkstone. Licence: see LICENSE.

/// The values of the `Retry-After` header, in whole seconds.
///
/// The OpenAI libraries obey up to 60 seconds (1.x, 2.x) or 120 seconds (3.x), and the latter do not retry at
/// all with a larger value: every value here is between 1 and 60.
///
/// - Source: RFC 9110 section 10.2.3.
package enum RetryAfter {
    /// The bounds of every value.
    static let range = 1...60

    /// Seconds until a place in the queue becomes free, if no request is in work that the estimate could be
    /// made from.
    package static let unknownQueue = 2.0

    /// A named model is still loading.
    ///
    /// Gigabytes of weights are read from disk. Xinference, whose clients poll the model's route, sends the same
    /// value.
    package static let modelLoading = 30

    /// The disk is full or cannot be written: the operator has to act first.
    package static let storageFailed = 60

    /// The file of keys is missing or damaged: the operator has to act first.
    package static let keysUnreadable = 30

    /// A model hub or the disk failed: networks and operators need longer than a queue.
    package static let catalogFailed = 60

    /// Too many catalog tasks run: small files are complete within this time.
    package static let catalogTasks = 10

    /// An estimate as a value of the header: rounded up, and limited to the bounds.
    package static func seconds(_ estimate: Double) -> Int {
        Int(min(Double(range.upperBound), max(Double(range.lowerBound), estimate.rounded(.up))))
    }
}

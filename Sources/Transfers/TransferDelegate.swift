// Part of Inkstone. Licence: see LICENSE.

/// Receives what happens to a transfer, on the client's thread and in the order in which it happens.
///
/// The methods are called at the moment when bytes arrive, with no task in between; they must not
/// block, since all transfers of the client wait for them.
package protocol TransferDelegate: AnyObject, Sendable {
    /// A connection is established and the request is about to be sent; again after each redirect.
    func transferWillSend()

    /// The head of the response has arrived; not called for redirects that are followed.
    func transferDidReceive(_ head: TransferHead)

    /// Bytes of the body have arrived; they are valid during the call.
    func transferDidReceive(_ bytes: UnsafeRawBufferPointer) -> TransferFlow

    /// The transfer has ended; the last call.
    func transferDidEnd(_ error: TransferError?)
}

/// What a delegate does with bytes.
package enum TransferFlow: Sendable {
    /// It has taken them.
    case proceed
    /// It has not: the same bytes come again after `Transfer.resume()`, and no others until then.
    case pause
}

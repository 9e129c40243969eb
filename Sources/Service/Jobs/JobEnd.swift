// Part of Inkstone. Licence: see LICENSE.

package import Engine
package import Foundation

/// How a job ended, as it is stored.
package struct JobEnd: Sendable, Equatable {
    /// The final state.
    package let state: Job.State
    /// Why it failed, or was cancelled by the service.
    package let failure: String?
    /// Coarse reason of `failure`.
    package let code: GenerationError.Code?
    /// Whether its workers, or the server, ended so often that it is not tried again.
    package let isGivenUp: Bool
    /// When it ended.
    package let time: Date

    /// An end, now if no time is given.
    package init(
        _ state: Job.State, _ failure: String? = nil, code: GenerationError.Code? = nil,
        isGivenUp: Bool = false, time: Date = Date()
    ) {
        self.state = state
        self.failure = failure
        self.code = code
        self.isGivenUp = isGivenUp
        self.time = time
    }

    /// The end that follows from what a run returned or threw.
    package init(_ outcome: Result<Void, any Error>) {
        switch outcome {
        case .success: self.init(.succeeded)
        case .failure(is CancellationError): self.init(.cancelled)
        case .failure(let error as GenerationError):
            let isCancelled = [.deadline, .serverStopped].contains(error.code)
            self.init(
                isCancelled ? .cancelled : .failed, error.message, code: error.code,
                isGivenUp: error.code == .workerLost)
        case .failure(let error): self.init(.failed, "\(error)", code: .internalFailure)
        }
    }
}

extension Job {
    /// The job with its end among those of several jobs, if it is there.
    func ended(_ ends: [String: JobEnd]) -> Job { ended(ends[id]) }

    /// The job with an end; a final one keeps its own.
    package func ended(_ end: JobEnd?) -> Job {
        guard let end, !state.isFinal else { return self }
        var job = self
        job.state = end.state
        job.finished = end.time
        job.failure = end.failure
        job.failureCode = end.code
        job.isGivenUp = end.isGivenUp
        return job
    }
}

// Part of Inkstone. Licence: see LICENSE.

import Catalog
import Foundation
import Service

/// Reads LoRA files in a separate process.
///
/// A header can have 100 MB, its thumbnail is an image for native decoders, and a file that is
/// truncated while it is mapped ends its reader.
struct LoRAReader: Sendable {
    /// Starts the processes; `nil` for a service without a program, which reads on a background thread.
    let pool: WorkerPool?
    /// Time after which a process is ended.
    static let limit = Duration.seconds(60)

    /// Reads a file, and matches it with models if given.
    ///
    /// - Throws: `LoRAFacts.Refusal` for a file that cannot be used, `ProgramFailure` if no process was
    ///   started, `CancellationError`.
    func facts(of url: URL, matching models: [URL]? = nil) async throws -> LoRAFacts {
        guard let pool else {
            return try await WorkThreads.disk.run { try LoRAFacts(of: url, matching: models) }
        }
        var words = ["read-lora", url.path]
        if let models {
            words.append("--match")
            for model in models { words += ["--model", model.path] }
        }
        do {
            return try LoRAFacts(
                writtenTo: try await pool.output(of: words, within: Self.limit))
        } catch ProgramFailure.ended {
            throw LoRAFacts.Refusal(
                message: "The file cannot be read: reading it took too long or ended the process"
                    + " that read it; export it again.")
        }
    }
}

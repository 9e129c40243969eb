// Part of Inkstone. Licence: see LICENSE.

import ArgumentParser
import Basics
import Catalog
import Engine
import Foundation
import Hub
import ModelFiles
import Synchronization

extension ModelsCommand {
    /// `inkstone models pull REPO`: fetches a model.
    struct Pull: AsyncParsableCommand {
        static let configuration = CommandConfiguration(
            abstract: "Fetch a model from Hugging Face, ModelScope or a mirror.",
            discussion: """
                Examples:
                  inkstone models pull z-image-turbo
                  inkstone models pull Tongyi-MAI/Z-Image --hub modelscope
                  inkstone models pull OWNER/NAME --file '*Q4_K_M.gguf' --name small
                  inkstone models pull OWNER/NAME --file '*-lite.safetensors' --name nets

                An interrupted pull goes on where it stopped. Every checksum is compared before the \
                model appears under its name.
                """)

        @Argument(
            help: ArgumentHelp(
                "Repository, or z-image-turbo or z-image.", valueName: "owner/name"))
        var repository: String

        @OptionGroup var hub: HubOptions

        @Option(
            help: ArgumentHelp(
                "Branch, tag or commit; the newest if not given.", valueName: "revision"))
        var revision: String?

        @Option(
            help: ArgumentHelp(
                "File to fetch, with * as wildcard; the whole model if not given. May be given several"
                    + " times.", valueName: "path"))
        var file: [String] = []

        @Option(
            help: ArgumentHelp(
                "Name of the model's folder; the repository's if not given.", valueName: "name"))
        var name: String?

        @Flag(help: "Add the files to those of another repository.")
        var add = false

        @Option(
            parsing: .unconditional,
            help: ArgumentHelp("Number of parallel downloads.", valueName: "n"))
        var connections = 4

        @Flag(help: "Print only errors.")
        var quiet = false

        mutating func validate() throws {
            try check("--connections", connections, in: 1...32)
        }

        func run() async throws {
            var pull = try ModelPull(
                repository, from: hub.makeEndpoint(), name: name,
                into: try ModelsCommand.userRoot())
            pull.revision = revision
            pull.patterns = file
            pull.connections = connections
            pull.adds = add
            let bar = PullBar(quiet: quiet)
            let outcome = try await pull.run { bar.show($0) }
            bar.clear()
            guard !quiet else { return }
            print(
                outcome.wasThere
                    ? "\(outcome.folder.path) is complete already, at \(outcome.commit)"
                    : "\(outcome.folder.path): \(outcome.files) files, \(outcome.bytes.byteText), at"
                        + " \(outcome.commit)")
            let nets = ControlNetRegistry(roots: [outcome.folder.deletingLastPathComponent()])
                .entries.filter { $0.isIn(outcome.folder) }
            guard nets.isEmpty else {
                return print(
                    "ControlNets for requests: \(nets.map(\.name).joined(separator: ", "))")
            }
            do { _ = try ModelDirectory(url: outcome.folder) } catch {
                // A model may be fetched in several parts.
                complain("Not usable yet: \(error)")
            }
        }
    }

    /// The folder of the user's models.
    static func userRoot() throws -> URL {
        guard let root = ModelLocator().userRoot else {
            throw CommandError(
                .notFound, "There is no folder for models; name one in INKSTONE_MODELS.")
        }
        return root
    }
}

/// The progress of parallel downloads on one line.
private final class PullBar: Sendable {
    private let state: Mutex<State>

    private struct State {
        // Not synchronized itself: only used while the mutex is locked.
        nonisolated(unsafe) let line: ProgressLine
        let start = ContinuousClock.now
        var shown = ContinuousClock.now
        var first: Int?
    }

    init(quiet: Bool) { state = Mutex(State(line: ProgressLine(quiet: quiet))) }

    func show(_ progress: ModelPull.Progress) {
        state.withLock { state in
            let now = ContinuousClock.now
            let first = state.first ?? progress.bytes
            state.first = first
            guard now - state.shown > .milliseconds(100) else { return }
            state.shown = now
            let seconds = (now - state.start) / .seconds(1)
            state.line.show(
                bytes: progress.bytes, of: progress.total,
                perSecond: Double(progress.bytes - first) / seconds,
                label: "Fetching \(progress.files)/\(progress.fileCount)")
        }
    }

    func clear() { state.withLock { $0.line.clear() } }
}

// Part of Inkstone. Licence: see LICENSE.

import Foundation

/// Runs the reference, diffusers, in a Python interpreter that has it.
struct ReferenceRun {
    /// The interpreter.
    let python: String

    private static let script = "reference_images.py"
    private static let modules = ["torch", "diffusers", "transformers", "safetensors"]

    /// The first interpreter that has the reference.
    ///
    /// - Parameter choice: The interpreter that was named, which must have it; `nil` looks for one.
    /// - Returns: `nil` if none was named and none is found.
    /// - Throws: `CommandError` if the named one lacks something.
    static func find(_ choice: String?) throws -> ReferenceRun? {
        let environment = ProcessInfo.processInfo.environment["PYTHON"].flatMap {
            $0.isEmpty ? nil : $0
        }
        let code = "import " + modules.joined(separator: ", ")
        for python in choice.map({ [$0] }) ?? [environment ?? "python3"] {
            let (status, _) = try run([python, "-c", code], input: nil, output: .nullDevice)
            if status == 0 { return ReferenceRun(python: python) }
        }
        guard let choice else { return nil }
        throw CommandError(
            .usage,
            "'\(choice)' does not run, or lacks one of \(modules.joined(separator: ", "));"
                + " name another interpreter with --python, or leave the reference out with"
                + " --no-reference.")
    }

    /// Makes the images.
    ///
    /// - Parameters:
    ///   - job: The images.
    ///   - model: A folder in the diffusers layout.
    ///   - output: The file that is written.
    ///   - quiet: Whether its progress is hidden; else it is on standard error.
    /// - Throws: `CommandError` if the script is not installed or fails.
    func make(_ job: ReferenceJob, of model: URL, to output: URL, quiet: Bool) throws {
        guard let script = Self.scriptFile else {
            throw CommandError(
                .notFound,
                "The script \(Self.script) is not installed beside the program; install the whole"
                    + " package, or leave the reference out with --no-reference.")
        }
        let (status, errors) = try Self.run(
            [python, script.path, model.path, "--output", output.path],
            input: try JSONEncoder().encode(job),
            output: quiet ? .nullDevice : .standardError)
        guard status == 0 else {
            throw CommandError(
                .failed,
                "The reference ended with status \(status): \(errors.suffix(400)). Leave it out with"
                    + " --no-reference.")
        }
    }

    /// Installed: `PREFIX/share/inkstone/reference`; built from a checkout: `Tests/parity`.
    private static var scriptFile: URL? {
        let link = "/proc/self/exe"
        guard let path = try? FileManager.default.destinationOfSymbolicLink(atPath: link) else {
            return nil
        }
        var folder = URL(filePath: path).deletingLastPathComponent()
        var places = [
            folder.deletingLastPathComponent().appending(path: "share/inkstone/reference")
        ]
        for _ in 0..<6 {
            places.append(folder.appending(path: "Tests/parity"))
            folder = folder.deletingLastPathComponent()
        }
        return places.map { $0.appending(path: script) }.first {
            FileManager.default.isReadableFile(atPath: $0.path)
        }
    }

    /// Runs a command to its end.
    ///
    /// - Returns: The exit status, 127 if it cannot be started, and what it wrote on standard error.
    private static func run(
        _ command: [String], input: Data?, output: FileHandle
    ) throws -> (status: Int32, errors: String) {
        let folder = FileManager.default.temporaryDirectory.appending(
            path: "inkstone-reference-\(UUID().uuidString)")
        try FileManager.default.createDirectory(
            at: folder, withIntermediateDirectories: true, attributes: [.posixPermissions: 0o700])
        defer { try? FileManager.default.removeItem(at: folder) }
        // A file, not a pipe: a full pipe would block the process.
        let (inputFile, errorFile) = (folder.appending(path: "in"), folder.appending(path: "err"))
        try (input ?? Data()).write(to: inputFile)
        try Data().write(to: errorFile)
        let process = Process()
        process.executableURL = URL(filePath: "/usr/bin/env")
        process.arguments = command
        process.standardInput = try FileHandle(forReadingFrom: inputFile)
        process.standardOutput = output
        process.standardError = try FileHandle(forWritingTo: errorFile)
        do { try process.run() } catch { return (127, "") }
        process.waitUntilExit()
        let errors = (try? String(contentsOf: errorFile, encoding: .utf8)) ?? ""
        let status =
            process.terminationReason == .exit
            ? process.terminationStatus : 128 + process.terminationStatus
        return (status, errors.split(whereSeparator: \.isNewline).joined(separator: " "))
    }
}

// Part of Inkstone. Licence: see LICENSE.

import Foundation
import LoadTesting
import Testing

struct ResultFolderTests {
    private let folder = ResultFolder(
        FileManager.default.temporaryDirectory.appending(path: "imgbench-\(UUID())"))

    private func record(_ sequence: Int) -> LoadRequestRecord {
        LoadRequestRecord(
            id: "run-closed-001-r1-\(sequence)", level: "closed-001", visit: 1, sequence: sequence,
            user: 0, phase: .hold, dialect: .openAIStream,
            parameters: RequestParameters(
                prompt: "a \"red\"\nfox \u{1F98A}", width: 256, height: 128, steps: 8,
                seed: 2_147_483_647),
            times: RequestTimes(planned: 1, send: 2, previews: [3, 4], end: 5),
            calls: [WireCall(id: "x", method: "POST", path: "/v1/images/generations", send: 2)],
            image: ImageFacts(
                format: "png", width: 256, height: 128, fileBytes: 9, pixelDigest: "00ff"),
            server: ServerTimings(queue: 0.25, steps: [0.5, 0.125]))
    }

    @Test func recordsAreReadAsWritten() throws {
        defer { try? FileManager.default.removeItem(at: folder.url) }
        let level = folder.level(
            LevelVisit(level: "closed-001", visit: 1, load: LoadModel(kind: .closed, users: 1)))
        let log = try LoadRequestLog(level)
        for sequence in 0..<3 { try log.append(record(sequence)) }
        try log.close()
        #expect(try level.requests() == (0..<3).map(record))
    }

    @Test func aLineCutByACrashIsSkipped() throws {
        defer { try? FileManager.default.removeItem(at: folder.url) }
        let level = folder.probes
        let log = try LoadRequestLog(level)
        try log.append(record(0))
        try log.append(record(1))
        try log.close()
        let whole = try Data(contentsOf: level.requestsFile)
        try whole.dropLast(7).write(to: level.requestsFile)
        #expect(try level.requests() == [record(0)])
    }

    @Test func aDamagedLineIsReportedWithItsNumber() throws {
        defer { try? FileManager.default.removeItem(at: folder.url) }
        let level = folder.probes
        let log = try LoadRequestLog(level)
        try log.append(record(0))
        try log.close()
        let whole = try Data(contentsOf: level.requestsFile)
        try (whole + Data("{\"x\":1}\n".utf8)).write(to: level.requestsFile)
        let error = #expect(throws: ResultError.self) { try level.requests() }
        #expect(error?.description.contains("requests.jsonl, line 2, is not") == true)
        #expect(error?.description.contains("'id' is missing") == true)
    }

    @Test func aFileThatCannotBeWrittenIsReportedInTheSystemsWords() {
        let error = #expect(throws: ResultError.self) {
            try ResultFolder.write(Data(), to: URL(filePath: "/proc/x/y"))
        }
        #expect(error?.description.contains("No such file or directory") == true)
    }

    @Test func seriesLinesAreReadAsWritten() throws {
        var bin = SeriesBin(second: 7, phase: .hold)
        bin.inFlight = 1.5
        bin.valid = 3
        bin.hostMemory = 120.25
        #expect(SeriesBin(line: bin.line) == bin)
    }

    @Test func aFolderWithoutManifestIsRefused() {
        #expect(throws: ResultError.self) { try folder.manifest() }
    }
}

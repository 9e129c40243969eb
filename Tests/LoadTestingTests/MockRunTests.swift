// Part of Inkstone. Licence: see LICENSE.

import Foundation
import LoadTesting
import Testing

/// Whole runs against the mock server, a second or two each.
@Suite(.serialized) struct MockRunTests {
    /// Runs a scenario against a mock server with these settings.
    static func run(
        _ settings: MockSettings = MockSettings(), levels: [LevelSpec] = [.closed(users: [4])],
        dialect: Dialect = .openAIStream, hold: Double = 0.7, withLog: Bool = true,
        interrupt: Interrupt = Interrupt(), change: (inout Scenario) -> Void = { _ in }
    ) async throws -> (folder: ResultFolder, manifest: Manifest, mostConnections: Int) {
        let root = FileManager.default.temporaryDirectory.appending(path: "imgbench-\(UUID())")
        try FileManager.default.createDirectory(at: root, withIntermediateDirectories: true)
        var settings = settings
        let log = root.appending(path: "access.log").path
        if withLog { settings.accessLog = log }
        let server = try await MockServer(settings)
        var mix = RequestMix(
            prompt: "{thing} number {n}", sizes: [Weighted(.init(width: 64, height: 64))])
        mix.keywords = ["thing": ["cup", "fox"], "n": (0..<50).map(String.init)]
        mix.partialImages = 2
        mix.timeout = 5
        var target = Scenario.Target(url: server.url)
        target.dialect = dialect
        target.metrics = "/metrics"
        if withLog { target.accessLog = log }
        var scenario = Scenario(name: "mock", target: target, request: mix, levels: levels)
        scenario.hold = hold
        scenario.maximumHold = hold
        scenario.settle.minimum = 0.2
        scenario.settle.maximum = 0.3
        scenario.cooldown = 0
        scenario.probes = false
        change(&scenario)
        let run = LoadRun(
            plan: try RunPlan(scenario), resultsIn: root.path, scenarioText: "version: 1\n",
            arguments: ["imgbench", "test"], interrupt: interrupt)
        do {
            let manifest = try await run.run()
            let most = try await server.mostConnections()
            await server.stop()
            return (run.folder, manifest, most)
        } catch {
            await server.stop()
            throw error
        }
    }

    private func remove(_ folder: ResultFolder) {
        try? FileManager.default.removeItem(at: folder.url.deletingLastPathComponent())
    }

    @Test func aServerThatRefusesEverythingIsNotLoaded() async throws {
        let error = await #expect(throws: RunError.self) {
            _ = try await Self.run { scenario in
                scenario.target.url += "/nowhere"
                scenario.target.metrics = nil
            }
        }
        #expect(error?.description.contains("does not exist (404") == true)
    }

    @Test(arguments: Dialect.allCases)
    func everyDialectReturnsImages(_ dialect: Dialect) async throws {
        var settings = MockSettings()
        settings.serviceTime = 0.1
        settings.devices = 2
        settings.dialect = dialect
        let (folder, manifest, _) = try await Self.run(
            settings, levels: [.closed(users: [1])], dialect: dialect
        ) { $0.target.model = "mock" }
        defer { remove(folder) }
        let level = folder.level(manifest.levels[0])
        let records = try level.requests()
        let result = try level.result()
        #expect(manifest.status == .complete)
        #expect(try folder.manifest() == manifest)
        #expect(result.isComplete && result.accounting.isBalanced)
        #expect(result.accounting.failed == 0, "\(records.compactMap(\.errorDetail))")
        #expect(result.accounting.valid >= 5)
        for record in records {
            #expect(record.image?.pixelDigest?.count == 64)
            #expect(record.times.image != nil)
            let times = [
                record.times.planned, record.times.send, record.times.headOut, record.times.headIn,
                record.times.firstByte, record.times.image, record.times.end,
            ].compactMap(\.self)
            // With jobs, the first bytes are those of the first call and the image that of the last.
            #expect(times == times.sorted())
            let expected = [Dialect.openAIStream, .jobs].contains(dialect) ? 2 : 0
            #expect(record.times.previews.count >= expected)
            #expect(record.calls.count == ([.jobs: 3, .comfyUI: 2][dialect] ?? 1))
            #expect(record.calls.allSatisfy { $0.echoedId == $0.id })
        }
        if dialect == .a1111 { #expect(records.contains { !$0.times.previews.isEmpty }) }
        let log = try String(contentsOf: level.accessLogFile, encoding: .utf8)
        for call in records.flatMap(\.calls) { #expect(log.contains(" id=\(call.id) ")) }
    }

    @Test func theRateIsThatOfTheDevices() async throws {
        var settings = MockSettings()
        settings.serviceTime = 0.05
        settings.devices = 2
        let (folder, manifest, _) = try await Self.run(settings)
        defer { remove(folder) }
        let level = folder.level(manifest.levels[0])
        let held = try #require(try level.result().held)
        let records = try level.requests().filter { held.contains($0.times.end ?? .max) }
        let rate = Double(records.count) / held.seconds
        // Never more than 40 a second, plus one image of each device at the edge of the window.
        #expect(rate <= settings.capacity + 2 / held.seconds)
        #expect(!records.isEmpty)
        let series = level.series()
        #expect(series.map(\.sent).reduce(0, +) == (try level.result().accounting.sent))
    }

    @Test func thirtyTwoUsersAreThirtyTwoConnections() async throws {
        var settings = MockSettings()
        settings.serviceTime = 0.2
        settings.devices = 32
        let (folder, manifest, most) = try await Self.run(settings, levels: [.closed(users: [32])])
        defer { remove(folder) }
        #expect(most >= 32)
        let connections = try folder.level(manifest.levels[0]).result().resources.connectionsMax
        #expect((32...36).contains(connections ?? 0))
        let records = try folder.level(manifest.levels[0]).requests()
        let begins = records.map { ($0.times.send, 1) }
        let ends = records.compactMap { record in record.times.end.map { ($0, -1) } }
        var open = 0
        var greatest = 0
        for (_, change) in (begins + ends).sorted(by: { $0.0 == $1.0 ? $0.1 < $1.1 : $0.0 < $1.0 })
        {
            open += change
            greatest = max(greatest, open)
        }
        #expect(greatest == 32)
    }

    @Test func openLoopsFollowTheirPlanAndCountDroppedArrivals() async throws {
        var settings = MockSettings()
        settings.serviceTime = 0.1
        let (folder, manifest, _) = try await Self.run(
            settings,
            levels: [
                .open(arrivals: .constant, rates: [.absolute(40)], shape: nil, maximumInFlight: 5)
            ])
        defer { remove(folder) }
        let level = folder.level(manifest.levels[0])
        let account = try level.result().accounting
        #expect(account.isBalanced)
        #expect(account.dropped > 0)
        let records = try level.requests().filter { $0.purpose == .load }
        let start = try #require(try level.result().phases["settle"]?.start)
        for record in records {
            // Planned every 25 ms, independent of the server.
            let place = Double(record.times.planned - start) / 25e6
            #expect(abs(place - place.rounded()) < 1e-3)
            #expect(Int(place.rounded()) == record.sequence + 1)
        }
    }

    @Test(arguments: [
        (MockFault.wrongSize, ErrorClass.wrongSize), (.wrongFormat, .wrongFormat),
        (.blank, .blank), (.noImage, .decode), (.truncated, .streamBroken),
        (.eventError, .eventError), (.internalError, .http5xx), (.rejected, .rejected),
        (.duplicate, .duplicate),
    ])
    func faultsHaveTheirClass(_ fault: MockFault, _ expected: ErrorClass) async throws {
        var settings = MockSettings()
        settings.serviceTime = 0.01
        settings.faults = [fault]
        let (folder, manifest, _) = try await Self.run(settings, hold: 0.5) {
            if fault == .duplicate { $0.request.keywords["n"] = ["1"] }
        }
        defer { remove(folder) }
        let records = try folder.level(manifest.levels[0]).requests()
        let errors = Set(records.compactMap(\.error))
        #expect(errors == [expected], "\(records.compactMap(\.errorDetail).prefix(3))")
        #expect(records.contains { $0.isValid })
    }

    @Test func theAuditsRequestsAreSent() async throws {
        var settings = MockSettings()
        settings.serviceTime = 0.005
        let (folder, _, _) = try await Self.run(settings, hold: 0.5) { $0.probes = true }
        defer { remove(folder) }
        let records = try folder.probes.requests()
        let earlier = try folder.level(
            LevelVisit(level: "closed-004", visit: 1, load: LoadModel(kind: .closed, users: 4))
        ).requests()
        let again = records.filter { $0.purpose == .determinism }
        #expect(again.count >= 3)
        for record in again {
            let first = try #require(earlier.first { $0.id == record.repeats })
            #expect(first.parameters == record.parameters)
            #expect(first.image?.pixelDigest == record.image?.pixelDigest)
        }
        let identical = records.filter { $0.purpose == .cacheIdentical }
        #expect(identical.count == 21)
        #expect(Set(identical.map(\.parameters)).count == 1)
        let unique = records.filter { $0.purpose == .cacheUnique }
        #expect(Set(unique.map(\.parameters)).count == 20)
        #expect(try folder.probes.result().accounting.failed == 0)
    }

    @Test(arguments: [0.1, 1.2, 1.8])
    func aResultIsReadableAfterAnInterrupt(_ seconds: Double) async throws {
        var settings = MockSettings()
        settings.serviceTime = 0.3
        let interrupt = Interrupt()
        let timer = Task {
            try? await Task.sleep(for: .seconds(seconds))
            interrupt.set()
        }
        defer { timer.cancel() }
        let (folder, manifest, _) = try await Self.run(
            settings, levels: [.closed(users: [3, 6])], hold: 20, interrupt: interrupt)
        defer { remove(folder) }
        #expect(manifest.status == .partial)
        #expect(try folder.manifest().status == .partial)
        let levels = folder.presentLevels(manifest)
        // The first interrupt comes before the first level, while its images are probed.
        #expect(levels.count == (seconds > 1 ? 1 : 0))
        #expect(try RunReporter(folder).html().contains("Partial: the run was interrupted."))
        guard let first = levels.first else { return }
        let result = try folder.level(first).result()
        #expect(!result.isComplete)
        #expect(result.accounting.isBalanced)
        let records = try folder.level(first).requests()
        #expect(records.count { $0.error == .abortedByTester } == result.accounting.inFlightAtCut)
    }

    @Test func anUnreachableServerIsReported() async throws {
        var mix = RequestMix(prompt: "x", sizes: [Weighted(.init(width: 64, height: 64))])
        mix.timeout = 1
        let scenario = Scenario(
            name: "unreachable", target: .init(url: "http://127.0.0.1:1"), request: mix,
            levels: [.single])
        let root = FileManager.default.temporaryDirectory.appending(path: "imgbench-\(UUID())")
        defer { try? FileManager.default.removeItem(at: root) }
        let interrupt = Interrupt()
        let run = LoadRun(
            plan: try RunPlan(scenario), resultsIn: root.path, interrupt: interrupt)
        let error = await #expect(throws: RunError.self) { try await run.run() }
        #expect(error?.description.contains("http://127.0.0.1:1 cannot be reached") == true)
    }

    @Test func aPortInUseIsReported() async throws {
        let server = try await MockServer(MockSettings())
        var settings = MockSettings()
        settings.port = server.port
        let error = await #expect(throws: RunError.self) { _ = try await MockServer(settings) }
        #expect(
            error?.description
                == "The mock server cannot listen on port \(server.port): Address already in use.")
        await server.stop()
    }
}

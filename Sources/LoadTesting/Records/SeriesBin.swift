// Part of Inkstone. Licence: see LICENSE.

/// One second of a level: a line of `series.csv`.
public struct SeriesBin: Codable, Sendable, Equatable {
    /// Seconds from the start of settling to the start of the bin.
    public var second: Int
    /// The phase at the start of the bin.
    public var phase: Phase
    /// Requests sent.
    public var sent = 0
    /// Requests completed with a valid image.
    public var valid = 0
    /// Requests failed.
    public var failed = 0
    /// Time-average of open requests.
    public var inFlight = 0.0
    /// Valid images completed, a second.
    public var throughput: Double { Double(valid) }
    /// Mean E2E of the requests completed, ms.
    public var meanEndToEnd: Double?
    /// Memory in use on the device, MiB.
    public var deviceMemory: Double?
    /// Proportional set size of the server, MiB.
    public var hostMemory: Double?
    /// Processor seconds a second of the server.
    public var serverCores: Double?
    /// Processor seconds a second of the load tester.
    public var testerCores: Double?

    package init(second: Int, phase: Phase) {
        self.second = second
        self.phase = phase
    }

    /// The header line of the file.
    package static let header =
        "second,phase,sent,valid,failed,in_flight,x_per_s,mean_e2e_ms,device_mib,host_mib,"
        + "server_cores,tester_cores"

    /// The bin as a line; unknown values are empty.
    package var line: String {
        func text(_ value: Double?) -> String {
            value.map { String((1000 * $0).rounded() / 1000) } ?? ""
        }
        return [
            String(second), phase.rawValue, String(sent), String(valid), String(failed),
            text(inFlight), text(throughput), text(meanEndToEnd), text(deviceMemory),
            text(hostMemory), text(serverCores), text(testerCores),
        ].joined(separator: ",")
    }

    /// Parses a line; `nil` when it is malformed.
    package init?(line: some StringProtocol) {
        let cells = String(line).split(
            separator: "," as Character, omittingEmptySubsequences: false
        )
        .map(String.init)
        guard cells.count == 12, let second = Int(cells[0]), let phase = Phase(rawValue: cells[1]),
            let sent = Int(cells[2]), let valid = Int(cells[3]), let failed = Int(cells[4]),
            let inFlight = Double(cells[5])
        else { return nil }
        self.init(second: second, phase: phase)
        (self.sent, self.valid, self.failed) = (sent, valid, failed)
        self.inFlight = inFlight
        meanEndToEnd = Double(cells[7])
        deviceMemory = Double(cells[8])
        hostMemory = Double(cells[9])
        serverCores = Double(cells[10])
        testerCores = Double(cells[11])
    }
}

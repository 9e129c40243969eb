// Part of Inkstone. Licence: see LICENSE.

public import Foundation

/// Reads and writes lists of requests as JSON lines.
public enum PlanFile {
    /// Encodes requests, one a line.
    public static func lines(_ requests: [PlannedRequest]) throws -> Data {
        try RecordCoding.lines(requests)
    }

    /// Reads a trace: requests with arrivals, sorted by arrival.
    ///
    /// - Throws: `ResultError` when it cannot be read, `ScenarioError` when an arrival is missing.
    public static func read(_ file: URL) throws -> [PlannedRequest] {
        guard FileManager.default.isReadableFile(atPath: file.path) else {
            throw ResultError(
                "\(file.path) cannot be read; expected a trace in the format of imgbench plan.")
        }
        let requests = try ResultFolder.lines(PlannedRequest.self, file)
        guard !requests.isEmpty, requests.allSatisfy({ $0.arrival != nil }) else {
            throw ScenarioError(
                "\(file.path): every request of a trace must have an arrival; imgbench plan"
                    + " writes them for open levels.")
        }
        return requests.sorted { ($0.arrival ?? 0) < ($1.arrival ?? 0) }
    }
}

// Part of Inkstone. Licence: see LICENSE.

package import Foundation

/// A list of requests as JSON lines.
package enum PlanFile {
    package static func lines(_ requests: [PlannedRequest]) throws -> Data {
        var data = Data()
        for request in requests {
            data.append(try RecordCoding.line(request))
            data.append(UInt8(ascii: "\n"))
        }
        return data
    }

    /// Reads a trace: requests with arrivals, in their order.
    ///
    /// - Throws: `ResultError` when it cannot be read, `ScenarioError` when an arrival is missing.
    package static func read(_ file: URL) throws -> [PlannedRequest] {
        let requests = try ResultFolder.lines(PlannedRequest.self, file)
        guard !requests.isEmpty, requests.allSatisfy({ $0.arrival != nil }) else {
            throw ScenarioError(
                "\(file.path): every request of a trace needs an arrival; plans of open levels"
                    + " have them.")
        }
        return requests.sorted { ($0.arrival ?? 0) < ($1.arrival ?? 0) }
    }
}

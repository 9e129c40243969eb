// Part of Inkstone. Licence: see LICENSE.

import Engine
import Foundation
import GRDB
import Parameters

/// Jobs and their images as rows of the database.
enum JobRow {
    /// Why a job fails whose request cannot be decoded.
    static let unreadable = "The stored request cannot be read."

    /// The jobs of rows, with their images.
    ///
    /// A row whose request cannot be decoded becomes a failed job.
    static func jobs(_ rows: [Row], _ db: Database) throws -> [Job] {
        var images: [Int64: [Job.Image]] = [:]
        // Numbers are written into the statement: it takes a limited number of arguments.
        let numbers = rows.map { "\($0["number"] as Int64)" }.joined(separator: ",")
        let pictures = try Row.fetchCursor(
            db, sql: "SELECT * FROM picture WHERE job IN (\(numbers)) ORDER BY job, number")
        while let row = try pictures.next() {
            images[row["job"], default: []].append(image(row))
        }
        return rows.map { job($0, images[$0["number"]] ?? []) }
    }

    private static func job(_ row: Row, _ images: [Job.Image]) -> Job {
        func date(_ column: String) -> Date? {
            (row[column] as Double?).map(Date.init(timeIntervalSince1970:))
        }
        let owner: String = row["owner"]
        let request = try? request(row)
        return Job(
            id: row["id"], model: row["model"],
            request: request
                ?? ImageRequest(
                    parameters: SamplingParameters(
                        prompt: row["prompt"], size: PixelSize(width: 0, height: 0), steps: 0),
                    count: max(1, images.count)),
            source: (row["sourceFile"] as String?).map {
                Job.Source(image: $0, mask: row["maskFile"], fileSize: row["sourceBytes"])
            },
            state: request == nil ? .failed : Job.State(rawValue: row["state"]) ?? .failed,
            requestID: row["requestID"], owner: owner.isEmpty ? nil : owner,
            created: date("created") ?? .distantPast, started: date("started"),
            finished: date("finished"), deadline: date("deadline"), attempts: row["attempts"],
            failure: request == nil ? unreadable : row["failure"] as String?,
            failureCode: (row["failureCode"] as String?).flatMap(
                GenerationError.Code.init(rawValue:)),
            isGivenUp: row["givenUp"], images: images)
    }

    /// The request of a row.
    ///
    /// - Throws: `DecodingError`.
    static func request(_ row: Row) throws -> ImageRequest {
        try JSONDecoder().decode(
            ImageRequest.self, from: Data((row["request"] as String).utf8))
    }

    /// The image of a row; what cannot be decoded of its report is left out.
    private static func image(_ row: Row) -> Job.Image {
        func decoded<Value: Decodable>(_ column: String) -> Value? {
            (row[column] as String?).flatMap {
                try? JSONDecoder().decode(Value.self, from: Data($0.utf8))
            }
        }
        return Job.Image(
            index: row["number"], seed: UInt64(row["seed"] as String) ?? 0,
            pixelDigest: row["pixelDigest"], file: row["file"], fileSize: row["fileSize"],
            promptTruncated: row["promptTruncated"],
            seconds: decoded("seconds") ?? Timings(text: 0, steps: [], decode: 0, total: 0),
            loras: decoded("loras") ?? [], origin: decoded("origin"), isStarred: row["starred"])
    }

    /// A value as JSON text with sorted keys.
    static func json(_ value: some Encodable) throws -> String {
        let encoder = JSONEncoder()
        encoder.outputFormatting = .sortedKeys
        return String(decoding: try encoder.encode(value), as: UTF8.self)
    }
}

// Part of Inkstone. Licence: see LICENSE.

import Engine
import Foundation
import GRDB
import Imaging
import Parameters

/// Jobs and their images as rows of the database.
enum JobRow {
    /// The job of a row, with its images, and with the pixels of its source if asked for.
    static func job(
        _ row: Row, _ db: Database, withSource: Bool = false
    ) throws -> Job {
        let text: String = row["request"]
        var request = try JSONDecoder().decode(ImageRequest.self, from: Data(text.utf8))
        if withSource, request.strength != nil, request.source == nil {
            request = request.with(source: try source(of: row["number"], db))
        }
        let images = try Row.fetchAll(
            db, sql: "SELECT * FROM picture WHERE job = ? ORDER BY number",
            arguments: [row["number"] as Int64]
        ).map { row in
            Job.Image(
                index: row["number"], seed: UInt64(row["seed"] as String) ?? 0,
                pixelDigest: row["pixelDigest"], file: row["file"], fileSize: row["fileSize"],
                promptTruncated: row["promptTruncated"],
                seconds: try JSONDecoder().decode(
                    Timings.self, from: Data((row["seconds"] as String).utf8)),
                loras: try JSONDecoder().decode(
                    [LoRANote].self, from: Data((row["loras"] as String).utf8)))
        }
        func date(_ column: String) -> Date? {
            (row[column] as Double?).map(Date.init(timeIntervalSince1970:))
        }
        let owner: String = row["owner"]
        return Job(
            id: row["id"], model: row["model"],
            request: request,
            state: Job.State(rawValue: row["state"]) ?? .failed, requestID: row["requestID"],
            owner: owner.isEmpty ? nil : owner, created: date("created") ?? .distantPast,
            started: date("started"), finished: date("finished"), deadline: date("deadline"),
            attempts: row["attempts"], failure: row["failure"],
            failureCode: (row["failureCode"] as String?).flatMap(
                GenerationError.Code.init(rawValue:)),
            isGivenUp: row["givenUp"], images: images)
    }

    private static func source(of job: Int64, _ db: Database) throws -> ImageRequest.Source? {
        guard
            let row = try Row.fetchOne(
                db, sql: "SELECT image, mask FROM source WHERE job = ?", arguments: [job])
        else { return nil }
        func image(_ png: Data) throws -> RGBImage {
            try ImageDecoder.decode([UInt8](png)).flattened()
        }
        return ImageRequest.Source(
            image: try image(row["image"]), mask: try (row["mask"] as Data?).map(image))
    }

    /// A value as JSON text with sorted keys.
    static func json(_ value: some Encodable) throws -> String {
        let encoder = JSONEncoder()
        encoder.outputFormatting = .sortedKeys
        return String(decoding: try encoder.encode(value), as: UTF8.self)
    }
}

// Part of Inkstone. Licence: see LICENSE.

import Foundation
import GRDB

extension JobSchema {
    /// Columns that refer to the files of source images, in place of a table of their bytes.
    private static let columns = """
        ALTER TABLE job ADD COLUMN sourceFile TEXT;
        ALTER TABLE job ADD COLUMN maskFile TEXT;
        ALTER TABLE job ADD COLUMN sourceBytes INTEGER NOT NULL DEFAULT 0;
        CREATE INDEX jobBySource ON job (sourceFile) WHERE sourceFile IS NOT NULL;
        CREATE INDEX jobByMask ON job (maskFile) WHERE maskFile IS NOT NULL;
        CREATE INDEX jobByEnd ON job (finished) WHERE finished IS NOT NULL;
        """

    /// Moves source images and masks into files, out of their table and out of the requests of version 0.1.
    ///
    /// A file is stored before the row that refers to it is committed: where the process ends in between, the
    /// migration is run again and finds the files.
    ///
    /// - Throws: `DatabaseError`, `JobStoreError` of code `full`, `ImagingError`.
    static func moveSources(_ db: Database, to files: ImageFiles) throws {
        try db.execute(sql: columns)
        let rows = try Row.fetchCursor(db, sql: "SELECT job, image, mask FROM source")
        while let row = try rows.next() {
            try refer(from: row["job"], to: row["image"], row["mask"], files, db)
        }
        try db.execute(sql: "DROP TABLE source")
        let numbers = try Int64.fetchAll(
            db,
            sql: """
                SELECT number FROM job WHERE instr(request, '"source"') > 0
                    AND CASE WHEN json_valid(request)
                        THEN json_type(request, '$.source.png') = 'text' END
                """)
        for number in numbers {
            let row = try Row.fetchOne(
                db,
                sql: """
                    SELECT json_extract(request, '$.source.png') AS image,
                        json_extract(request, '$.source.mask') AS mask
                    FROM job WHERE number = ?
                    """, arguments: [number])
            func bytes(_ column: String) -> Data? {
                (row?[column] as String?).flatMap { Data(base64Encoded: $0) }
            }
            guard let image = bytes("image") else { continue }
            try refer(from: number, to: image, bytes("mask"), files, db)
            try db.execute(
                sql: """
                    UPDATE job SET request = json_remove(request, '$.source.png', '$.source.mask')
                    WHERE number = ?
                    """, arguments: [number])
        }
    }

    private static func refer(
        from job: Int64, to image: Data, _ mask: Data?, _ files: ImageFiles, _ db: Database
    ) throws {
        try db.execute(
            sql: "UPDATE job SET sourceFile = ?, maskFile = ?, sourceBytes = ? WHERE number = ?",
            arguments: [
                try files.store([UInt8](image)), try mask.map { try files.store([UInt8]($0)) },
                image.count + (mask?.count ?? 0), job,
            ])
    }
}

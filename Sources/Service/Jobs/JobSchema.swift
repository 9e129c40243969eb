// Part of Inkstone. Licence: see LICENSE.

package import GRDB

/// The tables of the job store, and the migrations from older stores.
///
/// A published migration is never changed: a new one is added. A store with migrations that this program
/// does not know was written by a newer one and is not opened.
package enum JobSchema {
    /// The tables of the first migration.
    private static let jobsAndImages = """
        CREATE TABLE job (
            number INTEGER PRIMARY KEY AUTOINCREMENT,
            id TEXT NOT NULL UNIQUE,
            model TEXT NOT NULL,
            request TEXT NOT NULL,
            prompt TEXT NOT NULL,
            state TEXT NOT NULL,
            requestID TEXT,
            owner TEXT NOT NULL DEFAULT '',
            idempotencyKey TEXT,
            fingerprint TEXT,
            created REAL NOT NULL,
            started REAL,
            finished REAL,
            attempts INTEGER NOT NULL DEFAULT 0,
            failure TEXT
        ) STRICT;
        CREATE INDEX jobByState ON job (state);
        CREATE INDEX jobByRequest ON job (requestID) WHERE requestID IS NOT NULL;
        CREATE UNIQUE INDEX jobByKey ON job (owner, idempotencyKey)
            WHERE idempotencyKey IS NOT NULL;
        CREATE TABLE picture (
            job INTEGER NOT NULL REFERENCES job (number) ON DELETE CASCADE,
            number INTEGER NOT NULL,
            seed TEXT NOT NULL,
            pixelDigest TEXT NOT NULL,
            file TEXT NOT NULL,
            fileSize INTEGER NOT NULL,
            promptTruncated INTEGER NOT NULL,
            seconds TEXT NOT NULL,
            PRIMARY KEY (job, number)
        ) STRICT, WITHOUT ROWID;
        CREATE INDEX pictureByFile ON picture (file);
        """

    /// All migrations, in order.
    ///
    /// - Parameter sources: Where the files of source images are stored.
    /// - Returns: A migrator for any database of this and earlier versions.
    package static func migrator(sources: ImageFiles) -> DatabaseMigrator {
        var migrator = DatabaseMigrator()
        migrator.registerMigration("1 jobs and pictures") { db in
            try db.execute(sql: jobsAndImages)

        }
        migrator.registerMigration("2 deadlines") { db in
            try db.execute(sql: "ALTER TABLE job ADD COLUMN deadline REAL")
        }
        migrator.registerMigration("3 what LoRA files did") { db in
            try db.execute(sql: "ALTER TABLE picture ADD COLUMN loras TEXT NOT NULL DEFAULT '[]'")
        }
        migrator.registerMigration("4 jobs that were given up") { db in
            try db.execute(sql: "ALTER TABLE job ADD COLUMN givenUp INTEGER NOT NULL DEFAULT 0")
        }
        migrator.registerMigration("5 source images beside requests") { db in
            try db.execute(
                sql: """
                    CREATE TABLE source (
                        job INTEGER PRIMARY KEY REFERENCES job (number) ON DELETE CASCADE,
                        image BLOB NOT NULL,
                        mask BLOB
                    ) STRICT;
                    """)
        }
        migrator.registerMigration("6 source images as files") { db in
            try moveSources(db, to: sources)
        }
        migrator.registerMigration("7 detached jobs and codes of failures") { db in
            // Version 0.1 did not store which jobs have a caller that waits: all of them run again.
            try db.execute(
                sql: """
                    ALTER TABLE job ADD COLUMN detached INTEGER NOT NULL DEFAULT 1;
                    ALTER TABLE job ADD COLUMN failureCode TEXT;
                    """)
        }
        migrator.registerMigration("8 origins of images") { db in
            // JSON; NULL for images of earlier versions.
            try db.execute(sql: "ALTER TABLE picture ADD COLUMN origin TEXT")
        }
        migrator.registerMigration("9 stars of pictures") { db in
            try db.execute(
                sql: """
                    ALTER TABLE picture ADD COLUMN starred INTEGER NOT NULL DEFAULT 0;
                    CREATE INDEX pictureByStar ON picture (job) WHERE starred;
                    """)
        }
        return migrator
    }
}

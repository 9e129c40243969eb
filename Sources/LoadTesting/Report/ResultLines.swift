// Part of Inkstone. Licence: see LICENSE.

import Foundation

/// The results of a run as JSON lines, in the layout of `Docs/schemas/imgbench-results.schema.json`.
///
/// The first line is the run; lines of levels, checks and objectives follow.
struct ResultLines {
    /// Version of the layout.
    static let schemaVersion = 1

    let summary: RunSummary
    let audit: AuditReport
    let evidence: RunEvidence

    private struct Run: Encodable {
        var type = "run"
        var schemaVersion = ResultLines.schemaVersion
        var run: String
        var name: String
        var status: Manifest.Status
        var audit: Verdict
        var headline: String?
        var url: String
        var dialect: Dialect
        var model: String?
        var server: String?
        var seed: UInt64
        var planSha256: String
        var scenarioSha256: String
        var imgbench: String
    }

    private struct Level: Encodable {
        var type = "level"
        var run: String
        var level: String
        var visit: Int
        var users: Int?
        var rate: Double?
        var planned: Int
        var sent: Int
        var valid: Int
        var failed: Int
        var dropped: Int
        var heldSeconds: Double?
        var throughput: Estimate?
        var goodput: Estimate?
        var issueRate: Double?
        var e2eMs: LatencyFigures?
        var ttfpMs: LatencyFigures?
        var errorRate: Estimate?
        var errors: [String: Int]?
        var inFlight: Double?
        var unsteady: String?
        var deviceMemoryMib: Double?
        var watts: Double?
        var joulesPerImage: Double?
        var moneyPerImage: Double?
        var currency: String?
        var audit: Verdict
    }

    private struct Check: Encodable {
        var type = "check"
        var run: String
        var id: CheckID
        var title: String
        var verdict: Verdict
        var reason: String?
        var findings: [AuditFinding]
    }

    private struct Objective: Encodable {
        var type = "objective"
        var run: String
        var level: String
        var objective: String
        var limit: Double
        var value: Double?
        var met: Bool
    }

    /// The lines.
    func data() throws -> Data {
        var data = try RecordCoding.lines([run])
        data += try RecordCoding.lines(zip(evidence.levels, summary.levels).map(level))
        data += try RecordCoding.lines(
            audit.checks.map { check in
                Check(
                    run: summary.run, id: check.id, title: check.title, verdict: check.verdict,
                    reason: check.reason, findings: check.findings)
            })
        data += try RecordCoding.lines(
            summary.objectives.map { objective in
                Objective(
                    run: summary.run, level: objective.level, objective: objective.objective,
                    limit: objective.limit, value: objective.value, met: objective.isMet)
            })
        return data
    }

    private var run: Run {
        Run(
            run: summary.run, name: summary.name, status: summary.status, audit: summary.audit,
            headline: summary.headline?.text, url: summary.target.url,
            dialect: summary.target.dialect, model: summary.target.model,
            server: summary.target.server, seed: summary.seed, planSha256: summary.planDigest,
            scenarioSha256: summary.scenarioDigest, imgbench: summary.program.version)
    }

    private func level(_ level: LevelEvidence, _ summary: RunSummary.Level) -> Level {
        let figures = summary.figures
        let counts = summary.accounting ?? Accounting()
        return Level(
            run: self.summary.run, level: summary.level, visit: summary.visit,
            users: summary.users, rate: summary.load.rate, planned: counts.planned,
            sent: counts.sent, valid: counts.valid, failed: counts.failed, dropped: counts.dropped,
            heldSeconds: level.hold?.seconds, throughput: figures?.throughput,
            goodput: figures?.goodput, issueRate: figures?.issueRate, e2eMs: figures?.endToEnd,
            ttfpMs: figures?.firstPreview, errorRate: figures?.errorRate, errors: figures?.errors,
            inFlight: figures?.inFlight, unsteady: figures?.unsteady,
            deviceMemoryMib: summary.resources?.deviceMemoryMax, watts: summary.cost?.watts,
            joulesPerImage: summary.cost?.joulesPerImage,
            moneyPerImage: summary.cost?.moneyPerImage, currency: summary.cost?.currency,
            audit: LevelTable.verdict(level, audit))
    }
}

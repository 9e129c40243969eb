// Part of Inkstone. Licence: see LICENSE.

/// The result of a check.
public enum Verdict: String, Codable, Sendable, Comparable, CaseIterable {
    /// The check lacks the data that it needs.
    case notApplicable = "n/a"
    case pass
    case warn
    case fail

    private var rank: Int { Verdict.allCases.firstIndex(of: self) ?? 0 }

    /// Orders verdicts from not applicable to fail.
    public static func < (left: Verdict, right: Verdict) -> Bool { left.rank < right.rank }
}

/// One comparison of a check, with the numbers that it used.
public struct AuditFinding: Codable, Sendable, Equatable {
    /// The result of the comparison.
    public var verdict: Verdict
    /// The level's key, absent for the run as a whole.
    public var level: String?
    /// One sentence.
    public var text: String
    /// The numbers behind the verdict, including limits.
    public var numbers: [String: Double]

    /// Retains only finite numbers.
    package init(
        _ verdict: Verdict, level: String? = nil, _ text: String, numbers: [String: Double] = [:]
    ) {
        self.verdict = verdict
        self.level = level
        self.text = text
        self.numbers = numbers.filter { $0.value.isFinite }
    }
}

/// The identifier of a check of the audit.
public enum CheckID: String, Codable, Sendable, CaseIterable {
    case a1 = "A1", a2 = "A2", a3 = "A3", a4 = "A4", a5 = "A5", a6 = "A6", a7 = "A7", a8 = "A8"
    case a9 = "A9", a10 = "A10", a11 = "A11", a12 = "A12", a13 = "A13", a14 = "A14", a15 = "A15"
    case a16 = "A16", a17 = "A17", a18 = "A18", a19 = "A19", a20 = "A20"

    /// Short title of the check.
    public var title: String {
        switch self {
        case .a1: "Little's law"
        case .a2: "asymptotic bound"
        case .a3: "access log, counts"
        case .a4: "access log, times"
        case .a5: "engine metrics"
        case .a6: "duplicate images"
        case .a7: "determinism"
        case .a8: "cache timing"
        case .a9: "coordinated omission"
        case .a10: "tester health"
        case .a11: "roofline, rate"
        case .a12: "roofline, latency"
        case .a13: "work ledger"
        case .a14: "device time"
        case .a15: "resolution of rates"
        case .a16: "stage law"
        case .a17: "memory inventory"
        case .a18: "clocks"
        case .a19: "wire budget"
        case .a20: "title vs table"
        }
    }
}

/// A check of the audit and its findings.
public struct AuditCheck: Codable, Sendable, Equatable {
    /// Identifier of the check.
    public var id: CheckID
    /// Short title of the check.
    public var title: String
    /// The worst verdict of the findings.
    public var verdict: Verdict
    /// Why the check does not apply; absent if it does.
    public var reason: String?
    /// What was compared.
    public var findings: [AuditFinding]

    /// Creates a check; without findings it does not apply, for this reason.
    package init(_ id: CheckID, _ findings: [AuditFinding], otherwise reason: String) {
        self.id = id
        title = id.title
        verdict = findings.map(\.verdict).max() ?? .notApplicable
        self.reason = verdict == .notApplicable ? findings.first?.text ?? reason : nil
        self.findings = findings
    }
}

/// All checks of a run or a table: `audit.json`.
public struct AuditReport: Codable, Sendable, Equatable {
    /// Version of the layout of this file.
    public static let currentSchemaVersion = 1

    /// Version of the layout of the file that was read.
    public var schemaVersion = AuditReport.currentSchemaVersion
    /// Name of the run, or of the table's file.
    public var subject: String
    /// The worst verdict of the checks.
    public var verdict: Verdict
    /// The checks, in order.
    public var checks: [AuditCheck]
    /// Facts that a reader needs and that are missing; tables only.
    public var missing: [String] = []

    /// Columns and rows that were not read, with the reasons; tables only.
    public var leftOut: [String]?

    package init(
        subject: String, checks: [AuditCheck], missing: [String] = [], leftOut: [String] = []
    ) {
        self.subject = subject
        self.checks = checks
        self.missing = missing
        self.leftOut = leftOut.isEmpty ? nil : leftOut
        verdict = checks.map(\.verdict).max() ?? .notApplicable
    }

    /// The check of an identifier.
    public subscript(id: CheckID) -> AuditCheck? { checks.first { $0.id == id } }

    /// Whether no check failed; a result that fails must not be published.
    public var hasPassed: Bool { verdict != .fail }
}

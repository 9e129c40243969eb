// Part of Inkstone. Licence: see LICENSE.

extension AuditReport {
    /// The checks as text for a terminal: one a line, followed by its findings.
    ///
    /// If `isVerbose`, the findings of checks that passed are included.
    public func text(isVerbose: Bool = true) -> String {
        var text = "audit of \(subject): \(verdict.rawValue.uppercased())\n"
        if let worstInWords { text += "\(worstInWords)\n" }
        for check in checks {
            let id = check.id.rawValue + String(repeating: " ", count: 4 - check.id.rawValue.count)
            let word =
                check.verdict.rawValue
                + String(repeating: " ", count: 5 - check.verdict.rawValue.count)
            text += "\n\(id) \(word) \(check.title)"
            if let reason = check.reason { text += ": \(reason)" }
            text += "\n"
            guard check.reason == nil, isVerbose || check.verdict > .pass else { continue }
            for finding in check.findings where isVerbose || finding.verdict > .pass {
                let mark = finding.verdict > .pass ? "! " : "  "
                text += "     \(mark)\(finding.level.map { $0 + ": " } ?? "")\(finding.text)\n"
            }
        }
        if !missing.isEmpty { text += "\nmissing: \(missing.joined(separator: ", "))\n" }
        if let leftOut { text += "\nleft out: \(leftOut.joined(separator: "; "))\n" }
        return text
    }
}

// Part of Inkstone. Licence: see LICENSE.

import Foundation

/// How the numbers of a table are written.
struct NumberStyle: Equatable {
    /// Whether the decimals follow a comma, and points separate thousands.
    var hasDecimalComma = false

    init(hasDecimalComma: Bool = false) { self.hasDecimalComma = hasDecimalComma }

    /// Detects the style of all cells together: `1,832` alone can be either.
    init(of cells: [String]) {
        var commas = 0
        var points = 0
        for cell in cells {
            for match in cell.matches(of: /\d[\d.,]*\d/) {
                let number = match.output
                if number.wholeMatch(of: /0,\d+|\d+,\d{1,2}|\d+,\d{4,}|\d{1,3}(?:\.\d{3})+,\d+/)
                    != nil
                {
                    commas += 1
                } else if number.wholeMatch(
                    of: /0\.\d+|\d+\.\d{1,2}|\d+\.\d{4,}|\d{1,3}(?:,\d{3})+\.\d+/) != nil
                {
                    points += 1
                }
            }
        }
        hasDecimalComma = commas > points
    }

    /// Parses digits with separators; `nil` when they are not one number.
    func number(_ text: String) -> PublishedTable.Printed? {
        var digits = text.filter { !" '’_".contains($0) }
        let decimal: Character
        if let comma = digits.lastIndex(of: ","), let point = digits.lastIndex(of: ".") {
            decimal = comma > point ? "," : "."
        } else if digits.contains(",") {
            let isGroups = digits.wholeMatch(of: /[+-]?\d{1,3}(?:,\d{3})+/) != nil
            decimal = hasDecimalComma || !isGroups ? "," : "."
        } else {
            let isGroups = digits.wholeMatch(of: /[+-]?\d{1,3}(?:\.\d{3})+/) != nil
            let isMany = digits.count { $0 == "." } > 1
            decimal = isGroups && (hasDecimalComma || isMany) ? "," : "."
        }
        let groups: Character = decimal == "," ? "." : ","
        let parts = digits.split(separator: decimal, omittingEmptySubsequences: false)
        guard parts.count <= 2, parts.count < 2 || !parts[1].contains(groups) else { return nil }
        if parts[0].contains(groups) {
            let groupsOfThree = parts[0].split(separator: groups, omittingEmptySubsequences: false)
            guard groupsOfThree.dropFirst().allSatisfy({ $0.count == 3 }) else { return nil }
        }
        digits = digits.filter { $0 != groups }
        return PublishedTable.Printed(String(digits.map { $0 == decimal ? "." : $0 }))
    }
}

/// A cell with a number.
struct TableCell {
    /// The number.
    var number: PublishedTable.Printed
    /// The unit behind it as printed; empty for none.
    var unit: String
    /// Whether the number is only a limit: `<0.1 %`.
    var isLimit: Bool

    /// Whether a cell marks a missing value.
    static func isMissing(_ text: String) -> Bool {
        let text = TableText.plain(text).lowercased()
        return text.isEmpty || text.allSatisfy { "-–—/?.".contains($0) }
            || ["n/a", "na", "nan", "none", "null", "nil", "无", "暂无", "未测", "tbd"].contains(text)
    }

    /// Whether a cell says that a level failed, for instance `OOM`.
    static func isFailure(_ text: String) -> Bool {
        let text = TableText.plain(text).lowercased()
        return [
            "oom", "out of memory", "timeout", "timed out", "crash", "crashed", "failed", "fail",
            "error", "x", "✗", "❌", "超时", "失败", "崩溃", "爆显存", "显存不足", "显存溢出",
        ].contains(text)
    }

    /// Parses a number with a label before it and a unit, a range or an interval behind it.
    init?(_ text: String, style: NumberStyle) {
        let text = TableText.plain(text)
        guard
            let match = text.firstMatch(
                of:
                    /^(?:[^\d=:<>]*[=:] ?)?(?:~|≈|约|ca\.? |about |×|x)? ?([<>≤≥]?) ?([+-]?(?:\d[\d.,'’_]*(?: \d{3}(?!\d)[\d.,]*)*|\.\d+))((?:e[+-]?\d+)?) ?(k(?![a-z]))?(.*)$/
                    .ignoresCase())
        else { return nil }
        var digits = String(match.output.2)
        var rest = String(match.output.5)
        while let last = digits.last, ".,'’_".contains(last) {
            rest = String(digits.removeLast()) + rest
        }
        guard var number = style.number(digits) else { return nil }
        if !match.output.3.isEmpty {
            guard let exponent = Double("1" + match.output.3) else { return nil }
            number.value *= exponent
        }
        if match.output.4 != nil {
            number.value *= 1000
            number.rounding *= 1000
            number.decimals = max(0, number.decimals - 3)
        }
        self.number = number
        isLimit = !match.output.1.isEmpty
        unit = Self.unit(rest)
    }

    /// The unit in the text behind a number.
    private static func unit(_ rest: String) -> String {
        var rest = rest.trimmingCharacters(in: .whitespaces)
        if let spread = rest.prefixMatch(of: /(?:±|\+\/-|\+-) ?\d[\d.,]*/) {
            rest = String(rest[spread.range.upperBound...])
        }
        rest = String(rest.prefix { !"([±;,".contains($0) })
        return rest.trimmingCharacters(in: .whitespaces)
    }
}

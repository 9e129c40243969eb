// Part of Inkstone. Licence: see LICENSE.

/// What a column of a published table contains.
public enum ColumnMeaning: String, Sendable, CaseIterable {
    case users
    case throughput
    case meanLatency = "mean-latency"
    case medianLatency = "median-latency"
    case firstPreview = "first-preview"
    case errors
    case success
    case memory
    case bytes
    case steps
    case ignored
}

/// The meaning of a column, given by the caller because its title does not say it.
public struct ColumnChoice: Sendable, Equatable {
    /// The title, compared without case and spaces.
    public var title: String
    /// What the column contains.
    public var meaning: ColumnMeaning
    /// Unit of the numbers that have none, for instance `ms`.
    public var unit: String?

    /// Parses `TITLE=MEANING` or `TITLE=MEANING:UNIT`.
    ///
    /// - Throws: `ResultError` that lists the meanings or units.
    public init(_ text: String) throws {
        let all = ColumnMeaning.allCases.map(\.rawValue).joined(separator: ", ")
        guard let equals = text.lastIndex(of: "="), equals != text.startIndex else {
            throw ResultError(
                "Expected TITLE=MEANING, for instance latency=mean-latency:ms, got \(text).")
        }
        title = String(text[..<equals])
        let parts = text[text.index(after: equals)...].split(
            separator: ":", maxSplits: 1, omittingEmptySubsequences: false)
        guard let meaning = ColumnMeaning(rawValue: String(parts[0])) else {
            throw ResultError("Expected a meaning out of \(all), got \(parts[0]).")
        }
        self.meaning = meaning
        unit = parts.count > 1 ? String(parts[1]) : nil
        if let unit, TableUnit(unit, of: meaning) == nil {
            throw ResultError(
                "\(unit) is not a unit of \(meaning.rawValue); expected for instance "
                    + "\(meaning.exampleUnits).")
        }
    }
}

extension ColumnMeaning {
    /// Units as examples in messages.
    var exampleUnits: String {
        switch self {
        case .throughput: "img/s, img/min, s/img or it/s"
        case .meanLatency, .medianLatency, .firstPreview: "ms, s or min"
        case .errors, .success: "% or share"
        case .memory: "GB, GiB or MiB"
        case .bytes: "bytes, KB or MB"
        case .users, .steps, .ignored: "none"
        }
    }

    /// Whether the numbers are times.
    var isTime: Bool { [.meanLatency, .medianLatency, .firstPreview].contains(self) }
}

/// A column title of a published table, in words that can be compared.
struct ColumnTitle {
    /// The title as printed, without markup.
    let printed: String
    /// In lower case, with spaces between words and between scripts.
    let plain: String
    /// The words of letters.
    let words: Set<Substring>

    init(_ text: String) {
        printed = TableText.plain(text)
        plain = TableText.separated(printed)
        words = Set(plain.split { !$0.isLetter })
    }

    private func has(_ parts: String...) -> Bool { parts.contains { plain.contains($0) } }
    private func hasWord(_ parts: String...) -> Bool {
        parts.contains { words.contains(Substring($0)) }
    }

    /// A percentile of the title, for instance 95; `nil` for none.
    private var percentile: Int? {
        if has("median", "中位") { return 50 }
        if let match = plain.firstMatch(of: /\b(?:t?p|pct|percentile) ?(\d{2})(?:\.\d+)?\b/) {
            return Int(match.output.1)
        }
        return plain.firstMatch(of: /\b(\d{2}) ?(?:th|分位|百分位)/).flatMap { Int($0.output.1) }
    }

    /// What the title says, and how sure that is; of columns with one meaning the surest is read.
    var meaning: (ColumnMeaning, rank: Int)? {
        let letters: [String: ColumnMeaning] = [
            "n": .users, "c": .users, "x": .throughput, "r": .meanLatency, "rt": .meanLatency,
        ]
        if let exact = letters[plain] { return (exact, 1) }
        if let first = words.first, words.count == 2, let exact = letters[String(first)],
            TableUnit(title: self, of: exact) != nil
        {
            return (exact, 1)
        }
        if has(
            "deviat", "std", "stdev", "variance", "jitter", "标准差", "方差", "加速比", "speed-up",
            "speedup")
        {
            return nil
        }
        if has("first", "ttft", "ttfp", "首") {
            if has("byte", "字节", "ttfb") { return nil }
            return (.firstPreview, percentile.map { $0 == 50 ? 1 : 0 } ?? 2)
        }
        return rate ?? latency ?? count
    }

    /// Errors, memory, bytes, steps and throughput.
    private var rate: (ColumnMeaning, rank: Int)? {
        if has("error", "fail", "错误", "失败", "出错", "异常") || hasWord("err", "errs") {
            return (.errors, 2)
        }
        if has("success", "成功") { return (.success, 2) }
        if has("vram", "memory", "显存", "内存") || hasWord("mem", "ram") {
            return (.memory, has("host", "主机", "cpu") ? 1 : 2)
        }
        let isBytes = has("bytes", "字节") || has("response size", "payload", "body size")
        if isBytes { return (.bytes, 2) }
        let unit = TableUnit(title: self, of: .throughput)
        if has("qps", "rps", "tps", "throughput", "吞吐", "goodput", "每秒") || unit != nil {
            if has("token", "per user", "每用户") { return nil }
            return (.throughput, has("peak", "峰值", "max", "goodput", "最高") ? 1 : 2)
        }
        if hasWord("steps") || has("步数") { return (.steps, 2) }
        return nil
    }

    /// Mean and median latency.
    private var latency: (ColumnMeaning, rank: Int)? {
        let isLatency =
            has(
                "latenc", "e2e", "end-to-end", "end to end", "端到端", "延迟", "时延", "响应", "耗时",
                "response time", "elapsed")
            || hasWord("time", "mean", "avg", "average", "rt") || has("平均", "均值")
        if let percentile {
            return percentile == 50 ? (.medianLatency, isLatency ? 2 : 1) : nil
        }
        guard isLatency else { return nil }
        if has(
            "total", "总", "duration", "wall", "queue", "排队", "step", "每步", "load", "加载",
            "in flight",
            "最大", "最小", "最长", "最短") || hasWord("max", "min", "maximum", "minimum")
        {
            return nil
        }
        let isMean = has("mean", "avg", "average", "平均", "均值")
        let isWhole = has("e2e", "end-to-end", "end to end", "端到端")
        return (.meanLatency, (isMean ? 2 : 0) + (isWhole ? 2 : 0) + (has("time") ? 0 : 1))
    }

    /// Users.
    private var count: (ColumnMeaning, rank: Int)? {
        if has("concurren", "users", "clients", "并发", "用户", "parallel", "connections", "连接数")
            || hasWord("vus", "threads", "conc", "user") || has("线程")
        {
            return (.users, has("concurren", "users", "并发") ? 3 : 2)
        }
        return nil
    }
}

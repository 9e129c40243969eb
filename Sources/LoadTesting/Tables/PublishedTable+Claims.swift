// Part of Inkstone. Licence: see LICENSE.

import Foundation

extension PublishedTable {
    /// Searches prose for a throughput, limits, a deviation, a hold and the names of models.
    mutating func readClaims(_ prose: String) {
        let prose = TableText.plain(prose.replacing("\n", with: " \u{2028} "))
            .replacing("\u{2028}", with: "\n")
        readThroughputs(prose)
        readLimits(prose)
        if let match = prose.firstMatch(
            of: /(?i)(?:deviat\w*|differ\w*|误差|偏差)[^\d\n]{0,20}?(\d+(?:\.\d+)?) ?%/)
        {
            claimedDeviation = Double(match.output.1).map { $0 / 100 }
        }
        readHold(prose)
        let families =
            /(?i)\b(SDXL|SD ?[123](?:\.\d)?|stable diffusion(?: [\w.]+)?|FLUX(?:\.\w+)?|PixArt\w*|HunyuanDiT|Kandinsky|Qwen-Image|DALL[-·]E)/
        for match in prose.matches(of: families) {
            let name = String(match.output.1)
            if !otherModels.contains(name) { otherModels.append(name) }
        }
        if prose.contains(/(?i)z-image/) { otherModels = [] }
    }

    /// Throughputs with the name before the number (`QPS 8.2`) or behind it (`8.2 img/s`).
    private mutating func readThroughputs(_ prose: String) {
        let before =
            /(?i)(?:\b(?:QPS|RPS|throughput|img\/s|req\/s)|吞吐量?|每秒)(?:[\s:=~≈>≥]|of|is|was|up to|reaches|reached|about|达到?|为|是|约|高达|可达|超过|突破|稳定在){0,4}(\d+(?:[.,]\d+)?)(?![\d.,]*\d)(?! ?(?:users?|concurren|clients|levels?|steps?|步|x|×|px|%|m?s\b|秒|并发|用户|路))( ?(?:img|images?|req|张|次)? ?\/ ?(?:min|minute|分钟))?/
        let behind =
            /(?i)(?:^|[^\d.,])(\d+(?:[.,]\d+)?) ?(?:(QPS|RPS|(?:imgs?|images?|pictures?|req|requests?)(?: ?\/ ?| per | a )s(?:ec(?:ond)?)?|张 ?\/ ?秒)|((?:imgs?|images?|pictures?|req|requests?)(?: ?\/ ?| per | a )min(?:ute)?|张 ?\/ ?分钟))(?![A-Za-z])/
        var found: [(Range<String.Index>, Substring, Bool)] = []
        for match in prose.matches(of: before) {
            found.append((match.range, match.output.1, match.output.2 != nil))
        }
        for match in prose.matches(of: behind)
        where !found.contains(where: { $0.0.overlaps(match.range) }) {
            let start = match.output.1.startIndex
            found.append((start..<match.range.upperBound, match.output.1, match.output.3 != nil))
        }
        for (range, number, isPerMinute) in found.sorted(by: { $0.0.lowerBound < $1.0.lowerBound })
        {
            guard let printed = Printed(String(number).replacing(",", with: ".")) else { continue }
            let factor = isPerMinute ? 1.0 / 60 : 1
            claims.append(
                Claim(
                    value: printed.value * factor, text: String(prose[range]),
                    rounding: printed.rounding * factor))
        }
    }

    /// Limits such as `TTFT < 1.3 s`, `首帧延迟<1.3s` or `errors below 1 %`.
    private mutating func readLimits(_ prose: String) {
        let pattern =
            /(?i)(首帧(?:延迟|时间)?|首图(?:延迟)?|TTFT|TTFP|first (?:preview|frame|image)|(?:端到端|平均|E2E|mean|average|平均E2E)? ?(?:延迟|latency)|错误率|失败率|errors?(?: rate)?)[^\d<≤\n]{0,12}(?:<|≤|below|under|less than|低于|小于|不超过|不到|控制在) ?(\d+(?:[.,]\d+)?) ?(ms|毫秒|s|秒|%)/
        for match in prose.matches(of: pattern) {
            guard
                let printed = Printed(String(match.output.2).replacing(",", with: "."))
            else { continue }
            let name = match.output.1.lowercased()
            let unit = match.output.3.lowercased()
            let isRate = ["错误", "失败", "error"].contains { name.contains($0) }
            guard isRate == (unit == "%") else { continue }
            let isFirst = ["首", "ttf", "first"].contains { name.contains($0) }
            let isMilliseconds = ["ms", "毫秒"].contains(unit)
            limits.append(
                LimitClaim(
                    meaning: isRate ? .errors : isFirst ? .firstPreview : .meanLatency,
                    limit: isMilliseconds ? printed.value / 1000 : printed.value,
                    text: match.output.0.trimmingCharacters(in: .whitespaces)))
        }
    }

    /// How long each level was held, for instance `held for two minutes` or `每档压测2分钟`.
    private mutating func readHold(_ prose: String) {
        let pattern =
            /(?i)(?:\bh[eo]ld\b|\bduration\b|\beach level\b|持续|保持|维持|压测|每[档级个])[^.。\n\d一两二三五十]{0,40}?(\d+(?:\.\d+)?|\bone\b|\btwo\b|\bthree\b|\bfive\b|\bten\b|[一两二三五十])[ -]?(?:个)?(sec|min|s\b|m\b|秒|分)/
        guard let match = prose.firstMatch(of: pattern) else { return }
        let words = [
            "one": 1.0, "two": 2, "three": 3, "five": 5, "ten": 10, "一": 1, "两": 2, "二": 2,
            "三": 3, "五": 5, "十": 10,
        ]
        let number = match.output.1.lowercased()
        let isMinutes = ["m", "min", "分"].contains(match.output.2.lowercased())
        hold = (Double(number) ?? words[number]).map { $0 * (isMinutes ? 60 : 1) }
    }
}

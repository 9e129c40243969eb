// Part of Inkstone. Licence: see LICENSE.

import Foundation

extension RunAudit {
    /// A6: different requests return different pixels.
    var duplicates: AuditCheck {
        let images = levels.flatMap(\.load).filter { $0.image?.pixelDigest != nil }
        guard !images.isEmpty else {
            return AuditCheck(.a6, [], otherwise: "no image was decoded")
        }
        let groups = Dictionary(grouping: images) { $0.image?.pixelDigest ?? "" }.values
            .filter { Set($0.map(\.parameters.withoutDelivery)).count > 1 }
            .sorted { $0[0].id < $1[0].id }
        let near = nearDuplicates(images)
        let count = groups.reduce(0) { $0 + $1.count }
        var text = "\(images.count) images, "
        if let first = groups.first {
            text +=
                "\(count) of them equal to another of a different request, for instance "
                + first.prefix(2).map(\.id).joined(separator: " and ")
        } else {
            text += "no two equal"
        }
        text += "; \(near) more have the difference hash of another"
        let verdict: Verdict =
            groups.isEmpty ? .pass : manifest.limits.duplicatesFail ? .fail : .warn
        return AuditCheck(
            .a6,
            [
                AuditFinding(
                    verdict, text,
                    numbers: [
                        "pictures": Double(images.count), "duplicates": Double(count),
                        "near_duplicates": Double(near),
                    ])
            ], otherwise: "")
    }

    /// The number of images that share a difference hash with an image of other pixels.
    private func nearDuplicates(_ images: [LoadRequestRecord]) -> Int {
        Dictionary(grouping: images.filter { $0.image?.differenceHash != nil }) {
            $0.image?.differenceHash ?? ""
        }.values.reduce(0) { sum, group in
            sum + max(0, Set(group.map { $0.image?.pixelDigest ?? "" }).count - 1)
        }
    }

    /// A7: a repeated request returns the same pixels.
    var determinism: AuditCheck {
        let originals = Dictionary(
            levels.flatMap(\.records).map { ($0.id, $0) }, uniquingKeysWith: { first, _ in first })
        let pairs = everything.flatMap(\.records).compactMap { record -> Bool? in
            guard record.purpose == .determinism, let repeated = record.repeats,
                let first = originals[repeated]?.image?.pixelDigest,
                let second = record.image?.pixelDigest
            else { return nil }
            return first == second
        }
        let asked = everything.flatMap(\.records).count { $0.purpose == .determinism }
        guard asked > 0 else { return AuditCheck(.a7, [], otherwise: "no request was repeated") }
        let differing = pairs.count { !$0 }
        let tolerance = manifest.limits.determinismTolerance
        let verdict: Verdict =
            pairs.count < asked ? .fail : differing == 0 ? .pass : tolerance > 0 ? .warn : .fail
        return AuditCheck(
            .a7,
            [
                AuditFinding(
                    verdict,
                    "\(pairs.count) of \(asked) repeated requests compared, \(differing) with other pixels"
                        + (differing > 0 && tolerance > 0
                            ? "; up to \(tolerance) of 255 is declared, see the quality comparison"
                            : ""),
                    numbers: [
                        "asked": Double(asked), "pairs": Double(pairs.count),
                        "differing": Double(differing), "tolerance": Double(tolerance),
                    ])
            ], otherwise: "")
    }

    /// A8: equal requests are not served faster than new ones, unless a cache is declared.
    var cacheTiming: AuditCheck {
        let records = everything.flatMap(\.records)
        // The first of the equal requests is a new one.
        let identical = records.filter { $0.purpose == .cacheIdentical && $0.isValid }
            .sorted { $0.times.send < $1.times.send }.dropFirst().compactMap(\.endToEndMs)
        let unique = records.filter { $0.purpose == .cacheUnique && $0.isValid }
            .compactMap(\.endToEndMs)
        guard identical.count >= 5, unique.count >= 5 else {
            return AuditCheck(.a8, [], otherwise: "no pairs of equal and new requests were sent")
        }
        let means = (SampleStatistics.mean(identical), SampleStatistics.mean(unique))
        let faster = means.1 > 0 ? 1 - means.0 / means.1 : 0
        let p = Self.welchProbability(identical, below: unique)
        let declared = manifest.target.declaredCaches
        let isFaster = faster > 0.10 && p < 0.05
        var text =
            "equal requests \(Self.ms(means.0)), new ones \(Self.ms(means.1)): "
            + "\(Figures.decimals(100 * abs(faster), 1)) % \(faster >= 0 ? "faster" : "slower"), "
            + "p = \(Figures.significant(p, 2)) (n = \(identical.count) and \(unique.count))"
        if !declared.isEmpty {
            text +=
                "; declared caches: "
                + declared.sorted { $0.key < $1.key }.map { "\($0.key) keeps \($0.value)" }
                .joined(separator: ", ")
        }
        return AuditCheck(
            .a8,
            [
                AuditFinding(
                    isFaster && declared.isEmpty ? .fail : .pass, text,
                    numbers: [
                        "identical_ms": means.0, "unique_ms": means.1, "faster": faster, "p": p,
                        "declared": Double(declared.count), "limit": 0.10, "limit_p": 0.05,
                    ])
            ], otherwise: "")
    }

    /// The p-value of Welch's one-sided test that the mean of `first` is below that of `second`; 1 for
    /// fewer than two values.
    static func welchProbability(_ first: [Double], below second: [Double]) -> Double {
        guard let first = WelchTest.Mean(independent: first),
            let second = WelchTest.Mean(independent: second)
        else { return 1 }
        return WelchTest.probability(first, below: second)
    }
}

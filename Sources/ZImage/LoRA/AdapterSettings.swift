// Part of Inkstone. Licence: see LICENSE.

import ModelFiles

/// What one place says about alpha: PEFT's configuration, or an entry of a file's header.
struct AdapterSettings {
    /// Where the settings are, as a message names it.
    let origin: String
    private var alpha: Double?
    /// Of layers whose name, or what follows one of its dots, is the key.
    private var plain: [String: Double] = [:]
    /// The other patterns.
    private var expressions: [(text: String, pattern: ModulePattern, alpha: Double)] = []
    private var usesRootOfRank = false
    /// The rank, which two whole Kronecker factors do not show.
    private var rank: Double?
    /// What was found and cannot be obeyed, in sentences.
    private(set) var warnings: [String] = []

    /// Regular expressions are tried one after the other for every layer.
    private static let expressionLimit = 64
    /// Ways to begin a training that change the model's own weights.
    private static let startsThatChangeTheModel = ["pissa", "olora", "corda", "loftq", "lora_ga"]

    /// Settings that are a number only.
    init(origin: String, alpha: Double) {
        self.origin = origin
        self.alpha = alpha
    }

    /// Settings by PEFT's names.
    init(origin: String, fields: [String: JSONValue]) {
        self.origin = origin
        alpha = number("lora_alpha", fields) ?? number("alpha", fields)
        rank = number("r", fields)
        usesRootOfRank = fields["use_rslora"] == .bool(true)
        if case .object(let patterns)? = fields["alpha_pattern"] { read(patterns) }
        if case .string(let start)? = fields["init_lora_weights"],
            Self.startsThatChangeTheModel.contains(where: start.lowercased().hasPrefix)
        {
            warnings.append(
                "\(origin) has init_lora_weights '\(start.prefix(40))': the training began by changing the model's own"
                    + " weights, and the adapter does not fit the published ones. Save it with PEFT's"
                    + " path_initial_model_for_weight_conversion.")
        }
    }

    private mutating func number(_ name: String, _ fields: [String: JSONValue]) -> Double? {
        switch fields[name] {
        case nil, .null?: return nil
        case let value?:
            if let number = Self.number(value) { return number }
            warnings.append("\(name) of \(origin) is not a number, and was not used.")
            return nil
        }
    }

    private static func number(_ value: JSONValue) -> Double? {
        value.asNumber.flatMap { $0.isFinite ? $0 : nil }
    }

    private mutating func read(_ patterns: [String: JSONValue]) {
        var unused: [String] = []
        for (text, value) in patterns {
            guard let alpha = Self.number(value) else {
                unused.append(text)
                continue
            }
            guard ModulePattern.isExpression(text) else {
                plain[text] = alpha
                continue
            }
            guard expressions.count < Self.expressionLimit, let pattern = ModulePattern(text) else {
                unused.append(text)
                continue
            }
            expressions.append((text, pattern, alpha))
        }
        guard let example = unused.min() else { return }
        warnings.append(
            "\(unused.count) of the patterns in alpha_pattern of \(origin) cannot be read and had no effect, such as"
                + " '\(example.prefix(80))'.")
    }

    /// Returns alpha / rank of a layer, `nil` if the settings do not say.
    ///
    /// Of several patterns that match, the first in the order of their characters counts, since PEFT takes the first of the
    /// file, whose keys it sorts.
    ///
    /// - Complexity: linear in the parts of the name and the number of regular expressions, however many other patterns
    ///   there are.
    func ratio(module: String, rank: Int) -> Double? {
        guard let alpha = pattern(for: module) ?? alpha else { return nil }
        let divisor = rank > 0 ? Double(rank) : self.rank ?? 0
        guard divisor > 0 else { return nil }
        return usesRootOfRank ? alpha / divisor.squareRoot() : alpha / divisor
    }

    private func pattern(for module: String) -> Double? {
        var found: (text: String, alpha: Double)?
        func offer(_ text: String, _ alpha: Double) {
            if found.map({ text.unicodeScalars.lexicographicallyPrecedes($0.text.unicodeScalars) })
                ?? true
            {
                found = (text, alpha)
            }
        }
        var name = module[...]
        while true {
            if let alpha = plain[String(name)] { offer(String(name), alpha) }
            guard let dot = name.firstIndex(of: ".") else { break }
            name = name[name.index(after: dot)...]
        }
        for expression in expressions where expression.pattern.matches(module) {
            offer(expression.text, expression.alpha)
        }
        return found?.alpha
    }
}

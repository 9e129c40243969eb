// Part of Inkstone. Licence: see LICENSE.

/// A regular expression for names of layers, as PEFT's `alpha_pattern` has them.
///
/// Reads characters, `.`, classes in brackets, `\d`, `\w`, escapes, groups, `|`, `*`, `+`, `?`, `^` and `$`. It is matched by the
/// set of positions that are reachable, in polynomial time: patterns come from untrusted files.
package struct ModulePattern: Sendable {
    private indirect enum Node: Sendable {
        case byte(Set<UInt8>)
        case start, end
        case sequence([Node])
        case either([Node])
        case repeated(Node, isOptional: Bool, isUnlimited: Bool)
    }

    private let root: Node

    /// Groups inside one another.
    private static let depthLimit = 4
    private static let lengthLimit = 256
    private static let everyByte = Set(UInt8.min...UInt8.max)
    private static let digits = Set(UInt8(ascii: "0")...UInt8(ascii: "9"))
    private static let wordBytes = digits.union(UInt8(ascii: "a")...UInt8(ascii: "z"))
        .union(UInt8(ascii: "A")...UInt8(ascii: "Z")).union([UInt8(ascii: "_")])

    /// Whether a pattern stands for more than its own text, but for the dot between names.
    package static func isExpression(_ text: String) -> Bool {
        text.utf8.contains { #"*+?[](){}|^$\"#.utf8.contains($0) }
    }

    /// Parses a pattern; `nil` if it has anything else than what is listed above, or is too long.
    package init?(_ text: String) {
        guard text.utf8.count <= Self.lengthLimit else { return nil }
        var rest = Array(text.utf8)[...]
        guard let node = Self.alternatives(&rest, depth: 0), rest.isEmpty else { return nil }
        root = node
    }

    /// Whether the pattern matches a whole name, or what follows one of its dots.
    package func matches(_ name: String) -> Bool {
        let bytes = Array(name.utf8)
        let starts = [0] + bytes.indices.filter { bytes[$0] == UInt8(ascii: ".") }.map { $0 + 1 }
        return Self.ends(of: root, from: Set(starts), in: bytes).contains(bytes.count)
    }

    // MARK: - Parsing

    private static func alternatives(_ rest: inout ArraySlice<UInt8>, depth: Int) -> Node? {
        guard depth <= depthLimit else { return nil }
        var found: [Node] = []
        while true {
            var items: [Node] = []
            while let next = rest.first, next != UInt8(ascii: "|"), next != UInt8(ascii: ")") {
                guard let item = item(&rest, depth: depth) else { return nil }
                items.append(item)
            }
            found.append(.sequence(items))
            guard rest.first == UInt8(ascii: "|") else { break }
            rest.removeFirst()
        }
        return found.count == 1 ? found[0] : .either(found)
    }

    /// An atom with what repeats it.
    private static func item(_ rest: inout ArraySlice<UInt8>, depth: Int) -> Node? {
        guard let atom = atom(&rest, depth: depth) else { return nil }
        guard let sign = rest.first, "*+?".utf8.contains(sign) else { return atom }
        rest.removeFirst()
        // Lazy and possessive forms, and repetitions of repetitions.
        if let next = rest.first, "*+?{".utf8.contains(next) { return nil }
        return .repeated(
            atom, isOptional: sign != UInt8(ascii: "+"), isUnlimited: sign != UInt8(ascii: "?"))
    }

    private static func atom(_ rest: inout ArraySlice<UInt8>, depth: Int) -> Node? {
        guard let byte = rest.popFirst() else { return nil }
        switch byte {
        case UInt8(ascii: "."): return .byte(everyByte)
        case UInt8(ascii: "^"): return .start
        case UInt8(ascii: "$"): return .end
        case UInt8(ascii: "\\"): return escaped(&rest).map(Node.byte)
        case UInt8(ascii: "["): return bracketed(&rest).map(Node.byte)
        case UInt8(ascii: "("):
            if rest.starts(with: "?:".utf8) { rest.removeFirst(2) }
            guard rest.first != UInt8(ascii: "?"),
                let inner = alternatives(&rest, depth: depth + 1),
                rest.popFirst() == UInt8(ascii: ")")
            else { return nil }
            return inner
        case _ where "*+?{}])|".utf8.contains(byte): return nil
        default: return .byte([byte])
        }
    }

    private static func escaped(_ rest: inout ArraySlice<UInt8>) -> Set<UInt8>? {
        guard let byte = rest.popFirst() else { return nil }
        switch byte {
        case UInt8(ascii: "d"): return digits
        case UInt8(ascii: "w"): return wordBytes
        default: return wordBytes.contains(byte) ? nil : [byte]
        }
    }

    /// A class such as `[0-9a]` or `[^.]`.
    private static func bracketed(_ rest: inout ArraySlice<UInt8>) -> Set<UInt8>? {
        let isNegated = rest.first == UInt8(ascii: "^")
        if isNegated { rest.removeFirst() }
        var found: Set<UInt8> = []
        while let byte = rest.popFirst(), byte != UInt8(ascii: "]") || found.isEmpty {
            if byte == UInt8(ascii: "\\") {
                guard let set = escaped(&rest) else { return nil }
                found.formUnion(set)
            } else if rest.first == UInt8(ascii: "-"), let last = rest.dropFirst().first,
                last != UInt8(ascii: "]")
            {
                guard byte <= last else { return nil }
                found.formUnion(byte...last)
                rest.removeFirst(2)
            } else {
                found.insert(byte)
            }
            if rest.isEmpty { return nil }
        }
        return isNegated ? everyByte.subtracting(found) : found
    }

    // MARK: - Matching

    private static func ends(of node: Node, from starts: Set<Int>, in text: [UInt8]) -> Set<Int> {
        switch node {
        case .byte(let bytes):
            return Set(
                starts.lazy.filter { $0 < text.count && bytes.contains(text[$0]) }.map { $0 + 1 })
        case .start: return starts.intersection([0])
        case .end: return starts.intersection([text.count])
        case .sequence(let items):
            return items.reduce(starts) { ends(of: $1, from: $0, in: text) }
        case .either(let choices):
            return choices.reduce(into: []) { $0.formUnion(ends(of: $1, from: starts, in: text)) }
        case .repeated(let item, let isOptional, let isUnlimited):
            var reached = ends(of: item, from: starts, in: text)
            var fresh = reached
            while isUnlimited, !fresh.isEmpty {
                fresh = ends(of: item, from: fresh, in: text).subtracting(reached)
                reached.formUnion(fresh)
            }
            return isOptional ? reached.union(starts) : reached
        }
    }
}

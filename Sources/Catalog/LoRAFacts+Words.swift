// Part of Inkstone. Licence: see LICENSE.

import Foundation

extension LoRAFacts {
    /// What a file's metadata says to its users, shortened.
    public struct Words: Sendable, Codable, Equatable {
        /// Its title, if it has one.
        public var title: String?
        /// What it does, if it says so.
        public var summary: String?
        /// Words of a prompt that the file was trained with: its trigger phrase, else its most frequent tags.
        public var triggers: [String]

        private static let mostTriggers = 8
        private static let longestTrigger = 60
        private static let longestText = 300
        /// Bytes of tags that are read.
        private static let mostTagBytes = 4 << 20
        /// Keys of programs for what calls the style, in the order in which they are looked at.
        private static let triggerKeys = [
            "modelspec.trigger_phrase", "trigger_words", "trigger_word", "trainedWords",
            "ss_trigger_words", "activation text", "instance_prompt",
        ]

        /// The words in a file's metadata.
        public init(_ metadata: [String: String]) {
            func text(_ keys: String...) -> String? {
                keys.lazy.compactMap { metadata[$0]?.plain(Self.longestText) }.first
            }
            title = text("modelspec.title", "ss_output_name", "name")
            summary = text("modelspec.description", "description")
            let phrases = Self.triggerKeys.lazy.compactMap { metadata[$0] }.map(Self.phrases)
            let stated = phrases.first { !$0.isEmpty }
            triggers = Array((stated ?? Self.tags(metadata)).prefix(Self.mostTriggers))
        }

        /// The phrases of a text: an array in JSON, or separated by commas.
        private static func phrases(_ text: String) -> [String] {
            let data = Data(text.utf8)
            let parts =
                (try? JSONDecoder().decode([String].self, from: data))
                ?? text.split(whereSeparator: { ",;\n".contains($0) }).map(String.init)
            return unique(parts)
        }

        /// The tags of the captions that it was trained with, the most frequent first.
        private static func tags(_ metadata: [String: String]) -> [String] {
            guard let text = metadata["ss_tag_frequency"], text.utf8.count <= mostTagBytes,
                let folders = try? JSONDecoder().decode(
                    [String: [String: Int]].self, from: Data(text.utf8))
            else { return [] }
            var counts: [String: Int] = [:]
            for (tag, count) in folders.values.joined() {
                // Counts are the file's: they may be anything.
                counts[tag] = (counts[tag] ?? 0).addingReportingOverflow(count).partialValue
            }
            let sorted = counts.sorted { ($1.value, $0.key) < ($0.value, $1.key) }
            return unique(sorted.map(\.key))
        }

        private static func unique(_ parts: [String]) -> [String] {
            var known: Set<String> = []
            return parts.lazy.compactMap { $0.plain(longestTrigger) }
                .filter { known.insert($0.lowercased()).inserted }
        }
    }
}

extension String {
    /// One line without control characters and with its first characters; `nil` where nothing is left.
    fileprivate func plain(_ longest: Int) -> String? {
        let line = String(unicodeScalars.map { $0.properties.isWhitespace ? " " : Character($0) })
        let text = String(
            line.unicodeScalars.filter { $0.properties.generalCategory != .control }
                .prefix(longest).map(Character.init))
        let trimmed = text.trimmingCharacters(in: .whitespaces)
        return trimmed.isEmpty ? nil : trimmed
    }
}

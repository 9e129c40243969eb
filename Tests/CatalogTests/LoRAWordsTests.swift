// Part of Inkstone. Licence: see LICENSE.

import Catalog
import Testing

/// What the metadata of LoRA files says to users.
@Suite struct LoRAWordsTests {
    @Test(
        "trigger words are those that the file states, under the names of several programs",
        arguments: [
            (
                ["modelspec.trigger_phrase": "ink wash, Ink Wash, mountain"],
                ["ink wash", "mountain"]
            ),
            (["trainedWords": #"["ohwx style", "paper"]"#], ["ohwx style", "paper"]),
            (["instance_prompt": " a photo of sks dog "], ["a photo of sks dog"]),
            (["activation text": "one;two\nthree"], ["one", "two", "three"]),
            // What is empty states nothing.
            (["trigger_words": " , ", "ss_trigger_words": "real"], ["real"]),
            ([:], []),
        ] as [([String: String], [String])])
    func stated(metadata: [String: String], triggers: [String]) {
        #expect(LoRAFacts.Words(metadata).triggers == triggers)
    }

    @Test("without them they are its most frequent tags, of all folders together")
    func tags() {
        let tags = #"{"10_cat": {"cat": 7, "red": 5}, "5_dog": {"dog": 6, "red": 5}}"#
        #expect(
            LoRAFacts.Words(["ss_tag_frequency": tags]).triggers == ["red", "cat", "dog"])
        let many = (0..<50).map { #""tag\#($0)": \#($0)"# }.joined(separator: ", ")
        let words = LoRAFacts.Words(["ss_tag_frequency": "{\"a\": {\(many)}}"])
        #expect(words.triggers == (42..<50).reversed().map { "tag\($0)" })
        for broken in ["", "[]", #"{"a": {"b": "c"}}"#, #"{"a": {"b": 99999999999999999999}}"#] {
            #expect(LoRAFacts.Words(["ss_tag_frequency": broken]).triggers.isEmpty)
        }
        let largest = #"{"a": {"x": 9223372036854775807}, "b": {"x": 9223372036854775807}}"#
        #expect(LoRAFacts.Words(["ss_tag_frequency": largest]).triggers == ["x"])
    }

    @Test("texts are one line without control characters, and short")
    func texts() {
        let words = LoRAFacts.Words([
            "modelspec.title": "Ink\u{7} \n wash",
            "modelspec.description": String(repeating: "x", count: 900),
        ])
        #expect(words.title == "Ink   wash")
        #expect(words.summary?.count == 300)
        #expect(LoRAFacts.Words(["modelspec.title": " ", "name": "other"]).title == "other")
    }
}

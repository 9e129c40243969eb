// Part of Inkstone. Licence: see LICENSE.

import Foundation
import LoadTesting
import Testing

/// Prompts from files.
@Suite struct PromptFileTests {
    /// Writes a file beside a scenario that uses it, and reads the scenario.
    private func scenario(
        _ name: String, _ content: String, column: String? = nil
    ) throws -> Scenario {
        let folder = FileManager.default.temporaryDirectory.appending(path: "prompts-\(UUID())")
        try FileManager.default.createDirectory(at: folder, withIntermediateDirectories: true)
        defer { try? FileManager.default.removeItem(at: folder) }
        try content.write(to: folder.appending(path: name), atomically: true, encoding: .utf8)
        let prompts = column.map { "{ file: \(name), column: \($0) }" } ?? name
        try """
        version: 1
        name: prompts
        target: { url: "http://127.0.0.1:1", dialect: openai }
        request: { prompts: \(prompts), size: 64x64 }
        levels: [single]
        """.write(
            to: folder.appending(path: "scenario.yaml"), atomically: true, encoding: .utf8)
        return try Scenario(contentsOf: folder.appending(path: "scenario.yaml"))
    }

    private func prompts(_ scenario: Scenario, count: Int) throws -> [String] {
        let plan = try RunPlan(scenario)
        return (0..<count).map { plan.parameters(plan.visits[0], $0).prompt }
    }

    @Test(
        "each form gives the same prompts, and each prompt once before any twice",
        arguments: [
            ("a.txt", "a red fox\n\n  two cups, one lamp \nthree {braces}\n"),
            (
                "a.jsonl",
                "{\"prompt\": \"a red fox\"}\n\n\"two cups, one lamp\"\n{\"prompt\": \"three {braces}\", \"n\": 1}\n"
            ),
            (
                "a.json",
                "[{\"prompt_en\": \"a red fox\", \"dimension\": []}, \"two cups, one lamp\", \"three {braces}\"]"
            ),
            (
                "a.csv",
                "Category,Prompts\r\nc,a red fox\r\nc,\"two cups, one lamp\"\r\nc,three {braces}\r\n"
            ),
            ("a.tsv", "Prompt\tkind\na red fox\tc\ntwo cups, one lamp\tc\nthree {braces}\tc\n"),
        ])
    func forms(name: String, content: String) throws {
        let scenario = try scenario(name, content)
        let expected: Set = ["a red fox", "two cups, one lamp", "three {braces}"]
        let six = try prompts(scenario, count: 6)
        #expect(Set(six.prefix(3)) == expected)
        #expect(Set(six.suffix(3)) == expected)
        // The scenario refers to the file and does not contain the prompts.
        #expect(scenario.yaml.contains("prompts: { file: \"\(name)\" }"))
        #expect(!scenario.yaml.contains("red fox"))
    }

    @Test("a column can be named, and a field of CSV can contain quotes and line breaks")
    func column() throws {
        let scenario = try scenario(
            "a.csv", "id,words,prompt\n1,\"say \"\"hi\"\"\nto a fox\",no\n", column: "words")
        #expect(try prompts(scenario, count: 1) == ["say \"hi\"\nto a fox"])
    }

    @Test(
        "a file without prompts says what was expected",
        arguments: [
            ("a.txt", "\n \n", "a.txt has 0 prompts"),
            ("a.jsonl", "{\"n\": 1}", "line 1: expected"),
            ("a.jsonl", "\"a\"\n{", "line 2: expected JSON"), ("a.json", "{}", "a JSON array"),
            ("a.csv", "id,words\n1,x", "a column named prompt, found id, words"),
        ])
    func faults(name: String, content: String, message: String) {
        let error = #expect(throws: ScenarioError.self) { try scenario(name, content) }
        #expect(error?.description.contains(message) == true, "\(error?.description ?? "")")
    }

    @Test("a missing file and a scenario without its folder are errors")
    func missing() throws {
        let file = PromptFile(file: "/nowhere/prompts.txt")
        let error = #expect(throws: ScenarioError.self) { try file.read(relativeTo: nil) }
        #expect(error?.description.contains("/nowhere/prompts.txt cannot be read") == true)
        let text = """
            version: 1
            name: prompts
            target: { url: "http://127.0.0.1:1", dialect: openai }
            request: { prompts: a.txt, size: 64x64 }
            levels: [single]
            """
        let scenario = try Scenario(yaml: text)
        let other = #expect(throws: ScenarioError.self) { try RunPlan(scenario) }
        #expect(other?.description.contains("were not read") == true)
    }
}

// Part of Inkstone. Licence: see LICENSE.

import Testing
import ZImage

@Suite struct ModulePatternTests {
    @Test(
        "a pattern matches a whole name, or what follows a dot",
        arguments: [
            ("to_q", "layers.0.attention.to_q", true), ("o_q", "layers.0.attention.to_q", false),
            ("layers.*", "layers.0.to_q", true), ("layers.*", "x.layers.0", true),
            ("^layers.*", "x.layers.0", false), ("layers.[0-4].to_q", "layers.3.to_q", true),
            ("layers.[0-4].to_q", "layers.13.to_q", false),
            ("layers.[^0-4].to_q", "layers.7.to_q", true),
            ("layers\\.\\d+\\.to_q", "layers.27.to_q", true),
            ("layers\\.\\d+\\.to_q", "layersx27.to_q", false),
            ("layers.(1|22).to_q$", "layers.22.to_q", true),
            ("layers.(1|22).to_q", "layers.2.to_q", false),
            ("(a*)*b", "aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaac", false), ("x?to_q", "to_q", true),
            ("(?:to_)?q", "q", true), ("w[]a]", "w]", true), ("w+", "w", true), ("w+", "", false),
        ])
    func matching(pattern: String, name: String, matches: Bool) throws {
        #expect(try #require(ModulePattern(pattern)).matches(name) == matches)
    }

    @Test(
        "expressions of other kinds are not accepted",
        arguments: [
            "a{2}", "(a", "a)", "[a", "*a", "a**", "a+?", "(?=a)", "(?P<n>a)", "\\bto_q", "\\",
            "[z-a]",
            "(((((a)))))", String(repeating: "a", count: 300),
        ])
    func refused(pattern: String) {
        #expect(ModulePattern(pattern) == nil)
    }

    @Test("a name is its own pattern")
    func plainNames() {
        #expect(!ModulePattern.isExpression("layers.0.attention.to_out.0"))
        #expect(ModulePattern.isExpression("layers.*"))
    }
}

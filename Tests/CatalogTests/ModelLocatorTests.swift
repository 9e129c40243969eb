// Part of Inkstone. Licence: see LICENSE.

import Catalog
import Foundation
import ModelFiles
import Testing

/// Models are found by name in known folders, or by path.
@Suite("Models are found")
struct ModelLocatorTests {
    private static let models = URL(filePath: #filePath)
        .deletingLastPathComponent().deletingLastPathComponent().deletingLastPathComponent()
        .appending(path: "Models")

    @Test("by name, in the folders of the environment")
    func byName() throws {
        let locator = ModelLocator(environment: ["INKSTONE_MODELS": Self.models.path])
        let folder = try locator.locate("emoji-nano")
        #expect(folder.lastPathComponent == "emoji-nano")
        #expect(locator.entries.map(\.name).contains("emoji-nano"))
    }

    @Test("by path, whether it exists or not")
    func byPath() throws {
        let path = Self.models.appending(path: "emoji-nano").path
        #expect(try ModelLocator(environment: [:]).locate(path).path == path)
        #expect(try ModelLocator(environment: [:]).locate("/no/such").path == "/no/such")
    }

    @Test("an unknown name is refused with the names there are")
    func unknown() {
        let locator = ModelLocator(environment: ["INKSTONE_MODELS": Self.models.path])
        let error = #expect(throws: CheckpointError.self) { try locator.locate("nothing") }
        #expect(error?.code == .notFound)
        #expect(error?.description.contains("emoji-nano") == true)
    }
}

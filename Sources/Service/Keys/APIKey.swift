// Part of Inkstone. Licence: see LICENSE.

public import Engine
public import Foundation

/// A key that lets its holder use the service; the key itself is shown once and never kept.
public struct APIKey: Sendable, Equatable, Identifiable {
    /// What a holder may do.
    public enum Scope: String, Sendable, Codable, CaseIterable {
        /// Generate images, and see the key's own jobs.
        case generate
        /// Everything, including the jobs of other keys.
        case admin
    }

    /// Unique and never used again; the owner of the jobs made with it.
    ///
    /// Keys of files without ids have their names as ids.
    public var id: String
    /// Its name for people; one that was revoked can be given to another key.
    public var name: String
    /// The permissions of the key.
    public var scope: Scope
    /// Requests for images that may be in progress at once; any number if `nil`.
    public var concurrency: Int?
    /// Requests for images a minute; any number if `nil`.
    public var perMinute: Int?
    /// The highest priority that its holder may ask for; normal if `nil`.
    public var priority: Priority?
    /// SHA-256 of the key in hexadecimal: keys are random and long, so that this needs no salt.
    public var digest: String
    /// When it was made.
    public var created: Date
}

extension APIKey: Codable {
    private enum CodingKeys: CodingKey {
        case id, name, scope, concurrency, perMinute, priority, digest, created
    }

    /// Reads a key of this version, or of one whose keys have no ids.
    public init(from decoder: any Decoder) throws {
        let fields = try decoder.container(keyedBy: CodingKeys.self)
        name = try fields.decode(String.self, forKey: .name)
        id = try fields.decodeIfPresent(String.self, forKey: .id) ?? name
        scope = try fields.decode(Scope.self, forKey: .scope)
        concurrency = try fields.decodeIfPresent(Int.self, forKey: .concurrency)
        perMinute = try fields.decodeIfPresent(Int.self, forKey: .perMinute)
        priority = try fields.decodeIfPresent(Priority.self, forKey: .priority)
        digest = try fields.decode(String.self, forKey: .digest)
        created = try fields.decode(Date.self, forKey: .created)
    }
}

/// Why keys cannot be read or changed.
public struct KeyError: Error, Sendable, Equatable, CustomStringConvertible {
    /// Coarse reason; switch on this.
    public enum Code: Sendable, Equatable {
        /// A name that is taken, unknown or malformed.
        case name
        /// This user may not read a file.
        case denied
        /// The file of keys cannot be read or written.
        case file
    }

    /// Coarse reason.
    public let code: Code
    /// One sentence: what happened, and what to do.
    public let message: String

    /// The message.
    public var description: String { message }
}

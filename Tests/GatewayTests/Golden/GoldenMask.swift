// Part of Inkstone. Licence: see LICENSE.

import Basics
import Engine
import Foundation
import Imaging

/// Writes an answer as text, without what differs from run to run: ids, times, addresses, bytes of
/// memory, and messages for people.
struct GoldenMask {
    /// Keys of JSON objects whose values are not recorded.
    private static let keys: Set<String> = [
        "created", "started", "finished", "deadline", "created_at", "finished_at", "uptime",
        "uptime_seconds", "elapsed_seconds", "seconds_left", "eta_seconds", "eta", "eta_relative",
        "duration", "average_duration", "process_time", "rank_eta", "job_timestamp", "time",
        "available_bytes", "memory_bytes", "bytes", "modified", "message", "detail", "errors",
        "failure", "description", "help", "folder", "path_on_disk", "hash", "sha256",
    ]

    /// Headers that depend on the connection.
    private static let hiddenHeaders: Set<String> = [
        "date", "content-length", "transfer-encoding", "connection", "keep-alive", "server",
    ]

    /// Keys and headers that are left out of this answer: their presence depends on timing.
    let dropped: Set<String>
    let content: GoldenCall.Content

    init(_ call: GoldenCall) {
        dropped = call.dropped
        content = call.content
    }

    /// Status, headers and body.
    func text(_ answer: GoldenAnswer) -> String {
        let headers = answer.headers
            .filter { !Self.hiddenHeaders.contains($0.name) && !dropped.contains($0.name) }
            .map { "\($0.name): \($0.name == "etag" ? "<tag>" : string($0.value))" }
            .sorted()
        let type = answer.headers.first { $0.name == "content-type" }?.value ?? ""
        return (["\(answer.status)"] + headers + ["", body(answer.body, type)])
            .joined(separator: "\n")
    }

    private func body(_ bytes: [UInt8], _ type: String) -> String {
        switch content {
        case .none: return bytes.isEmpty ? "" : "<not recorded>"
        case .metricNames:
            let names = String(decoding: bytes, as: UTF8.self).split(separator: "\n")
                .filter { !$0.hasPrefix("#") }.map { $0.prefix { $0 != "{" && $0 != " " } }
            return Set(names.map(String.init)).sorted().joined(separator: "\n")
        case .whole: break
        }
        if type.hasPrefix("application/json") { return json(bytes) }
        if type.hasPrefix("text/event-stream") { return events(bytes) }
        if let image = image(bytes) { return image }
        return string(String(decoding: bytes, as: UTF8.self))
    }

    // MARK: - JSON

    private func json(_ bytes: [UInt8]) -> String {
        guard
            let value = try? JSONSerialization.jsonObject(
                with: Data(bytes), options: .fragmentsAllowed)
        else { return string(String(decoding: bytes, as: UTF8.self)) }
        return write(mask(value), [.prettyPrinted])
    }

    private func write(_ value: Any, _ options: JSONSerialization.WritingOptions = []) -> String {
        let options = options.union([.sortedKeys, .withoutEscapingSlashes, .fragmentsAllowed])
        let data = try? JSONSerialization.data(withJSONObject: value, options: options)
        return String(decoding: data ?? Data(), as: UTF8.self)
    }

    private func mask(_ value: Any) -> Any {
        switch value {
        case let object as [String: Any]:
            // The timings of a whole answer are real ones; those of an image are the generator's.
            let hidden =
                object["queued"] is Double ? Self.keys.union(["queued", "total"]) : Self.keys
            return object.reduce(into: [String: Any]()) { result, pair in
                if dropped.contains(pair.key) { return }
                let isHidden = hidden.contains(pair.key) && !(pair.value is NSNull)
                result[pair.key] = isHidden ? "<masked>" : mask(pair.value)
            }
        case let array as [Any]: return array.map(mask)
        case let text as String: return string(text)
        default: return value
        }
    }

    /// A text without ids and addresses; an image or JSON in it is described.
    private func string(_ text: String) -> String {
        if text.hasPrefix("{"), text.hasSuffix("}"),
            let value = try? JSONSerialization.jsonObject(with: Data(text.utf8))
        {
            return write(mask(value))
        }
        let base64 = text.hasPrefix("data:") ? text.drop { $0 != "," }.dropFirst() : text[...]
        if base64.count > 60, let data = Data(base64Encoded: String(base64)),
            let image = image([UInt8](data))
        {
            return (text.hasPrefix("data:") ? text.prefix { $0 != "," } + "," : "") + image
        }
        return
            text
            .replacing(/Inkstone \d+\.\d+\.\d+/, with: "Inkstone <version>")
            .replacing(/(localhost|127\.0\.0\.1)(:\d+)?/, with: "<host>")
            .replacing(/(job|req)-[0-9a-z]{12,}/) { "<\($0.output.1)>" }
            .replacing(/[0-9a-f]{16,64}/, with: "<id>")
            .replacing(/\d{4}-\d\d-\d\d[T ]\d\d:\d\d:\d\d(\.\d+)?Z?/, with: "<time>")
    }

    /// An image file: its format, size, pixels where nothing was lost, and its parameters.
    private func image(_ bytes: [UInt8]) -> String? {
        guard let decoded = try? ImageDecoder.decode(bytes) else { return nil }
        let pixels =
            decoded.format == .png
            ? " pixels \(SHA256.hexadecimal(decoded.image.pixels).prefix(12))" : ""
        let parameters =
            decoded.metadata.parameters.map {
                " parameters [\(string($0))]"
            } ?? ""
        return "<\(decoded.format) \(decoded.image.width)x\(decoded.image.height)\(pixels)"
            + "\(parameters.replacing("\n", with: " | "))>"
    }

    // MARK: - Events

    /// Frames one by one, but the newest preview alone, as previews may overtake each other, and without the
    /// events that only say that work goes on.
    private func events(_ bytes: [UInt8]) -> String {
        var frames: [(kind: String, text: String)] = []
        for frame in String(decoding: bytes, as: UTF8.self).components(separatedBy: "\n\n")
        where !frame.isEmpty && !frame.hasPrefix(":") {
            var (kind, lines) = ("", [String]())
            for line in frame.components(separatedBy: "\n") {
                guard line.hasPrefix("data: ") else {
                    kind = line
                    lines.append(line)
                    continue
                }
                let data = Array(line.dropFirst(6).utf8)
                if let object = try? JSONSerialization.jsonObject(with: Data(data))
                    as? [String: Any], let message = object["msg"] as? String
                {
                    kind = message
                }
                lines.append("data: " + json(data))
            }
            if kind == "event: generating" { continue }
            let isPreview =
                kind.contains("partial") || kind.contains("preview")
                || kind == "process_generating"
            if isPreview { frames.removeAll { $0.kind == kind } }
            frames.append((kind, lines.joined(separator: "\n")))
        }
        return frames.map(\.text).joined(separator: "\n\n")
    }
}

// Part of Inkstone. Licence: see LICENSE.

/// How to call a route, and which answers the class `owner` gets.
struct WalkedCall: Sendable {
    var path: String
    var body: String?
    var type = "application/json"
    /// Further paths of the same object, such as those with the id of its call.
    var otherPaths: [String] = []
    /// The address of a link with its permit.
    var signedPath: String?
    /// Status of the owner's answer, and a part of its text.
    var ownStatus = 200
    var ownText: String?
    /// Status of the answers to others, and to names that nothing has.
    var foreignStatus = 404
    /// Whether the owner's answer lasts as long as the calls in progress.
    var waitsForCalls = false

    init(_ path: String, body: String? = nil) {
        (self.path, self.body) = (path, body)
    }

    /// The call with each of its paths.
    var variants: [WalkedCall] {
        [self]
            + otherPaths.map { path in
                var call = self
                call.path = path
                return call
            }
    }
}

/// How to call every route of the service.
enum WalkedCalls {
    typealias Make = @Sendable (WalkedObjects) -> WalkedCall

    /// The call of a route, such as `GET /api/jobs`; `nil` for one that is not known here.
    static func call(of route: String) -> Make? {
        // The page's files are listed by the build.
        if let make = owned[route] { return make }
        guard plain.contains(route) || route.hasPrefix("GET /assets/") else { return nil }
        let parts = route.split(separator: " ")
        let path = parts[1].split(separator: "/", omittingEmptySubsequences: false).map { part in
            part.hasPrefix(":") || part == "**" ? "none" : part
        }.joined(separator: "/")
        return { _ in WalkedCall(path, body: parts[0] == "POST" ? "{}" : nil) }
    }

    /// All routes that are known here, except the page's files.
    static var routes: [String] { Array(plain) + owned.keys }

    /// Routes without objects of an owner.
    private static let plain: Set<String> = [
        // Public.
        "GET /", "GET /api/openapi.json", "GET /livez", "GET /readyz", "GET /health",
        "GET /version", "GET /metrics", "GET /v1/cluster/auth",
        // OpenAI and Xinference.
        "POST /v1/images/generations", "POST /v1/images/edits", "POST /v1/images/variations",
        "POST /v1/images/inpainting", "GET /v1/models", "POST /v1/models", "GET /v1/models/**",
        "DELETE /v1/models/**", "POST /v1/models/**/cancel", "GET /v1/models/**/progress",
        "GET /v1/models/**/replicas", "POST /v1/models/**/replicas",
        "DELETE /v1/models/**/replicas/:number", "GET /v1/model_registrations/:type",
        "GET /v1/model_registrations/:type/:name", "GET /v1/engines/:type/:name",
        "GET /status", "GET /v1/address", "GET /v1/cluster/info", "GET /v1/cluster/version",
        "GET /v1/cluster/devices", "GET /v1/supervisor",
        // AUTOMATIC1111.
        "POST /sdapi/v1/txt2img", "POST /sdapi/v1/img2img", "POST /sdapi/v1/png-info",
        "GET /sdapi/v1/sd-models", "GET /sdapi/v1/loras", "GET /sdapi/v1/samplers",
        "GET /sdapi/v1/schedulers", "GET /sdapi/v1/upscalers",
        "GET /sdapi/v1/latent-upscale-modes", "GET /sdapi/v1/sd-vae", "GET /sdapi/v1/sd-modules",
        "GET /sdapi/v1/hypernetworks", "GET /sdapi/v1/face-restorers",
        "GET /sdapi/v1/realesrgan-models", "GET /sdapi/v1/prompt-styles",
        "GET /sdapi/v1/extensions", "GET /sdapi/v1/script-info", "GET /sdapi/v1/scripts",
        "GET /sdapi/v1/embeddings", "GET /sdapi/v1/cmd-flags", "GET /sdapi/v1/memory",
        "POST /sdapi/v1/refresh-checkpoints", "POST /sdapi/v1/refresh-loras",
        "POST /sdapi/v1/refresh-vae", "GET /controlnet/version", "GET /controlnet/model_list",
        "GET /controlnet/module_list", "GET /controlnet/control_types",
        "GET /controlnet/settings", "POST /controlnet/detect",
        // Gradio.
        "GET /config", "GET /gradio_api/info", "POST /gradio_api/call/generate",
        // The page, jobs, LoRA files and the catalog.
        "GET /api/models", "GET /api/models/**/words", "POST /api/estimate", "GET /api/status",
        "GET /api/benchmarks", "GET /api/benchmarks/:run/:file", "POST /api/jobs", "GET /api/loras",
        "POST /api/loras", "DELETE /api/loras/:name", "GET /api/catalog", "POST /api/catalog",
        "GET /api/catalog/:name", "DELETE /api/catalog/:name", "POST /api/catalog/:name/quantize",
        "GET /api/catalog-tasks", "GET /api/catalog-tasks/:id", "DELETE /api/catalog-tasks/:id",
    ]

    /// Routes that name objects of an owner, or show those of the key.
    private static let owned: [String: Make] = {
        var calls: [String: Make] = [:]
        for (route, make) in jobs + xinference + a1111 + gradio { calls[route] = make }
        return calls
    }()

    /// A route below a finished job, by its id and by the id of its call.
    private static func job(_ route: String, _ rest: String, status: Int = 200, text: String? = nil)
        -> (String, Make)
    {
        (
            route,
            { objects in
                var call = WalkedCall("/api/jobs/\(objects.job)\(rest)")
                call.otherPaths = ["/api/jobs/\(objects.call)\(rest)"]
                (call.ownStatus, call.ownText) = (status, text)
                return call
            }
        )
    }

    /// A route that answers others with 200, as if there were nothing.
    private static func shown(_ route: String, _ make: @escaping Make) -> (String, Make) {
        (
            route,
            { objects in
                var call = make(objects)
                call.foreignStatus = 200
                return call
            }
        )
    }

    private static let jobs: [(String, Make)] = [
        shown("GET /api/jobs") { objects in
            var call = WalkedCall("/api/jobs?limit=200")
            call.ownText = objects.job
            return call
        },
        job("GET /api/jobs/:id", "", text: "pixel_sha256"),
        shown("POST /mcp") { objects in
            func body(_ job: String) -> String {
                #"{"jsonrpc": "2.0", "id": 1, "method": "tools/call", "params":"#
                    + #" {"name": "get_job", "arguments": {"job": "\#(job)"}}}"#
            }
            var call = WalkedCall("/mcp", body: body(objects.job))
            call.ownText = "succeeded"
            return call
        },
        job("DELETE /api/jobs/:id", "", status: 204),
        job("GET /api/jobs/:id/events", "/events", text: "event: done"),
        job("GET /api/jobs/:id/images/:index", "/images/0"),
        job("GET /api/jobs/:id/images/:index/thumbnail", "/images/0/thumbnail"),
        job("PUT /api/jobs/:id/images/:index/star", "/images/0/star", status: 204),
        job("DELETE /api/jobs/:id/images/:index/star", "/images/0/star", status: 204),
        job("GET /api/jobs/:id/source", "/source"),
        (
            "POST /api/jobs/:id/cancel",
            { objects in
                var call = WalkedCall("/api/jobs/\(objects.running)/cancel", body: "")
                call.otherPaths = ["/api/jobs/\(objects.runningCall)/cancel"]
                call.ownStatus = 202
                return call
            }
        ),
        (
            "GET /v1/images/files/:name",
            { objects in
                var call = WalkedCall("/v1/images/files/\(objects.file)")
                call.signedPath = objects.link
                return call
            }
        ),
    ]

    private static let xinference: [(String, Make)] = [
        shown("POST /v1/models/**/requests/:request/abort") { objects in
            let base = "/v1/models/tiny/requests/"
            var call = WalkedCall("\(base)\(objects.runningCall)/abort", body: "{}")
            call.otherPaths = ["\(base)\(objects.running)/abort"]
            call.ownText = "DONE"
            return call
        },
        (
            "GET /v1/requests/:id/progress",
            { objects in
                var call = WalkedCall("/v1/requests/\(objects.call)/progress")
                call.otherPaths = ["/v1/requests/\(objects.job)/progress"]
                (call.ownText, call.foreignStatus) = ("elapsed_seconds", 400)
                return call
            }
        ),
    ]

    private static let a1111: [(String, Make)] = [
        shown("GET /sdapi/v1/progress") { objects in
            var call = WalkedCall("/sdapi/v1/progress")
            call.ownText = objects.task
            return call
        },
        shown("POST /sdapi/v1/interrupt") { _ in WalkedCall("/sdapi/v1/interrupt", body: "") },
        shown("POST /sdapi/v1/skip") { _ in WalkedCall("/sdapi/v1/skip", body: "") },
        shown("GET /sdapi/v1/options") { _ in WalkedCall("/sdapi/v1/options") },
        shown("POST /sdapi/v1/options") { _ in
            WalkedCall("/sdapi/v1/options", body: #"{"samples_format": "png"}"#)
        },
    ]

    private static let gradio: [(String, Make)] = [
        shown("POST /gradio_api/queue/join") { objects in
            let body = #"{"data": ["a cat"], "session_hash": "\#(objects.session)"}"#
            var call = WalkedCall("/gradio_api/queue/join", body: body)
            call.ownText = "event_id"
            return call
        },
        shown("GET /gradio_api/queue/data") { objects in
            var call = WalkedCall("/gradio_api/queue/data?session_hash=\(objects.session)")
            call.ownText = objects.event
            call.waitsForCalls = true
            return call
        },
        shown("POST /gradio_api/cancel") { objects in
            WalkedCall("/gradio_api/cancel", body: #"{"event_id": "\#(objects.event)"}"#)
        },
        (
            "GET /gradio_api/call/generate/:event",
            { objects in
                var call = WalkedCall("/gradio_api/call/generate/\(objects.job)")
                call.otherPaths = ["/gradio_api/call/generate/\(objects.call)"]
                call.ownText = "event: complete"
                return call
            }
        ),
        (
            "GET /gradio_api/**",
            { objects in
                var call = WalkedCall("/gradio_api/file=jobs/\(objects.job)/0.png")
                call.otherPaths = ["/gradio_api/file=jobs/\(objects.call)/0.png"]
                call.signedPath = objects.gradioLink
                return call
            }
        ),
    ]
}

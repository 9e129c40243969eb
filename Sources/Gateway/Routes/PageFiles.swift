// Part of Inkstone. Licence: see LICENSE.

import Engine
import HTTPTypes
import Hummingbird

/// A file of the page, embedded in the program.
struct PageFile: Sendable {
    let bytes: [UInt8]
    let type: String
    /// Changes with the content.
    let entityTag: String

    init(_ bytes: [UInt8], type: String) {
        self.bytes = bytes
        self.type = type
        self.entityTag = "\"\(digest(bytes).prefix(16))\""
    }
}

/// The page's files by path.
///
/// Paths are looked up in this table and nowhere else, so no path can lead out of it.
enum PageFiles {
    private static let html = "text/html; charset=utf-8"
    private static let css = "text/css; charset=utf-8"
    private static let script = "text/javascript; charset=utf-8"
    private static let json = "application/json; charset=utf-8"

    /// Every file, under the path relative to the page's root.
    static let all: [String: PageFile] = [
        "": PageFile(PackageResources.index_html, type: html),
        "assets/style.css": PageFile(PackageResources.style_css, type: css),
        "assets/views.css": PageFile(PackageResources.views_css, type: css),
        "assets/app.js": PageFile(PackageResources.app_js, type: script),
        "assets/api.js": PageFile(PackageResources.api_js, type: script),
        "assets/benchmarks.js": PageFile(PackageResources.benchmarks_js, type: script),
        "assets/clipboard.js": PageFile(PackageResources.clipboard_js, type: script),
        "assets/compare.js": PageFile(PackageResources.compare_js, type: script),
        "assets/connection.js": PageFile(PackageResources.connection_js, type: script),
        "assets/drop.js": PageFile(PackageResources.drop_js, type: script),
        "assets/forecast.js": PageFile(PackageResources.forecast_js, type: script),
        "assets/gallery.js": PageFile(PackageResources.gallery_js, type: script),
        "assets/hints.js": PageFile(PackageResources.hints_js, type: script),
        "assets/language.js": PageFile(PackageResources.language_js, type: script),
        "assets/loras.js": PageFile(PackageResources.loras_js, type: script),
        "assets/mask.js": PageFile(PackageResources.mask_js, type: script),
        "assets/metrics.js": PageFile(PackageResources.metrics_js, type: script),
        "assets/pictures.js": PageFile(PackageResources.pictures_js, type: script),
        "assets/progress.js": PageFile(PackageResources.progress_js, type: script),
        "assets/recall.js": PageFile(PackageResources.recall_js, type: script),
        "assets/runner.js": PageFile(PackageResources.runner_js, type: script),
        "assets/settings.js": PageFile(PackageResources.settings_js, type: script),
        "assets/sheet.js": PageFile(PackageResources.sheet_js, type: script),
        "assets/sizes.js": PageFile(PackageResources.sizes_js, type: script),
        "assets/source.js": PageFile(PackageResources.source_js, type: script),
        "assets/stage.js": PageFile(PackageResources.stage_js, type: script),
        "assets/status.js": PageFile(PackageResources.status_js, type: script),
        "assets/store.js": PageFile(PackageResources.store_js, type: script),
        "assets/views.js": PageFile(PackageResources.views_js, type: script),
        "assets/en.json": PageFile(PackageResources.en_json, type: json),
        "assets/zh.json": PageFile(PackageResources.zh_json, type: json),
        "api/openapi.json": PageFile(PackageResources.openapi_json, type: json),
        "assets/icon.svg": PageFile(PackageResources.icon_svg, type: "image/svg+xml"),
    ]

    /// Nothing but the page's own files and the pictures it makes.
    static let contentSecurityPolicy = [
        "default-src 'none'", "script-src 'self'", "style-src 'self'",
        "img-src 'self' data: blob:", "connect-src 'self'", "base-uri 'none'",
        "form-action 'none'", "frame-ancestors 'none'",
    ].joined(separator: "; ")

    static let headers: HTTPFields = [
        .contentSecurityPolicy: contentSecurityPolicy,
        .referrerPolicy: "no-referrer",
        .openerPolicy: "same-origin",
        .resourcePolicy: "same-origin",
        .permissionsPolicy: "camera=(), geolocation=(), microphone=()",
        // Kept by the browser, but asked about each time: a new program shows its new page.
        .cacheControl: "no-cache",
    ]
}

extension Gateway {
    /// The page at `/` and its files under `/assets/`.
    func addPageFileRoutes(to router: Router<GatewayContext>) {
        for (path, file) in PageFiles.all {
            router.endpoint(
                RouterPath("/" + path),
                [
                    .get: { request, _ in
                        let known = request.headers[values: .ifNoneMatch].joined(separator: ",")
                        var response =
                            known.contains(file.entityTag)
                            ? Response(status: .notModified)
                            : Response.bytes(file.bytes, type: file.type)
                        response.headers.append(contentsOf: PageFiles.headers)
                        response.headers[.eTag] = file.entityTag
                        return response
                    }
                ])
        }
    }
}

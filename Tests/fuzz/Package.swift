// swift-tools-version: 6.2
// Part of Inkstone. Licence: see LICENSE.

import PackageDescription

/// The parsers of Inkstone in a program for libFuzzer. `run` links the sources beside a copy of this file
/// and builds it there; it does not belong to the package in the repository's root.
let settings: [SwiftSetting] = [
    .swiftLanguageMode(.v6),
    .enableUpcomingFeature("ExistentialAny"),
    .enableUpcomingFeature("InternalImportsByDefault"),
    .enableUpcomingFeature("MemberImportVisibility"),
]

let package = Package(
    name: "fuzz",
    platforms: [.macOS(.v15)],
    dependencies: [
        .package(url: "https://github.com/apple/swift-http-types", exact: "1.8.0")
    ],
    targets: [
        .target(name: "CKernels"),
        .systemLibrary(name: "CCrypto", pkgConfig: "libcrypto"),
        .systemLibrary(name: "CSPNG", pkgConfig: "spng"),
        .systemLibrary(name: "CTurboJPEG", pkgConfig: "libturbojpeg"),
        .systemLibrary(name: "CWebP", pkgConfig: "libwebpmux"),
        .target(name: "Basics", dependencies: ["CCrypto"], swiftSettings: settings),
        .target(name: "Parameters", dependencies: ["Basics"], swiftSettings: settings),
        .target(name: "Tensors", dependencies: ["CKernels"], swiftSettings: settings),
        .target(
            name: "ModelFiles", dependencies: ["Basics", "Parameters", "Tensors"],
            swiftSettings: settings),
        .target(
            name: "Imaging", dependencies: ["Basics", "CSPNG", "CTurboJPEG", "CWebP"],
            swiftSettings: settings),
        .target(
            name: "ZImage",
            dependencies: ["Basics", "Imaging", "ModelFiles", "Parameters", "Tensors"],
            swiftSettings: settings),
        .target(
            name: "Catalog",
            dependencies: ["Basics", "Imaging", "ModelFiles", "Parameters", "ZImage"],
            swiftSettings: settings),
        // Only the readers of forms and JSON.
        .target(
            name: "Gateway",
            dependencies: [
                "Basics", "ModelFiles", "Parameters",
                .product(name: "HTTPTypes", package: "swift-http-types"),
            ],
            swiftSettings: settings),
        .executableTarget(
            name: "Fuzz", dependencies: ["Catalog", "Gateway", "Imaging", "ModelFiles", "ZImage"],
            swiftSettings: settings + [.unsafeFlags(["-parse-as-library"])]),
    ],
    cLanguageStandard: .gnu17
)

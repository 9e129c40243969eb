// swift-tools-version: 6.2
// Part of Inkstone. Licence: see LICENSE.

import PackageDescription

/// Every Swift target is compiled with the same strict settings.
var settings: [SwiftSetting] = [
    .swiftLanguageMode(.v6),
    .enableUpcomingFeature("ExistentialAny"),
    .enableUpcomingFeature("InternalImportsByDefault"),
    .enableUpcomingFeature("MemberImportVisibility"),
]
// The tests are built with this set; a newer compiler's new warnings do not stop a user's build.
if Context.environment["INKSTONE_STRICT"] != nil {
    settings.append(.treatAllWarnings(as: .error))
}

let package = Package(
    name: "inkstone",
    platforms: [.macOS(.v15)],
    products: [
        .library(
            name: "ZImage", targets: ["ZImage", "Imaging", "ModelFiles", "Parameters", "Tensors"]),
        .library(name: "Engine", targets: ["Engine", "Catalog", "Parameters"]),
        .library(name: "LoadTesting", targets: ["LoadTesting"]),
        .executable(name: "inkstone", targets: ["inkstone"]),
        .executable(name: "imgbench", targets: ["imgbench"]),
    ],
    traits: [
        .trait(name: "Fleet", description: "More than one machine, over NATS. Needs libnats-dev.")
    ],
    dependencies: [
        .package(url: "https://github.com/apple/swift-argument-parser", exact: "1.8.2"),
        .package(url: "https://github.com/apple/swift-http-types", exact: "1.8.0"),
        .package(url: "https://github.com/apple/swift-log", exact: "1.16.2"),
        .package(url: "https://github.com/apple/swift-metrics", exact: "2.13.0"),
        .package(url: "https://github.com/apple/swift-nio", exact: "2.101.2"),
        .package(url: "https://github.com/apple/swift-nio-extras", exact: "1.35.2"),
        .package(url: "https://github.com/groue/GRDB.swift", exact: "7.10.0"),
        .package(url: "https://github.com/HdrHistogram/hdrhistogram-swift", exact: "0.2.0"),
        // Its traits bring readers of configuration files that nothing here uses.
        .package(
            url: "https://github.com/hummingbird-project/hummingbird", exact: "2.28.1", traits: []),
        .package(url: "https://github.com/jpsim/Yams", exact: "6.2.2"),
        .package(url: "https://github.com/swift-server/swift-service-lifecycle", exact: "2.13.0"),
    ],
    targets: [
        .target(
            name: "CKernels",
            linkerSettings: [.linkedLibrary("pthread"), .linkedLibrary("m")]
        ),
        // The files of the page, embedded in the program so that one file is all there is to copy.
        .target(name: "CPage"),
        // The shaders of the Vulkan backend, embedded as SPIR-V; Scripts/compile-shaders compiles them.
        .target(name: "CShaders", exclude: ["glsl", "spirv"]),
        // The Vulkan interface; its library is looked for when a program runs.
        .target(
            name: "CVulkan", linkerSettings: [.linkedLibrary("dl", .when(platforms: [.linux]))]),
        // Without pkg-config: a build without the trait must not look for it.
        .systemLibrary(name: "CNATS"),
        .systemLibrary(
            name: "CCrypto", pkgConfig: "libcrypto", providers: [.apt(["libssl-dev"])]),
        .systemLibrary(
            name: "CCURL", pkgConfig: "libcurl", providers: [.apt(["libcurl4-openssl-dev"])]),
        .systemLibrary(
            name: "CSPNG", pkgConfig: "spng", providers: [.apt(["libspng-dev"])]),
        .systemLibrary(
            name: "CTurboJPEG", pkgConfig: "libturbojpeg", providers: [.apt(["libturbojpeg0-dev"])]),
        .systemLibrary(
            name: "CWebP", pkgConfig: "libwebpmux", providers: [.apt(["libwebp-dev"])]),
        .target(name: "Basics", dependencies: ["CCrypto"], swiftSettings: settings),
        .target(name: "Parameters", dependencies: ["Basics"], swiftSettings: settings),
        .target(name: "Transfers", dependencies: ["CCURL"], swiftSettings: settings),
        .target(name: "Tensors", dependencies: ["CKernels"], swiftSettings: settings),
        .target(
            name: "VulkanTensors", dependencies: ["CShaders", "CVulkan", "Tensors"],
            swiftSettings: settings),
        .target(
            name: "ModelFiles", dependencies: ["Basics", "Parameters", "Tensors"],
            swiftSettings: settings),
        .target(
            name: "Hub", dependencies: ["Basics", "ModelFiles", "Transfers"],
            swiftSettings: settings
        ),
        .target(
            name: "Imaging",
            dependencies: ["Basics", "CSPNG", "CTurboJPEG", "CWebP"],
            swiftSettings: settings
        ),
        .target(name: "ControlMaps", dependencies: ["Imaging"], swiftSettings: settings),
        .target(
            name: "ZImage",
            dependencies: ["Basics", "Imaging", "ModelFiles", "Parameters", "Tensors"],
            swiftSettings: settings
        ),
        .target(
            name: "Catalog",
            dependencies: ["Basics", "Imaging", "ModelFiles", "Parameters", "ZImage"],
            swiftSettings: settings
        ),
        .target(
            name: "Engine",
            dependencies: [
                "Basics", "Catalog", "ControlMaps", "Imaging", "ModelFiles", "Parameters",
                "Tensors", "ZImage",
            ],
            swiftSettings: settings
        ),
        .target(
            name: "Telemetry",
            dependencies: [
                "Basics",
                .product(name: "CoreMetrics", package: "swift-metrics"),
                .product(name: "Logging", package: "swift-log"),
            ],
            swiftSettings: settings
        ),
        .target(
            name: "Service",
            dependencies: [
                "Basics", "Engine", "Imaging", "ModelFiles", "Parameters", "Telemetry", "Tensors",
                "ZImage",
                .product(name: "GRDB", package: "GRDB.swift"),
                .product(name: "HTTPTypes", package: "swift-http-types"),
                .product(name: "Hummingbird", package: "hummingbird"),
                .product(name: "Logging", package: "swift-log"),
                .product(name: "NIOCore", package: "swift-nio"),
                .product(name: "NIOHTTP1", package: "swift-nio"),
                .product(name: "NIOPosix", package: "swift-nio"),
                .product(name: "ServiceLifecycle", package: "swift-service-lifecycle"),
            ],
            swiftSettings: settings
        ),
        .target(
            name: "Gateway",
            dependencies: [
                "Basics", "CPage", "Catalog", "ControlMaps", "Engine", "Hub", "Imaging",
                "ModelFiles", "Parameters", "Service", "Telemetry", "Tensors", "ZImage",
                .product(name: "HTTPTypes", package: "swift-http-types"),
                .product(name: "Hummingbird", package: "hummingbird"),
                .product(name: "HummingbirdCore", package: "hummingbird"),
                .product(name: "Logging", package: "swift-log"),
                .product(name: "NIOCore", package: "swift-nio"),
                .product(name: "NIOHTTP1", package: "swift-nio"),
                .product(name: "NIOHTTPTypes", package: "swift-nio-extras"),
                .product(name: "NIOHTTPTypesHTTP1", package: "swift-nio-extras"),
                .product(name: "ServiceLifecycle", package: "swift-service-lifecycle"),
                .product(name: "UnixSignals", package: "swift-service-lifecycle"),
            ],
            exclude: ["Page"],
            swiftSettings: settings
        ),
        .target(
            name: "Fleet",
            dependencies: [
                "Basics", "Catalog", "Engine", "Imaging", "Parameters", "Service", "Telemetry",
                .product(name: "Logging", package: "swift-log"),
                .target(name: "CNATS", condition: .when(traits: ["Fleet"])),
            ],
            swiftSettings: settings
        ),
        .executableTarget(
            name: "inkstone",
            dependencies: [
                "Basics", "Catalog", "ControlMaps", "Engine", "Fleet", "Gateway", "Hub", "Imaging",
                "ModelFiles", "Parameters", "Service", "Telemetry", "Tensors", "Transfers",
                "VulkanTensors", "ZImage",
                .product(name: "ArgumentParser", package: "swift-argument-parser"),
                .product(name: "Logging", package: "swift-log"),
                .product(name: "Yams", package: "Yams"),
            ],
            swiftSettings: settings
        ),
        .target(
            name: "LoadTesting",
            dependencies: [
                "Basics", "Imaging", "Transfers",
                .product(name: "Histogram", package: "hdrhistogram-swift"),
                .product(name: "NIOCore", package: "swift-nio"),
                .product(name: "NIOHTTP1", package: "swift-nio"),
                .product(name: "NIOPosix", package: "swift-nio"),
                .product(name: "Yams", package: "Yams"),
            ],
            swiftSettings: settings
        ),
        .executableTarget(
            name: "imgbench",
            dependencies: [
                "LoadTesting", "Tensors",
                .product(name: "ArgumentParser", package: "swift-argument-parser"),
            ],
            swiftSettings: settings
        ),
        .executableTarget(
            name: "FirstPicture", dependencies: ["Imaging", "ZImage"],
            path: "Examples/FirstPicture", swiftSettings: settings
        ),
        .executableTarget(
            name: "SharedEngine", dependencies: ["Engine", "Imaging", "Parameters", "ZImage"],
            path: "Examples/SharedEngine", swiftSettings: settings
        ),
        .executableTarget(
            name: "FirstLoadTest", dependencies: ["LoadTesting"],
            path: "Examples/FirstLoadTest", exclude: ["scenario.yaml"], swiftSettings: settings
        ),
        .testTarget(name: "BasicsTests", dependencies: ["Basics"], swiftSettings: settings),
        .testTarget(
            name: "TransfersTests",
            dependencies: [
                "Transfers",
                .product(name: "NIOCore", package: "swift-nio"),
                .product(name: "NIOHTTP1", package: "swift-nio"),
                .product(name: "NIOPosix", package: "swift-nio"),
            ],
            swiftSettings: settings
        ),
        .testTarget(name: "TensorsTests", dependencies: ["Tensors"], swiftSettings: settings),
        .testTarget(
            name: "VulkanTensorsTests",
            dependencies: [
                "Engine", "Imaging", "ModelFiles", "Parameters", "Tensors", "VulkanTensors",
                "ZImage",
            ],
            swiftSettings: settings),
        .testTarget(
            name: "ModelFilesTests", dependencies: ["ModelFiles", "Parameters", "Tensors"],
            swiftSettings: settings),
        .testTarget(
            name: "HubTests",
            dependencies: [
                "Basics", "Hub", "ModelFiles",
                .product(name: "NIOCore", package: "swift-nio"),
                .product(name: "NIOHTTP1", package: "swift-nio"),
                .product(name: "NIOPosix", package: "swift-nio"),
            ],
            swiftSettings: settings
        ),
        .testTarget(name: "ImagingTests", dependencies: ["Imaging"], swiftSettings: settings),
        .testTarget(
            name: "ControlMapsTests", dependencies: ["ControlMaps", "Imaging"],
            swiftSettings: settings),
        .testTarget(
            name: "ZImageTests",
            dependencies: ["ZImage", "ModelFiles", "Parameters", "Tensors", "Imaging"],
            swiftSettings: settings
        ),
        .testTarget(
            name: "CatalogTests", dependencies: ["Catalog", "ModelFiles", "Parameters"],
            swiftSettings: settings
        ),
        .testTarget(
            name: "EngineTests",
            dependencies: [
                "Basics", "Catalog", "ControlMaps", "Engine", "Imaging", "ModelFiles", "Parameters",
                "Tensors", "ZImage",
            ],
            swiftSettings: settings
        ),
        .testTarget(
            name: "ServiceTests",
            dependencies: [
                "Basics", "Catalog", "Engine", "Imaging", "ModelFiles", "Parameters", "Service",
                "Telemetry", "Tensors", "ZImage", "inkstone",
                .product(name: "GRDB", package: "GRDB.swift"),
                .product(name: "Logging", package: "swift-log"),
                .product(name: "NIOCore", package: "swift-nio"),
            ],
            swiftSettings: settings),
        .testTarget(
            name: "FleetTests",
            dependencies: [
                "Basics", "Catalog", "Engine", "Fleet", "Imaging", "Parameters", "Service",
                .product(name: "Logging", package: "swift-log"),
            ],
            swiftSettings: settings),
        .testTarget(
            name: "TelemetryTests",
            dependencies: [
                "Engine", "Imaging", "Parameters", "Service", "Telemetry",
                .product(name: "CoreMetrics", package: "swift-metrics"),
                .product(name: "Logging", package: "swift-log"),
            ],
            swiftSettings: settings
        ),
        .testTarget(
            name: "CommandTests", dependencies: ["inkstone", "Imaging", "ModelFiles", "Tensors"],
            exclude: ["Snapshots"], swiftSettings: settings
        ),
        .testTarget(
            name: "LoadTestingTests", dependencies: ["Imaging", "LoadTesting"],
            exclude: ["Golden", "Results", "Tables"], swiftSettings: settings
        ),
        .testTarget(
            name: "GatewayTests",
            dependencies: [
                "Basics", "Catalog", "ControlMaps", "Engine", "Gateway", "Imaging", "Parameters",
                "Service", "Telemetry", "Transfers",
                .product(name: "HTTPTypes", package: "swift-http-types"),
                .product(name: "Hummingbird", package: "hummingbird"),
                .product(name: "Logging", package: "swift-log"),
                .product(name: "NIOCore", package: "swift-nio"),
                .product(name: "NIOPosix", package: "swift-nio"),
                .product(name: "ServiceLifecycle", package: "swift-service-lifecycle"),
            ],
            swiftSettings: settings
        ),
    ],
    cLanguageStandard: .gnu17
)

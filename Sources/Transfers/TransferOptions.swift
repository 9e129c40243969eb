// Part of Inkstone. Licence: see LICENSE.

import CCURL
import Foundation

/// Sets the options of a handle of libcurl, and keeps the first failure.
struct TransferOptions {
    private let handle: UnsafeMutableRawPointer
    private(set) var status = CURLE_OK

    init(_ handle: UnsafeMutableRawPointer) { self.handle = handle }

    mutating func check(_ code: CURLcode) {
        if status == CURLE_OK { status = code }
    }

    mutating func set(_ option: CURLoption, _ value: Int) {
        check(ccurl_set_long(handle, option, value))
    }

    mutating func set(_ option: CURLoption, _ text: String) {
        check(ccurl_set_text(handle, option, text))
    }

    /// Address, method and body.
    mutating func setRequest(_ request: TransferRequest) {
        set(CURLOPT_URL, request.address)
        set(CURLOPT_PATH_AS_IS, 1)
        check(ccurl_set_web_only(handle))
        set(CURLOPT_HTTP_VERSION, CURL_HTTP_VERSION_1_1)
        let method = request.method
        switch (method, request.body) {
        case ("GET", nil): set(CURLOPT_HTTPGET, 1)
        case ("HEAD", nil): set(CURLOPT_NOBODY, 1)
        // These announce their body, also one of no bytes.
        case (_, let body?): check(ccurl_set_body(handle, body, body.count))
        case ("POST", nil), ("PUT", nil), ("PATCH", nil): check(ccurl_set_body(handle, nil, 0))
        default: break
        }
        if !(["GET", "HEAD"].contains(method) && request.body == nil || method == "POST") {
            set(CURLOPT_CUSTOMREQUEST, method)
        }
        set(CURLOPT_FOLLOWLOCATION, request.redirectLimit > 0 ? 1 : 0)
        set(CURLOPT_MAXREDIRS, request.redirectLimit)
    }

    /// Proxies of the environment, but none for this machine; or no proxies.
    mutating func setProxies(_ areUsed: Bool) {
        guard areUsed else {
            set(CURLOPT_PROXY, "")
            return
        }
        let environment = ProcessInfo.processInfo.environment
        let others = environment["no_proxy"] ?? environment["NO_PROXY"] ?? ""
        set(CURLOPT_NOPROXY, others == "*" ? others : "localhost,127.0.0.1,::1,\(others)")
    }

    /// The header fields; returns libcurl's list of them, which must live as long as the handle.
    mutating func setFields(_ request: TransferRequest) -> UnsafeMutablePointer<curl_slist>? {
        var list: UnsafeMutablePointer<curl_slist>?
        for field in request.headers.fields {
            // A name with a semicolon is a field without a value, one with a colon alone is left out.
            let line = field.value.isEmpty ? field.name + ";" : "\(field.name): \(field.value)"
            list = curl_slist_append(list, line)
        }
        // What libcurl would add.
        for name in ["Accept", "Expect", "Content-Type"] where request.headers.first(name) == nil {
            list = curl_slist_append(list, name + ":")
        }
        check(ccurl_set_pointer(handle, CURLOPT_HTTPHEADER, list))
        return list
    }

    mutating func setLimits(_ request: TransferRequest, connectionAge: Duration) {
        set(CURLOPT_NOSIGNAL, 1)
        set(CURLOPT_BUFFERSIZE, 1 << 16)
        set(CURLOPT_SUPPRESS_CONNECT_HEADERS, 1)
        set(CURLOPT_CONNECTTIMEOUT_MS, request.connectTimeout.milliseconds)
        set(CURLOPT_MAXAGE_CONN, max(1, connectionAge.milliseconds / 1000))
    }
}

extension Duration {
    /// Whole milliseconds, rounded up; 0 for negative durations.
    var milliseconds: Int { Int((nanoseconds + 999_999) / 1_000_000) }

    /// Whole nanoseconds; 0 for negative durations, the largest number for those of centuries.
    var nanoseconds: Int64 {
        guard self > .zero else { return 0 }
        let (seconds, attoseconds) = components
        let (product, isTooLarge) = seconds.multipliedReportingOverflow(by: 1_000_000_000)
        return isTooLarge ? .max - 1_000_000_000 : product + attoseconds / 1_000_000_000
    }
}

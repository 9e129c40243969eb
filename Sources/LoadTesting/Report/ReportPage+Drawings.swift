// Part of Inkstone. Licence: see LICENSE.

extension ReportPage {
    private func panel(_ out: inout Markup, _ title: String, _ plot: Plot?, _ note: String? = nil) {
        guard let plot else { return }
        out.element("div", "class=\"panel\"") { out in
            out.element("h3", "", title)
            out.raw(plot.svg)
            if let note { out.element("p", "class=\"note\"", note) }
        }
    }

    func wide(_ out: inout Markup, _ title: String, _ plot: Plot?) {
        guard plot != nil else { return }
        out.element("div", "class=\"wide\"") { panel(&$0, title, plot) }
    }

    func curves(_ out: inout Markup) {
        guard plots.throughput != nil || plots.boxes != nil else { return }
        out.element("h2", "", "Throughput and latency")
        out.element("div", "class=\"charts\"") { out in
            panel(&out, "Throughput by users", plots.throughput)
            panel(&out, "Times by users", plots.latency)
            panel(&out, "Mean E2E by throughput", plots.tradeOff)
            panel(&out, "Distribution of E2E: minimum, quartiles, median, maximum", plots.boxes)
        }
        knee(&out)
    }

    private func knee(_ out: inout Markup) {
        guard let knee = summary.knee else { return }
        out.element("p", "class=\"note\"") { out in
            out.element(
                "b", "", knee.verdict.prefix(1).uppercased() + knee.verdict.dropFirst() + ".")
            if !knee.shares.isEmpty {
                let shares = knee.shares.map {
                    "\($0.users): \(Figures.decimals(100 * $0.share, 0)) %"
                }
                out.raw(
                    " "
                        + Markup.escaped(
                            "Of 1000 resamples of the slices: \(shares.joined(separator: ", "))."))
            }
        }
        out.element("details") { out in
            out.element("summary", "", "Six methods, and why each may be wrong")
            out.element("div", "class=\"scroll\"") { out in
                out.element("table") { out in
                    out.raw(
                        "<tr><th>method</th><th class=\"num\">users</th><th>figures</th><th>limitation</th></tr>"
                    )
                    for answer in knee.answers {
                        out.element("tr") { out in
                            out.element("td", "", answer.method.title)
                            out.element(
                                "td", "class=\"num\"",
                                answer.users.map { Figures.significant($0, 3) } ?? "-")
                            out.element("td", "", answer.note)
                            out.element("td", "", answer.method.caveat)
                        }
                    }
                }
            }
        }
    }

    func percentiles(_ out: inout Markup) {
        guard plots.spectrum != nil else { return }
        out.element("h2", "", "How long requests take")
        out.element("div", "class=\"charts\"") { out in
            panel(&out, "E2E by percentile", plots.spectrum)
            panel(&out, "E2E of the last level", plots.histogram)
        }
    }

    func timelines(_ out: inout Markup) {
        guard evidence.levels.contains(where: { $0.figures != nil }) else { return }
        out.element("h2", "", "Over time")
        wide(&out, "Throughput and requests in flight", plots.seconds)
        let shown = evidence.levels.prefix(40)
        let open =
            summary.knee?.knee.flatMap { knee in shown.last { $0.users == knee }?.key }
            ?? shown.last?.key
        for level in shown {
            guard let plot = plots.timeline(level) else { continue }
            out.element("details", level.key == open ? "open" : "") { out in
                out.element("summary", "", "Requests of level \(level.key), a bar each")
                out.element("div", "class=\"panel\"") { $0.raw(plot.svg) }
            }
        }
    }
}

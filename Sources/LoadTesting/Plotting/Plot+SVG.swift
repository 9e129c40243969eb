// Part of Inkstone. Licence: see LICENSE.

extension Plot {
    private static let left = 58.0
    private static let right = 14.0
    private static let top = 14.0
    private static let bottom = 40.0

    private var legend: [(color: Int, text: String, isDashed: Bool)] {
        layers.compactMap { layer in
            switch layer {
            case .line(_, let color, let isDashed, let label?): (color, label, isDashed)
            case .step(_, let color, let label?): (color, label, false)
            case .scatter(_, let color, let label?): (color, label, false)
            default: nil
            }
        }
    }

    /// The positions of the legend entries, in rows.
    private var legendPlaces: [(x: Double, row: Int)] {
        var x = Self.left
        var row = 0
        return legend.map { entry in
            // A character of the page's font is about 6.4 wide at this size.
            let extent = 23 + 6.4 * Double(entry.text.count)
            if x > Self.left, x + extent > width - Self.right {
                x = Self.left
                row += 1
            }
            defer { x += extent + 16 }
            return (x, row)
        }
    }

    /// The plot as an SVG element.
    package var svg: String {
        var out = Markup()
        let places = legendPlaces
        let offset = 18 * Double((places.last?.row ?? -1) + 1)
        let box =
            "viewBox=\"0 0 \(Self.number(width)) \(Self.number(height + offset))\" role=\"img\""
        out.element("svg", "xmlns=\"http://www.w3.org/2000/svg\" class=\"plot\" \(box)") { out in
            out.element("title", "", title)
            for (entry, place) in zip(legend, places) {
                let y = 12 + 18 * Double(place.row)
                let classes = "line s\(entry.color)\(entry.isDashed ? " dashed" : "")"
                out.empty("line", line(classes, place.x, y - 4, place.x + 18, y - 4))
                out.element(
                    "text", "x=\"\(Self.number(place.x + 23))\" y=\"\(Self.number(y))\"", entry.text
                )
            }
            out.element("g", "transform=\"translate(0 \(Self.number(offset)))\"") { out in
                drawAxes(&out)
                for layer in layers { draw(layer, &out) }
            }
        }
        return out.text
    }

    // MARK: - Places

    private func px(_ value: Double) -> Double {
        Self.left + x.place(value) * (width - Self.left - Self.right)
    }

    private func py(_ value: Double) -> Double {
        height - Self.bottom - y.place(value) * (height - Self.top - Self.bottom)
    }

    /// Formats a coordinate with one decimal, the same on every machine.
    private static func number(_ value: Double) -> String {
        let text = Figures.decimals(value, 1)
        return text.hasSuffix(".0") ? String(text.dropLast(2)) : text
    }

    private func path(_ points: [Point]) -> String {
        points.enumerated().map { index, point in
            "\(index == 0 ? "M" : "L")\(Self.number(px(point.x))) \(Self.number(py(point.y)))"
        }.joined()
    }

    private func line(
        _ classes: String, _ x1: Double, _ y1: Double, _ x2: Double, _ y2: Double
    ) -> String {
        "class=\"\(classes)\" x1=\"\(Self.number(x1))\" y1=\"\(Self.number(y1))\" "
            + "x2=\"\(Self.number(x2))\" y2=\"\(Self.number(y2))\""
    }

    private func bar(_ classes: String, _ x1: Double, _ y1: Double, _ x2: Double, _ y2: Double)
        -> String
    {
        "class=\"\(classes)\" x=\"\(Self.number(min(x1, x2)))\" y=\"\(Self.number(min(y1, y2)))\" "
            + "width=\"\(Self.number(max(0.5, abs(x2 - x1))))\" height=\"\(Self.number(max(0.5, abs(y2 - y1))))\""
    }

    // MARK: - Drawing

    private func drawAxes(_ out: inout Markup) {
        let floor = height - Self.bottom
        for tick in y.ticks {
            let place = py(tick.value)
            out.empty("line", line("grid", Self.left, place, width - Self.right, place))
            out.element(
                "text",
                "class=\"end\" x=\"\(Self.number(Self.left - 6))\" y=\"\(Self.number(place + 4))\"",
                tick.text)
        }
        for tick in x.ticks {
            let place = px(tick.value)
            out.empty("line", line("axis", place, floor, place, floor + 4))
            out.element(
                "text",
                "class=\"mid\" x=\"\(Self.number(place))\" y=\"\(Self.number(floor + 17))\"",
                tick.text)
        }
        out.empty("line", line("axis", Self.left, floor, width - Self.right, floor))
        out.element(
            "text",
            "class=\"mid name\" x=\"\(Self.number((Self.left + width - Self.right) / 2))\" y=\"\(Self.number(height - 5))\"",
            x.title)
        out.element(
            "text",
            "class=\"mid name\" transform=\"translate(13 \(Self.number((Self.top + floor) / 2))) rotate(-90)\"",
            y.title)
    }

    private func draw(_ layer: Layer, _ out: inout Markup) {
        switch layer {
        case .line(let points, let color, let isDashed, _):
            guard points.count > 1 else { return }
            out.empty(
                "path", "class=\"line s\(color)\(isDashed ? " dashed" : "")\" d=\"\(path(points))\""
            )
        case .step(let points, let color, _):
            guard let first = points.first else { return }
            var corners = [first]
            for (point, next) in zip(points, points.dropFirst()) {
                corners += [Point(next.x, point.y), next]
            }
            out.empty("path", "class=\"line s\(color)\" d=\"\(path(corners))\"")
        case .scatter(let points, let color, _):
            for point in points {
                out.empty(
                    "circle",
                    "class=\"dot s\(color)\" cx=\"\(Self.number(px(point.x)))\" cy=\"\(Self.number(py(point.y)))\" r=\"3.5\""
                )
            }
        case .intervals(let intervals, let color):
            for interval in intervals {
                let (place, low, high) = (px(interval.x), py(interval.low), py(interval.high))
                out.empty("line", line("whisker s\(color)", place, low, place, high))
                for end in [low, high] {
                    out.empty("line", line("whisker s\(color)", place - 4, end, place + 4, end))
                }
            }
        case .histogram(let edges, let heights, let color):
            for (index, value) in heights.enumerated() where value > 0 {
                out.empty(
                    "rect",
                    bar("bar s\(color)", px(edges[index]), py(0), px(edges[index + 1]), py(value)))
            }
        case .boxes(let boxes, let color): for box in boxes { draw(box, color, &out) }
        case .segments(let segments, let rows):
            let tall = (height - Self.top - Self.bottom) / Double(max(rows, 1))
            for segment in segments {
                let upper = Self.top + (Double(segment.row) + 0.1) * tall
                out.empty(
                    "rect",
                    bar(
                        "seg s\(segment.color)", px(segment.start), upper, px(segment.end),
                        upper + 0.8 * tall))
            }
        case .rule(let value, let text):
            let place = px(value)
            out.empty("line", line("rule", place, Self.top, place, height - Self.bottom))
            let isLate = place > width * 0.7
            out.element(
                "text",
                "class=\"\(isLate ? "end" : "start") note\" x=\"\(Self.number(place + (isLate ? -5 : 5)))\" "
                    + "y=\"\(Self.number(Self.top + 10))\"", text)
        }
    }

    private func draw(_ box: Box, _ color: Int, _ out: inout Markup) {
        let place = px(box.x)
        out.empty("line", line("whisker s\(color)", place, py(box.low), place, py(box.high)))
        out.empty(
            "rect",
            bar("box s\(color)", place - 9, py(box.lowerQuarter), place + 9, py(box.upperQuarter)))
        out.empty("line", line("median", place - 9, py(box.median), place + 9, py(box.median)))
        for end in [box.low, box.high] {
            out.empty("line", line("whisker s\(color)", place - 5, py(end), place + 5, py(end)))
        }
    }
}

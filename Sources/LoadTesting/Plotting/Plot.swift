// Part of Inkstone. Licence: see LICENSE.

/// A plot with two axes and layers, drawn in order.
///
/// Colours are numbers of CSS classes (`s0` to `s7`), so that light, dark and print differ only in
/// the style sheet of the page.
package struct Plot: Sendable {
    package struct Point: Sendable {
        package var x: Double
        package var y: Double

        package init(_ x: Double, _ y: Double) {
            self.x = x
            self.y = y
        }
    }

    /// The five numbers of a box plot.
    package struct Box: Sendable {
        package var x: Double
        package var low: Double
        package var lowerQuarter: Double
        package var median: Double
        package var upperQuarter: Double
        package var high: Double

        package init(
            x: Double, low: Double, lowerQuarter: Double, median: Double, upperQuarter: Double,
            high: Double
        ) {
            self.x = x
            self.low = low
            self.lowerQuarter = lowerQuarter
            self.median = median
            self.upperQuarter = upperQuarter
            self.high = high
        }
    }

    /// A horizontal bar in a row.
    package struct Segment: Sendable {
        package var row: Int
        package var start: Double
        package var end: Double
        package var color: Int

        package init(row: Int, start: Double, end: Double, color: Int) {
            self.row = row
            self.start = start
            self.end = end
            self.color = color
        }
    }

    package enum Layer: Sendable {
        /// A line through points; `isDashed` for values that were not measured.
        case line([Point], color: Int, isDashed: Bool, label: String?)
        /// A step function: each value holds until the next point.
        case step([Point], color: Int, label: String?)
        case scatter([Point], color: Int, label: String?)
        /// Intervals: at x from low to high.
        case intervals([(x: Double, low: Double, high: Double)], color: Int)
        /// Bars between edges, one more edge than heights.
        case histogram(edges: [Double], heights: [Double], color: Int)
        case boxes([Box], color: Int)
        case segments([Segment], rows: Int)
        /// A vertical line with a label.
        case rule(x: Double, text: String)
    }

    package var title: String
    package var x: PlotAxis
    package var y: PlotAxis
    package var layers: [Layer]
    package var width: Double
    package var height: Double

    package init(
        title: String, x: PlotAxis, y: PlotAxis, layers: [Layer], width: Double = 560,
        height: Double = 320
    ) {
        self.title = title
        self.x = x
        self.y = y
        self.layers = layers
        self.width = width
        self.height = height
    }
}

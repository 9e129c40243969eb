// Part of Inkstone. Licence: see LICENSE.

import Foundation

/// A colour in CIE L*a*b*, for the white point of sRGB (D65).
package struct ColorLab: Sendable, Equatable {
    package var l: Double
    package var a: Double
    package var b: Double

    package init(l: Double, a: Double, b: Double) {
        self.l = l
        self.a = a
        self.b = b
    }

    /// Converts from linear red, green and blue of sRGB, 0 to 1.
    init(linear rgb: [Double]) {
        let x = 0.4124564 * rgb[0] + 0.3575761 * rgb[1] + 0.1804375 * rgb[2]
        let y = 0.2126729 * rgb[0] + 0.7151522 * rgb[1] + 0.0721750 * rgb[2]
        let z = 0.0193339 * rgb[0] + 0.1191920 * rgb[1] + 0.9503041 * rgb[2]
        let f = { (t: Double) in t > 216.0 / 24389 ? cbrt(t) : (24389.0 / 27 * t + 16) / 116 }
        let (fx, fy, fz) = (f(x / 0.95047), f(y), f(z / 1.08883))
        self.init(l: 116 * fy - 16, a: 500 * (fx - fy), b: 200 * (fy - fz))
    }

    /// The CIEDE2000 colour difference with all weights 1.
    ///
    /// - Source: Sharma, Wu, Dalal, "The CIEDE2000 color-difference formula: implementation notes",
    ///   Color Research and Application 30(1), 2005, whose test pairs are in `QualityTests`.
    package func difference(to other: ColorLab) -> Double {
        let radians = Double.pi / 180
        let chroma = { (c: ColorLab) in (c.a * c.a + c.b * c.b).squareRoot() }
        let meanC = (chroma(self) + chroma(other)) / 2
        let power = pow(meanC, 7)
        let g = 0.5 * (1 - (power / (power + pow(25, 7))).squareRoot())
        let (a1, a2) = ((1 + g) * a, (1 + g) * other.a)
        let (c1, c2) = ((a1 * a1 + b * b).squareRoot(), (a2 * a2 + other.b * other.b).squareRoot())
        func hue(_ a: Double, _ b: Double) -> Double {
            guard a != 0 || b != 0 else { return 0 }
            let angle = atan2(b, a) / radians
            return angle < 0 ? angle + 360 : angle
        }
        let (h1, h2) = (hue(a1, b), hue(a2, other.b))
        var turn = h2 - h1
        if c1 * c2 == 0 {
            turn = 0
        } else if turn > 180 {
            turn -= 360
        } else if turn < -180 {
            turn += 360
        }
        let (dl, dc) = (other.l - l, c2 - c1)
        let dh = 2 * (c1 * c2).squareRoot() * sin(turn / 2 * radians)
        let (meanL, mean) = ((l + other.l) / 2, (c1 + c2) / 2)
        var meanH = h1 + h2
        if c1 * c2 != 0 {
            if abs(h1 - h2) > 180 { meanH += meanH < 360 ? 360 : -360 }
            meanH /= 2
        }
        let t =
            1 - 0.17 * cos((meanH - 30) * radians) + 0.24 * cos(2 * meanH * radians)
            + 0.32 * cos((3 * meanH + 6) * radians) - 0.20 * cos((4 * meanH - 63) * radians)
        let bend = exp(-((meanH - 275) / 25) * ((meanH - 275) / 25))
        let power2 = pow(mean, 7)
        let rc = 2 * (power2 / (power2 + pow(25, 7))).squareRoot()
        let offset = (meanL - 50) * (meanL - 50)
        let sl = 1 + 0.015 * offset / (20 + offset).squareRoot()
        let (sc, sh) = (1 + 0.045 * mean, 1 + 0.015 * mean * t)
        let rt = -sin(60 * bend * radians) * rc
        let (tl, tc, th) = (dl / sl, dc / sc, dh / sh)
        return max(0, tl * tl + tc * tc + th * th + rt * tc * th).squareRoot()
    }
}

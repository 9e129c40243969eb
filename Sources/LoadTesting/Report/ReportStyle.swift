// Part of Inkstone. Licence: see LICENSE.

/// The style sheet of the pages: light and dark by the reader's setting, and for print.
enum ReportStyle {
    /// A complete HTML document with the style sheet and a `main` element.
    static func document(title: String, _ content: (inout Markup) -> Void) -> String {
        var out = Markup()
        out.raw("<!doctype html>\n<html lang=\"en\"><head><meta charset=\"utf-8\">")
        out.raw("<meta name=\"viewport\" content=\"width=device-width,initial-scale=1\">")
        out.raw("<meta name=\"color-scheme\" content=\"light dark\">")
        out.element("title", "", title)
        out.raw("<style>\(css)</style></head>\n<body>")
        out.element("main", "", content)
        out.raw("</body></html>\n")
        return out.text
    }

    private static let css = """
        :root{--bg:#fbfbfa;--panel:#fff;--ink:#1b1d21;--soft:#5d636e;--edge:#e3e4e8;--grid:#eceef1;
        --good:#1a7f4b;--goodbg:#e6f4ec;--warn:#9a6300;--warnbg:#fbf1dc;--bad:#b3261e;--badbg:#fbe9e7;
        --c0:#2f5fd0;--c1:#c2412d;--c2:#7a4fc4;--c3:#12866f;--c4:#b5761a;--c5:#8b919c;--c6:#4a8fb8;--c7:#b9bfca}
        @media (prefers-color-scheme:dark){:root{--bg:#131519;--panel:#1b1e24;--ink:#e6e8ec;--soft:#9aa1ad;
        --edge:#2c3038;--grid:#262a31;--good:#62cf98;--goodbg:#15301f;--warn:#e2b04a;--warnbg:#332810;
        --bad:#ff8a7d;--badbg:#3b1a17;--c0:#7fa4ff;--c1:#ff8f7a;--c2:#b897f5;--c3:#4fc9ad;--c4:#e0a850;
        --c5:#868d99;--c6:#79bfe6;--c7:#565c68}}
        *{box-sizing:border-box}
        html{-webkit-text-size-adjust:100%}
        body{margin:0;background:var(--bg);color:var(--ink);
        font:15px/1.5 system-ui,-apple-system,"Segoe UI",Roboto,"Noto Sans","Noto Sans CJK SC",sans-serif}
        main{max-width:1240px;margin:0 auto;padding:28px 28px 60px}
        h1{font-size:20px;margin:0;font-weight:650}
        h2{font-size:17px;margin:36px 0 12px;font-weight:650}
        .sub{color:var(--soft);margin:2px 0 18px;font-size:13.5px}
        .banner{border-radius:10px;padding:13px 18px;font-weight:600;display:flex;gap:14px;
        flex-wrap:wrap;align-items:baseline;border:1px solid transparent}
        .banner span{font-weight:400}
        .banner.pass{background:var(--goodbg);color:var(--good)}
        .banner.warn{background:var(--warnbg);color:var(--warn)}
        .banner.fail,.banner.partial{background:var(--badbg);color:var(--bad);border-color:var(--bad)}
        .headline{font-size:25px;line-height:1.3;font-weight:650;margin:26px 0 18px;letter-spacing:-.01em;
        text-wrap:balance}
        .tiles{display:grid;grid-template-columns:repeat(auto-fit,minmax(190px,1fr));gap:12px}
        .tile,.panel{background:var(--panel);border:1px solid var(--edge);border-radius:10px}
        .tile{padding:13px 16px}
        .tile b{display:block;font-size:25px;font-weight:650;letter-spacing:-.02em;font-variant-numeric:tabular-nums}
        .tile small{color:var(--soft);font-size:12.5px}
        .panel{padding:14px 16px 12px;min-width:0}
        .panel h3{font-size:14px;margin:0 0 8px;font-weight:600}
        .charts{display:grid;grid-template-columns:repeat(auto-fit,minmax(min(100%,480px),1fr));gap:14px}
        .wide{margin-top:14px}
        .scroll{overflow-x:auto;background:var(--panel);border:1px solid var(--edge);border-radius:10px}
        table{border-collapse:collapse;width:100%;font-size:13px;font-variant-numeric:tabular-nums}
        th,td{padding:7px 9px;text-align:left;border-bottom:1px solid var(--edge);vertical-align:top}
        tr:last-child td{border-bottom:0}
        th{font-weight:600;color:var(--soft);font-size:12px;line-height:1.3;vertical-align:bottom}
        .num{text-align:right}td.num{white-space:nowrap}
        .tag{display:inline-block;border-radius:99px;padding:0 9px;font-size:12px;font-weight:600;line-height:19px;
        white-space:nowrap}
        .tag.pass{background:var(--goodbg);color:var(--good)}.tag.warn{background:var(--warnbg);color:var(--warn)}
        .tag.fail{background:var(--badbg);color:var(--bad)}.tag.na{background:var(--grid);color:var(--soft)}
        .note{color:var(--soft);font-size:13px;margin:8px 2px}
        ul.note{padding-left:20px}
        details{margin-top:10px}
        summary{cursor:pointer;font-weight:600;font-size:13.5px;padding:4px 0}
        .finding{margin:0 0 3px}
        .finding code{color:var(--soft);margin-right:6px}
        code{font:12.5px ui-monospace,"SF Mono",Menlo,Consolas,monospace}
        .sheet{display:grid;grid-template-columns:repeat(auto-fill,minmax(136px,1fr));gap:12px}
        figure{margin:0}
        figure img{width:100%;display:block;border-radius:7px;border:1px solid var(--edge)}
        figure.dup img{outline:3px solid var(--bad);outline-offset:1px}
        figure.bad img{outline:3px dashed var(--warn);outline-offset:1px}
        figcaption{font-size:11.5px;color:var(--soft);line-height:1.35;margin-top:5px;overflow-wrap:anywhere}
        dl{display:grid;grid-template-columns:max-content 1fr;gap:3px 18px;font-size:13px;margin:0}
        dt{color:var(--soft)}dd{margin:0;overflow-wrap:anywhere}
        svg.plot{width:100%;height:auto;display:block;color:var(--ink)}
        svg.plot text{font:11.5px system-ui,sans-serif;fill:var(--soft)}
        svg.plot .mid{text-anchor:middle}svg.plot .end{text-anchor:end}svg.plot .start{text-anchor:start}
        svg.plot .name{font-size:12px}svg.plot .note{fill:var(--ink)}
        svg.plot .grid{stroke:var(--grid)}svg.plot .axis{stroke:var(--c5)}
        svg.plot .line{fill:none;stroke-width:2;stroke-linejoin:round;stroke-linecap:round}
        svg.plot .dashed{stroke-dasharray:5 4;stroke-width:1.5;stroke-linecap:butt}
        svg.plot .rule{stroke:var(--ink);stroke-dasharray:2 3;opacity:.55}
        svg.plot .whisker{stroke-width:1.4}svg.plot .median{stroke:var(--panel);stroke-width:2}
        svg.plot .s0{stroke:var(--c0)}svg.plot .s1{stroke:var(--c1)}svg.plot .s2{stroke:var(--c2)}
        svg.plot .s3{stroke:var(--c3)}svg.plot .s4{stroke:var(--c4)}svg.plot .s5{stroke:var(--c5)}
        svg.plot .s6{stroke:var(--c6)}svg.plot .s7{stroke:var(--c7)}
        svg.plot .dot,svg.plot .bar,svg.plot .seg,svg.plot .box{stroke:none}
        svg.plot .dot.s0,svg.plot .bar.s0,svg.plot .seg.s0,svg.plot .box.s0{fill:var(--c0)}
        svg.plot .dot.s1,svg.plot .bar.s1,svg.plot .seg.s1,svg.plot .box.s1{fill:var(--c1)}
        svg.plot .dot.s2,svg.plot .bar.s2,svg.plot .seg.s2,svg.plot .box.s2{fill:var(--c2)}
        svg.plot .dot.s3,svg.plot .bar.s3,svg.plot .seg.s3,svg.plot .box.s3{fill:var(--c3)}
        svg.plot .dot.s7,svg.plot .bar.s7,svg.plot .seg.s7,svg.plot .box.s7{fill:var(--c7)}
        @media print{:root{--bg:#fff}body{font-size:11px}main{max-width:none;padding:0}
        .panel,.tile,.scroll,figure,tr{break-inside:avoid}.scroll{overflow:visible}
        .charts{grid-template-columns:1fr 1fr}h2{break-after:avoid}
        .banner,.tag,svg.plot *{print-color-adjust:exact;-webkit-print-color-adjust:exact}}
        .headline.refused{color:var(--bad)}
        @media (max-width:640px){main{padding:18px 14px 40px}.headline{font-size:20px}}
        """
}

"""The style sheet of the report: light and dark by the reader's system, paper, and narrow screens."""

_LIGHT = """
  --paper: #fcfcfa; --raised: #f4f4f0; --ink: #1d2630; --soft: #5d6874; --faint: #8b95a0; --rule: #e2e4e3;
  --model: #0a6c86; --fan: #0a6c8626; --past: #a3abb3; --bad: #ab3226; --bad-tint: #fbefec; --good: #1f6f54; --good-tint: #ecf4ef;
  --k1: #bf6b2c; --k2: #7457a6; --k3: #4e8a3c; --k4: #b2457d; --k5: #8a7622; --k6: #4568a8; --k7: #8b5a44; --k8: #76808a;
"""

STYLE = """
:root { color-scheme: light dark; LIGHT }
@media (prefers-color-scheme: dark) { :root {
  --paper: #12171c; --raised: #1a2128; --ink: #e2e7eb; --soft: #9aa6b1; --faint: #75818d; --rule: #2a323a;
  --model: #55b9d6; --fan: #55b9d633; --past: #66717c; --bad: #f08a7b; --bad-tint: #2b1b1a; --good: #7cc9a8; --good-tint: #16241f;
  --k1: #e09a62; --k2: #ab94da; --k3: #8cc27a; --k4: #e08bb5; --k5: #c9b661; --k6: #8fabe0; --k7: #c79a85; --k8: #97a2ad; } }
* { box-sizing: border-box; }
html { -webkit-text-size-adjust: 100%; scroll-behavior: smooth; }
body { margin: 0; background: var(--paper); color: var(--ink); overflow-wrap: anywhere;
  font: 15px/1.55 system-ui, -apple-system, "Segoe UI", Roboto, "Helvetica Neue", "PingFang SC", "Hiragino Sans GB", "Microsoft YaHei",
    "Noto Sans CJK SC", "Noto Sans SC", "Source Han Sans SC", "WenQuanYi Micro Hei", Arial, sans-serif; }
main { max-width: 1000px; margin: 0 auto; padding: 44px 32px 72px; }
h1 { font-size: 27px; line-height: 1.25; font-weight: 650; letter-spacing: -.01em; margin: 2px 0 20px; }
h2 { font-size: 19px; line-height: 1.3; font-weight: 620; margin: 0 0 4px; }
h3 { font-size: 14px; font-weight: 600; margin: 0; }
p { margin: 0 0 10px; max-width: 72ch; } .lead { color: var(--soft); margin-bottom: 14px; }
section { margin-top: 52px; } section > figure:first-of-type { margin-top: 14px; }
.eyebrow { color: var(--soft); font-size: 13px; margin: 0; }
nav { display: flex; flex-wrap: wrap; gap: 4px 18px; margin-top: 22px; font-size: 13.5px; }
nav a { color: var(--soft); text-decoration: none; } nav a:hover, nav a:focus { color: var(--model); text-decoration: underline; }
.verdict { border-left: 4px solid var(--faint); background: var(--raised); border-radius: 3px; padding: 16px 20px; }
.verdict p { margin: 0; } .verdict .first { font-size: 18px; line-height: 1.45; font-weight: 600; max-width: 66ch; }
.verdict .first + p { margin-top: 8px; }
.verdict.good { border-color: var(--good); background: var(--good-tint); } .verdict.good .first { color: var(--good); }
.verdict.bad { border-color: var(--bad); background: var(--bad-tint); } .verdict.bad .first { color: var(--bad); }
dl.facts { display: grid; grid-template-columns: repeat(auto-fill, minmax(168px, 1fr)); gap: 14px 24px; margin: 24px 0 0; }
dl.facts dt { color: var(--soft); font-size: 12.5px; } dl.facts dd { margin: 0; font-variant-numeric: tabular-nums; }
.scroll { overflow-x: auto; margin: 12px 0 0; } .scroll:focus-visible { outline: 2px solid var(--model); }
table { border-collapse: collapse; width: 100%; font-size: 13.5px; font-variant-numeric: tabular-nums; overflow-wrap: normal; }
caption { text-align: left; color: var(--soft); font-size: 13px; padding-bottom: 4px; }
th { font-weight: 500; color: var(--soft); font-size: 12.5px; text-align: right; white-space: nowrap; vertical-align: bottom; }
td { text-align: right; white-space: nowrap; } th, td { padding: 6px 0 6px 16px; border-bottom: 1px solid var(--rule); }
th:first-child, td:first-child { text-align: left; padding-left: 10px; position: sticky; left: 0; background: var(--paper); white-space:
  normal; min-width: 150px; max-width: 300px; overflow-wrap: break-word; }
td.text { text-align: left; white-space: normal; min-width: 90px; max-width: 280px; overflow-wrap: anywhere; } th.text { text-align:
  left; }
td.best { font-weight: 650; } tr.mine td { background: var(--raised); } tr.mine td:first-child { font-weight: 650; color: var(--model);
  box-shadow: inset 3px 0 var(--model); }
td.worse { color: var(--soft); } td.better { color: var(--bad); font-weight: 600; }
figure { margin: 26px 0 0; } figcaption { margin-bottom: 4px; } figcaption p { color: var(--soft); font-size: 13px; margin: 1px 0 0; }
.pair { display: grid; grid-template-columns: repeat(2, minmax(0, 1fr)); gap: 4px 36px; }
.legend { display: flex; flex-wrap: wrap; gap: 2px 16px; font-size: 12.5px; color: var(--soft); margin: 4px 0 0; padding: 0; list-style:
  none; }
.legend li { display: flex; align-items: center; gap: 6px; } .legend svg { flex: none; }
.plot { padding: 24px 14px 26px 0; } .plot.titled { padding-bottom: 42px; } .plot.named { padding-right: 132px; }
svg.chart { display: block; overflow: visible; } svg text { font-size: 11.5px; fill: var(--soft); font-variant-numeric: tabular-nums; }
.grid { stroke: var(--rule); } .tickmark { stroke: var(--faint); }
.line, .dot { fill: none; stroke: var(--ink); stroke-width: 1.5; vector-effect: non-scaling-stroke; stroke-linejoin: round;
  stroke-linecap: round; }
.dot { stroke-width: 6.5; } .area { stroke: none; fill: var(--fan); }
.model { stroke: var(--model); } .line.model { stroke-width: 2.2; } .past { stroke: var(--past); } .seen { stroke: var(--ink); }
.bad { stroke: var(--bad); } .pruned { stroke: var(--past); } .dot.small { stroke-width: 4.5; }
.k1 { stroke: var(--k1); } .k2 { stroke: var(--k2); } .k3 { stroke: var(--k3); } .k4 { stroke: var(--k4); stroke-dasharray: 7 4; }
.k5 { stroke: var(--k5); stroke-dasharray: 2 4; } .k6 { stroke: var(--k6); stroke-dasharray: 9 3 2 3; } .k7 { stroke: var(--k7);
  stroke-dasharray: 4 3; } .k8 { stroke: var(--k8); stroke-dasharray: 1 4; }
.dot.k4, .dot.k5, .dot.k6, .dot.k7, .dot.k8 { stroke-dasharray: none; }
rect.fill { fill: var(--model); } rect.track { fill: var(--raised); } svg text.name { font-size: 12px; stroke: none; } svg
  text.name.model { fill: var(--model); font-weight: 650; }
svg text.name.k1 { fill: var(--k1); } svg text.name.k2 { fill: var(--k2); } svg text.name.k3 { fill: var(--k3); } svg text.name.k4 {
  fill: var(--k4); } svg text.name.k5 { fill: var(--k5); } svg text.name.k6 { fill: var(--k6); } svg text.name.k7 { fill: var(--k7); }
  svg text.name.k8 { fill: var(--k8); }
line.mark { stroke: var(--faint); stroke-dasharray: 3 3; } svg text.mark { fill: var(--soft); }
line.even { stroke: var(--ink); stroke-dasharray: 3 3; opacity: .55; }
.r rect { fill: transparent; } .r line, .r text { opacity: 0; pointer-events: none; } .r line { stroke: var(--faint); } .r text {
  text-anchor: end; fill: var(--ink); }
.r:hover line, .r:hover text { opacity: 1; }
.strips { display: grid; grid-template-columns: fit-content(34%) minmax(0, 1fr); gap: 0; align-items: start; margin-top: 4px; }
.strips .names { padding-top: 24px; font-size: 12.5px; color: var(--soft); min-width: 0; } .strips .names div { line-height: 22px;
  white-space: nowrap; overflow: hidden; text-overflow: ellipsis; }
.bars { display: grid; grid-template-columns: fit-content(45%) 1fr max-content; gap: 5px 14px; align-items: center; margin-top: 12px;
  font-size: 14px; font-variant-numeric: tabular-nums; }
.bars .track { height: 10px; border-radius: 2px; background: var(--raised); } .bars .track i { display: block; height: 100%;
  border-radius: 2px; background: var(--model); }
details { margin-top: 14px; } summary { cursor: pointer; color: var(--soft); font-size: 14px; } summary:hover { color: var(--model); }
ul.notes { margin: 12px 0 0; padding-left: 18px; max-width: 78ch; } ul.notes li { margin-bottom: 5px; }
pre { background: var(--raised); border-radius: 3px; padding: 12px 16px; margin: 12px 0 0; overflow-x: auto; white-space: pre-wrap;
  font: 13.5px/1.6 ui-monospace, "SF Mono", Consolas, "DejaVu Sans Mono", monospace, "Noto Sans Mono CJK SC"; }
.settings { display: grid; grid-template-columns: repeat(auto-fit, minmax(260px, 1fr)); gap: 20px 40px; margin-top: 16px; }
.settings dl { margin: 6px 0 0; display: grid; grid-template-columns: max-content 1fr; gap: 2px 16px; font-size: 13.5px; } .settings dt
  { color: var(--soft); } .settings dd { margin: 0; text-align: right; font-variant-numeric: tabular-nums; }
footer { margin-top: 56px; padding-top: 14px; border-top: 1px solid var(--rule); color: var(--faint); font-size: 12.5px; }
@media (max-width: 720px) {
    main { padding: 26px 16px 48px; } h1 { font-size: 22px; } section { margin-top: 40px; } .verdict { padding: 13px 15px; } .verdict
    .first { font-size: 16.5px; }
  .pair { grid-template-columns: minmax(0, 1fr); } .plot.named { padding-right: 14px; } .plot.named .name { display: none; }
  .strips { grid-template-columns: fit-content(44%) minmax(0, 1fr); } .strips .names { font-size: 11px; }
    dl.facts { grid-template-columns: repeat(2, minmax(0, 1fr)); gap: 10px 16px; } th:first-child, td:first-child { min-width: 104px;
    max-width: 40vw; }
  svg text.tick { font-size: 10.5px; } }
@media (min-width: 721px) { .narrow { display: none; } }
@media print {
  :root { LIGHT --paper: #ffffff; }
    body { font-size: 11pt; print-color-adjust: exact; -webkit-print-color-adjust: exact; } main { max-width: none; padding: 0; } nav {
    display: none; } section { margin-top: 28px; }
    figure, tr, .verdict, .bars { break-inside: avoid; } h2, figcaption { break-after: avoid; } details::details-content {
    content-visibility: visible; block-size: auto; } .scroll { overflow: visible; } th, td { padding-left: 8px; font-size: 9.5pt; } }
""".replace("LIGHT", _LIGHT.strip())

_BESIDE = """
.beside { display: grid; grid-template-columns: fit-content(55%) minmax(0, 1fr); gap: 4px 56px; align-items: start; }
.beside > figure { min-width: 0; } .beside td:first-child, .beside th:first-child { min-width: 60px; }
.meter { display: inline-block; vertical-align: middle; width: 72px; height: 8px; margin-right: 10px; background: var(--raised); }
.meter, .meter i { border-radius: 2px; } .meter i { display: block; height: 100%; background: var(--model); }
@media (max-width: 720px) {
  .beside { grid-template-columns: minmax(0, 1fr); } .meter { display: none; } .beside th, .beside td { padding-left: 8px; } }
"""

CLASS_STYLE = (
    _BESIDE
    + """
table.confusion { width: auto; border-collapse: separate; border-spacing: 2px; }
.confusion th, .confusion td { padding: 0 6px; border: 0; height: 30px; }
.confusion td { min-width: 44px; text-align: center; position: relative; background: var(--raised); }
.confusion.many td { min-width: 32px; padding: 0 4px; font-size: 12.5px; }
.confusion thead th { text-align: center; height: auto; padding: 2px 4px 4px; }
.confusion thead th.axis, .confusion thead th:first-child { color: var(--faint); }
.confusion thead th.axis { border-bottom: 1px solid var(--rule); }
.confusion th:first-child { min-width: 52px; padding-left: 0; text-align: left; }
.confusion tbody th { vertical-align: middle; color: var(--ink); font-size: 13px; max-width: 220px; }
.confusion tbody th { white-space: nowrap; overflow: hidden; text-overflow: ellipsis; }
.confusion.steep thead th.name { height: 116px; padding: 4px 0; }
.confusion.steep th.name span { writing-mode: vertical-rl; transform: rotate(180deg); max-height: 112px; overflow: hidden; }
.confusion i { position: absolute; inset: 0; background: var(--bad); }
.confusion .hit i { background: var(--model); } .confusion .rest i { background: var(--past); }
.confusion td span { position: relative; } .confusion .deep span { color: var(--paper); font-weight: 600; }
.confusion td.none { color: var(--faint); opacity: .7; }
.pair.level { align-items: end; }
.line.ideal { stroke-dasharray: 3 3; opacity: .55; } .line.whisker { stroke: var(--model); opacity: .45; }
rect.fill.wrong { fill: var(--bad); }
.tag { margin-left: 8px; padding: 1px 8px; border-radius: 9px; font-size: 11.5px; font-weight: 600; white-space: nowrap; }
.tag { color: var(--good); background: var(--good-tint); } .tag.bad { color: var(--bad); background: var(--bad-tint); }
.plot.tight { padding-bottom: 2px; } .plot.tight, .plot.tight + .plot { padding-top: 18px; } .channel .line { stroke-width: 1.3; }
@media (max-width: 720px) {
  .confusion tbody th { max-width: 32vw; } }
"""
)
"""Beside STYLE, what only the report of a classifier has."""

SPEECH_STYLE = (
    _BESIDE
    + """
.bars.speakers { grid-template-columns: fit-content(40%) 1fr max-content max-content; }
.bars.speakers span:nth-child(4n + 3) { text-align: right; } .bars.speakers span:nth-child(4n) { color: var(--soft); }
.to { color: var(--faint); } .rate { margin-left: 8px; color: var(--soft); font-weight: 400; white-space: nowrap; }
.aligned { display: flex; flex-wrap: wrap; gap: 6px 3px; margin-top: 8px; font-size: 14.5px; line-height: 1.4; max-width: 100%; }
.aligned.close { gap: 6px 1px; }
.cell { display: inline-flex; flex-direction: column; align-items: center; padding: 0 4px; border-radius: 3px; max-width: 100%; }
.close .cell { padding: 0 1px; min-width: 10px; }
.cell > span { display: block; min-width: 0; } .cell > span + span { font-size: 13px; font-weight: 600; }
.cell.substitute, .key.substitute { background: var(--bad-tint); color: var(--bad); }
.cell.delete, .key.delete { background: var(--raised); color: var(--k1); }
.cell.delete > span:first-child { text-decoration: line-through; }
.cell.insert, .key.insert { background: var(--raised); color: var(--k2); }
.key { display: inline-block; min-width: 20px; text-align: center; border-radius: 3px; font-weight: 600; }
.hide { position: absolute; width: 1px; height: 1px; overflow: hidden; clip-path: inset(50%); white-space: nowrap; }
.plot.spectrum { padding-bottom: 0; } .spectrum .grid, .names .grid { display: none; }
.plot.names { padding-top: 5px; padding-bottom: 0; } .names + .plot.titled { padding-top: 22px; } line.edge { stroke: var(--rule); }
svg text.name { fill: var(--ink); } .line.thin { stroke-width: 1; }
.line.post { stroke-width: 1.4; stroke-dasharray: none; } .area.post { stroke: none; fill-opacity: .25; } rect.post { fill-opacity: .45; }
.area.k1 { fill: var(--k1); } .area.k2 { fill: var(--k2); } .area.k3 { fill: var(--k3); } .area.k4 { fill: var(--k4); }
.area.k5 { fill: var(--k5); } .area.k6 { fill: var(--k6); } .area.k7 { fill: var(--k7); } .area.k8 { fill: var(--k8); }
@media (max-width: 720px) { .bars.speakers { gap: 5px 8px; font-size: 13px;
  grid-template-columns: fit-content(40%) minmax(30px, 1fr) auto auto; } }
"""
)
"""Beside STYLE, what only the report of a recogniser has."""

"""Line charts as SVG, by hand: legible on light and on dark pages, no library."""

import math
from xml.sax.saxutils import escape

WIDTH, HEIGHT = 720, 400
LEFT, RIGHT, TOP, BOTTOM = 64, 84, 44, 52
# Distinguishable without red and green, and on either background.
COLOURS = ("#3b82f6", "#14a3a3", "#d97706", "#c2410c", "#9333ea", "#64748b")
STYLE = """text { font: 12px system-ui, sans-serif; fill: #444 } .title { font-size: 14px; font-weight: 600; fill: #222 }
.grid { stroke: #ddd } .axis { stroke: #888 } path { fill: none; stroke-width: 2 }
@media (prefers-color-scheme: dark) { text { fill: #bbb } .title { fill: #eee } .grid { stroke: #3a3a3a } }"""


def ticks(low, high):
    """1, 2, 5 and their tens between two numbers: what a logarithmic axis is labelled with."""
    found = []
    for exponent in range(math.floor(math.log10(low)), math.ceil(math.log10(high)) + 1):
        found += [digit * 10.0**exponent for digit in (1, 2, 5)]
    return [tick for tick in found if low * 0.999 <= tick <= high * 1.001]


def short(number):
    if number >= 1e6:
        return f"{number / 1e6:g} M"
    return f"{number / 1e3:g} k" if number >= 1e3 else f"{number:g}"


def lines(path, title, x_label, y_label, series):
    """Writes a chart with two logarithmic axes; `series` are names with points (x, y), all above zero."""
    points = [point for _, of in series for point in of]
    low_x, high_x = min(x for x, _ in points), max(x for x, _ in points)
    low_y, high_y = min(y for _, y in points) / 1.3, max(y for _, y in points) * 1.3

    def at_x(x):
        part = (math.log(x / low_x) / math.log(high_x / low_x)) if high_x > low_x else 0.5
        return LEFT + part * (WIDTH - LEFT - RIGHT)

    def at_y(y):
        return HEIGHT - BOTTOM - math.log(y / low_y) / math.log(high_y / low_y) * (HEIGHT - TOP - BOTTOM)

    out = [f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {WIDTH} {HEIGHT}" role="img">']
    out.append(f"<title>{escape(title)}</title><style>{STYLE}</style>")
    out.append(f'<text class="title" x="{LEFT}" y="24">{escape(title)}</text>')
    for tick in ticks(low_y, high_y):
        y = at_y(tick)
        out.append(f'<line class="grid" x1="{LEFT}" x2="{WIDTH - RIGHT}" y1="{y:.1f}" y2="{y:.1f}"/>')
        out.append(f'<text x="{LEFT - 8}" y="{y + 4:.1f}" text-anchor="end">{short(tick)}</text>')
    for tick in ticks(low_x, high_x):
        x = at_x(tick)
        out.append(f'<line class="grid" x1="{x:.1f}" x2="{x:.1f}" y1="{TOP}" y2="{HEIGHT - BOTTOM}"/>')
        out.append(f'<text x="{x:.1f}" y="{HEIGHT - BOTTOM + 18}" text-anchor="middle">{short(tick)}</text>')
    corner = f"M{LEFT} {TOP}V{HEIGHT - BOTTOM}H{WIDTH - RIGHT}"
    out.append(f'<path class="axis" style="stroke-width: 1" d="{corner}"/>')
    out.append(f'<text x="{(LEFT + WIDTH - RIGHT) / 2}" y="{HEIGHT - 12}" text-anchor="middle">{escape(x_label)}</text>')
    out.append(f'<text x="{LEFT - 8}" y="{TOP - 6}" text-anchor="end">{escape(y_label)}</text>')
    taken = []
    for colour, (name, of) in zip(COLOURS, series):
        d = "L".join(f"{at_x(x):.1f} {at_y(y):.1f}" for x, y in of)
        out.append(f'<path stroke="{colour}" d="M{d}"/>')
        out += [f'<circle fill="{colour}" r="3" cx="{at_x(x):.1f}" cy="{at_y(y):.1f}"/>' for x, y in of]
        # Names stand at the ends of their lines, not on one another.
        y = at_y(of[-1][1]) + 4
        while any(abs(y - other) < 14 for other in taken):
            y -= 1
        taken.append(y)
        out.append(f'<text x="{WIDTH - RIGHT + 10}" y="{y:.1f}" style="fill: {colour}">{escape(name)}</text>')
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text("\n".join(out) + "\n</svg>\n")

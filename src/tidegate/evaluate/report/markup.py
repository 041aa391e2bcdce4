"""Pieces of HTML that every section uses."""

import html
import re
from collections.abc import Sequence

_UNPRINTABLE = re.compile("[\x00-\x08\x0b-\x1f\x7f-\x9f\ud800-\udfff\ufffe\uffff]")


def escape(text: object) -> str:
    """Text that is safe in HTML, as content and in quotes; characters that no document may hold become U+FFFD."""
    return html.escape(_UNPRINTABLE.sub("\ufffd", str(text)), quote=True)


def flow(text: str) -> str:
    """Escaped text in which a number and its per cent sign stay on one line."""
    return re.sub(r"(?<=\d) (?=%)", "\u00a0", escape(text))


def paragraph(text: str) -> str:
    """The line under a section's title."""
    return f'<p class="lead">{flow(text)}</p>'


def figure(title: str, caption: str, *parts: str) -> str:
    """A picture under its title and a line of explanation."""
    head = (f"<h3>{escape(title)}</h3>" if title else "") + (f"<p>{escape(caption)}</p>" if caption else "")
    return f"<figure><figcaption>{head}</figcaption>{''.join(parts)}</figure>"


def titled(title: str, *parts: str) -> str:
    """A block of ready HTML under a small title."""
    return f"<figure><figcaption><h3>{escape(title)}</h3></figcaption>{''.join(parts)}</figure>"


def scrollable(inside: str, label: str) -> str:
    """A box that scrolls sideways by itself, also by the keyboard."""
    return f'<div class="scroll" tabindex="0" role="region" aria-label="{escape(label)}">{inside}</div>'


def legend(entries: Sequence[tuple[str, str]], style: str = "") -> str:
    """A row of line samples and names; an entry's class says how its line looks, 'area' and 'fill' are filled boxes."""
    items = []
    for css, name in entries:
        if css.startswith(("area", "fill")):
            sample = f'<svg width="18" height="10"><rect class="{css}" width="18" height="10"/></svg>'
        elif css.startswith("dot"):
            sample = f'<svg width="10" height="10"><path class="{css}" d="M5 5h.01"/></svg>'
        else:
            sample = f'<svg width="20" height="10"><path class="line {css}" d="M1 5h18"/></svg>'
        items.append(f"<li>{sample}{escape(name)}</li>")
    return f'<ul class="legend {style}">{"".join(items)}</ul>'

"""The colours of all pages, by day and by night: every text and every shape stands out as WCAG 2.2 AA asks.

Contrast as WCAG 2.2 defines it: relative luminance of sRGB, (lighter + 0.05) / (darker + 0.05).
"""

import re

import pytest

from koinon.web.assets import FILES

STYLE = FILES["koinon.css"].decode()
TEXT = 4.5
SHAPE = 3.0
GROUNDS = ("paper", "surface")

# (what is drawn, what it is drawn on, how much it must stand out)
PAIRS = [
    *(
        (text, ground, TEXT)
        for text in ("ink", "muted", "accent", "accent-deep", "problem", "caution")
        for ground in GROUNDS
    ),
    *((text, "tint", TEXT) for text in ("ink", "accent", "accent-deep", "muted")),
    ("on-accent", "accent", TEXT),
    ("on-accent", "accent-deep", TEXT),
    ("problem", "problem-tint", TEXT),
    ("caution", "caution-tint", TEXT),
    *(("edge", ground, SHAPE) for ground in GROUNDS),
    *((f"shade-{number}", "surface", SHAPE) for number in range(1, 9)),
]


def palette(scheme: str) -> dict[str, str]:
    """Return the colours of a scheme by name: the night's stand in their own block, where all are named again."""
    day, night = re.findall(r":root \{(.*?)\n\s*\}", STYLE, re.DOTALL)[:2]
    block = {"light": day, "dark": night}[scheme]
    return dict(re.findall(r"--([a-z0-9-]+): (#[0-9a-f]{6});", block))


def luminance(colour: str) -> float:
    """Return the relative luminance of `#rrggbb`."""
    channels = [int(colour[start : start + 2], 16) / 255 for start in (1, 3, 5)]
    red, green, blue = (each / 12.92 if each <= 0.04045 else ((each + 0.055) / 1.055) ** 2.4 for each in channels)
    return 0.2126 * red + 0.7152 * green + 0.0722 * blue


def contrast(one: str, other: str) -> float:
    """Return how much two colours stand out from each other, from 1 to 21."""
    lighter, darker = sorted((luminance(one), luminance(other)), reverse=True)
    return (lighter + 0.05) / (darker + 0.05)


def test_contrast_is_computed_as_the_standard_says() -> None:
    """Black on white is 21; WCAG's own example of grey #767676 on white is just above 4.5."""
    assert contrast("#000000", "#ffffff") == 21
    assert round(contrast("#767676", "#ffffff"), 2) == 4.54


@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_everything_stands_out(scheme: str) -> None:
    """Texts 4.5 to 1, edges of fields and parts of pictures 3 to 1, on every ground that they stand on."""
    colours = palette(scheme)
    weak = {
        f"{drawn} on {ground}": round(contrast(colours[drawn], colours[ground]), 2)
        for drawn, ground, least in PAIRS
        if contrast(colours[drawn], colours[ground]) < least
    }

    assert weak == {}


def test_both_schemes_name_the_same_colours() -> None:
    """No colour of the day shows through at night."""
    assert palette("light").keys() == palette("dark").keys()
    assert len(palette("light")) > 20


def test_no_colour_stands_outside_the_palette() -> None:
    """A colour that is named nowhere is tested nowhere; only a code's own white ground is the same at any time."""
    blocks = re.sub(r":root \{.*?\n\s*\}", "", STYLE, flags=re.DOTALL)

    assert set(re.findall(r"#[0-9a-f]{3,8}\b|\brgb\w*\(|\bhsl\w*\(", blocks)) == {"#ffffff"}


def test_every_name_that_is_used_is_in_the_palette() -> None:
    """A misspelt name would draw nothing."""
    assert set(re.findall(r"var\(--([a-z0-9-]+)\)", STYLE)) - palette("light").keys() == set()


def test_focus_is_seen() -> None:
    """Nothing takes the ring around what the keyboard is at away, but from the content that a skip link leads to."""
    assert ":focus-visible { outline: 3px solid var(--accent);" in STYLE
    assert re.findall(r"([^\n}]+)\{[^}]*outline: none", STYLE) == ["main:focus "]

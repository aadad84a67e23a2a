"""The reader finds what it looks for: each rule, broken once, is named."""

import pytest

from tests.web.pages.reading import faults, read

GOOD = (
    '<!doctype html><html lang="en" dir="ltr"><head><title>A page · Koinon</title>'
    '<meta name="viewport" content="width=device-width, initial-scale=1"></head><body>'
    '<a href="#main">Skip</a><header>H</header><main id="main"><h1>One</h1>{}</main><footer>F</footer></body></html>'
)


@pytest.mark.parametrize(
    ("broken", "named"),
    [
        ('<input name="a">', "has no label"),
        ('<input name="a" id="x"><p id="y"></p><label for="y">A</label>', "has no label"),
        ("<h3>Deep</h3>", "a level of headings is left out: [1, 3]"),
        ("<h1>Two</h1>", "there are 2 of h1"),
        ('<a href="/x"></a>', "says nothing"),
        ("<button></button>", "says nothing"),
        ('<img src="/x.png">', "has no text in its place"),
        ("<svg></svg>", "is neither named nor hidden"),
        ("<nav></nav>", "has no name"),
        ("<section></section>", "has no name"),
        ("<table><tr><th>A</th></tr></table>", "heads nothing"),
        ("<fieldset></fieldset>", "has no legend"),
        ('<p id="a"></p><p id="a"></p>', "#a stands 2 times"),
        ('<p aria-labelledby="none"></p>', "points nowhere"),
        ('<form action="/sign-out"></form><form method="post" action="/x"></form>', "carries no token"),
        ("<script>1</script>", "is not allowed"),
        ("<style>p{}</style>", "is not allowed"),
        ('<p style="color: red"></p>', "has ['style']"),
        ('<p onclick="x()"></p>', "has ['onclick']"),
        ('<a href="https://other.example">A</a>', "leads away"),
        ('<a href="//other.example">A</a>', "leads away"),
        ('<a href="javascript:x()">A</a>', "leads away"),
        ('<img alt="A" src="data:text/html,x">', "leads away"),
    ],
)
def test_a_broken_rule_is_named(broken: str, named: str) -> None:
    """A page that is right but for one thing breaks one rule."""
    assert faults(GOOD.format("")) == []
    (fault,) = faults(GOOD.format(broken))
    assert fault.endswith(named)


@pytest.mark.parametrize(
    ("changed", "named"),
    [
        ('<html lang="en" dir="ltr">', "the page does not say its language and direction"),
        ("A page · Koinon", "the page has no title"),
        ('href="#main"', "the first link does not skip to the content"),
        (", initial-scale=1", "the page does not fit a phone, or cannot be enlarged"),
        ("<footer>F</footer>", "there are 0 of footer"),
    ],
)
def test_a_broken_frame_is_named(changed: str, named: str) -> None:
    """So does a frame that lacks one thing."""
    wrong = {
        '<html lang="en" dir="ltr">': "<html>",
        'href="#main"': 'href="/x"',
        ", initial-scale=1": ", maximum-scale=1",
        "A page · Koinon": "· Koinon",
    }
    assert faults(GOOD.format("").replace(changed, wrong.get(changed, ""))) == [named]


@pytest.mark.parametrize("html", ["<p><b></p></b>", "<p>", "</p>", '<p class="a" class="b"></p>'])
def test_a_page_out_of_order_is_not_read(html: str) -> None:
    """An element that is not closed, or closed out of order, and an attribute that stands twice."""
    with pytest.raises(AssertionError):
        read(html)

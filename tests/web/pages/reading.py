"""Reads pages as a browser and a screen reader would: elements, texts, forms, and the rules that every page keeps."""

from collections import Counter
from collections.abc import Callable, Iterator
from html.parser import HTMLParser
from itertools import pairwise

VOID = frozenset({"area", "br", "col", "hr", "img", "input", "link", "meta", "source", "wbr"})
INLINE = frozenset({"a", "b", "code", "em", "span", "strong", "time", "wbr"})
REFERENCES = ("for", "aria-labelledby", "aria-describedby")


class Element:
    """An element with its attributes, and what stands in it."""

    def __init__(self, tag: str, attributes: dict[str, str], parent: "Element | None") -> None:
        self.tag = tag
        self.attributes = attributes
        self.parent = parent
        self.children: list[Element | str] = []

    def __repr__(self) -> str:
        return f"<{self.tag} {self.attributes}>"

    @property
    def text(self) -> str:
        """The text in it, in one line."""
        return " ".join(self._raw().split())

    def all(self, *tags: str) -> list["Element"]:
        """Return the elements of these tags in it, in order; every one without tags."""
        return [each for each in self._below() if not tags or each.tag in tags]

    def one(self, tag: str) -> "Element":
        """Return the only element of a tag in it."""
        (found,) = self.all(tag)
        return found

    def named(self, **attributes: str) -> "Element":
        """Return the only element in it with these attributes."""
        (found,) = [each for each in self.all() if attributes.items() <= each.attributes.items()]
        return found

    def within(self, tag: str) -> bool:
        """Tell whether it stands in an element of a tag."""
        return self.parent is not None and (self.parent.tag == tag or self.parent.within(tag))

    def fields(self) -> dict[str, str]:
        """Return what a form would send as it stands."""
        return {
            each.attributes["name"]: each.attributes.get("value", "")
            for each in self.all("input", "select")
            if "name" in each.attributes
        }

    def _raw(self) -> str:
        parts = "".join(child if isinstance(child, str) else child._raw() for child in self.children)
        return parts if self.tag in INLINE else f" {parts} "

    def _below(self) -> Iterator["Element"]:
        for child in self.children:
            if isinstance(child, Element):
                yield child
                yield from child._below()


class Tree(HTMLParser):
    """Builds elements out of a page, strictly: what is opened is closed, in order."""

    def __init__(self) -> None:
        super().__init__()
        self.root = Element("", {}, None)
        self._at = self.root

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        """Open an element."""
        element = Element(tag, {name: value or "" for name, value in attrs}, self._at)
        assert len(element.attributes) == len(attrs), f"{element} has an attribute twice"
        self._at.children.append(element)
        if tag not in VOID:
            self._at = element

    def handle_startendtag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        """Take an element that closes itself, as in SVG."""
        self.handle_starttag(tag, attrs)
        if tag not in VOID:
            self.handle_endtag(tag)

    def handle_endtag(self, tag: str) -> None:
        """Close the element that is open."""
        assert self._at.tag == tag, f"</{tag}> closes {self._at}"
        assert self._at.parent is not None
        self._at = self._at.parent

    def handle_data(self, data: str) -> None:
        """Take a text."""
        self._at.children.append(data)


def read(html: str) -> Element:
    """Return a page's elements; fails where an element is left open or closed out of order."""
    tree = Tree()
    tree.feed(html)
    tree.close()
    assert tree._at is tree.root, f"{tree._at} is left open"
    return tree.root


def faults(html: str) -> list[str]:
    """Return which rules a page breaks: of the frame, of names, of references, of safety."""
    page = read(html)
    return [*_frame(page), *_names(page), *_references(page), *_safety(page)]


def _frame(page: Element) -> Iterator[str]:
    root = page.one("html")
    if not root.attributes.get("lang") or root.attributes.get("dir") not in {"ltr", "rtl"}:
        yield "the page does not say its language and direction"
    if not page.one("title").text.removesuffix("· Koinon").strip():
        yield "the page has no title"
    for tag in ("h1", "main", "header", "footer"):
        if len(page.all(tag)) != 1:
            yield f"there are {len(page.all(tag))} of {tag}"
    levels = [int(each.tag[1]) for each in page.all("h1", "h2", "h3", "h4")]
    if any(after > before + 1 for before, after in pairwise(levels)):
        yield f"a level of headings is left out: {levels}"
    first = page.all("a")[0]
    if first.attributes.get("href") != "#main" or page.one("main").attributes.get("id") != "main":
        yield "the first link does not skip to the content"
    viewport = page.named(name="viewport").attributes["content"]
    if "width=device-width" not in viewport or "user-scalable" in viewport or "maximum-scale" in viewport:
        yield "the page does not fit a phone, or cannot be enlarged"


def _names(page: Element) -> Iterator[str]:
    labels = {each.attributes.get("for") for each in page.all("label")}
    for each in page.all("input", "select", "textarea"):
        hidden = each.attributes.get("type") == "hidden"
        if not hidden and each.attributes.get("id") not in labels and not each.within("label"):
            yield f"{each} has no label"
    yield from (f"{each} {fault}" for tags, fault, good in NAMED for each in page.all(*tags) if not good(each))


def _is_named_picture(svg: Element) -> bool:
    drawn = svg.attributes.get("role") == "img" and svg.attributes.get("aria-label", "").strip() != ""
    return drawn or svg.attributes.get("aria-hidden") == "true"


Rule = Callable[[Element], bool]

# (tags, what is wrong with one, what a good one is)
NAMED: tuple[tuple[tuple[str, ...], str, Rule], ...] = (
    (
        ("button", "a", "summary", "caption", "legend", "h1", "h2", "h3", "th", "option"),
        "says nothing",
        lambda each: each.text != "" or "aria-label" in each.attributes,
    ),
    (("img",), "has no text in its place", lambda each: each.attributes.get("alt", "") != ""),
    (("svg",), "is neither named nor hidden", _is_named_picture),
    (("nav",), "has no name", lambda each: each.attributes.get("aria-label", "") != ""),
    (("section",), "has no name", lambda each: bool({"aria-labelledby", "aria-label"} & each.attributes.keys())),
    (("th",), "heads nothing", lambda each: each.attributes.get("scope") in {"col", "row"}),
    (("fieldset",), "has no legend", lambda each: each.all("legend") != []),
)


def _references(page: Element) -> Iterator[str]:
    ids = Counter(each.attributes["id"] for each in page.all() if "id" in each.attributes)
    yield from (f"#{name} stands {count} times" for name, count in ids.items() if count > 1)
    for each in page.all():
        for name in REFERENCES:
            yield from (f"{each} points nowhere" for to in each.attributes.get(name, "").split() if to not in ids)
    signed_in = bool([each for each in page.all("form") if each.attributes.get("action") == "/sign-out"])
    for each in page.all("form"):
        if signed_in and each.attributes.get("method") == "post" and not each.fields().get("_csrf"):
            yield f"{each} carries no token"


def _safety(page: Element) -> Iterator[str]:
    yield from (f"{each} is not allowed" for each in page.all("script", "style", "iframe", "object", "embed", "base"))
    for each in page.all():
        wrong = [name for name in each.attributes if name == "style" or name.startswith("on")]
        if wrong:
            yield f"{each} has {wrong}"
        for name in ("href", "src", "action"):
            to = each.attributes.get(name, "/")
            picture = each.tag == "img" and to.startswith("data:image/svg+xml")
            if not picture and not (to.startswith(("/", "#")) and not to.startswith("//")):
                yield f"{each} leads away"

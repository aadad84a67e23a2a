"""The documents: what they link to, name and promise is there."""

import re
import tomllib
from pathlib import Path

import pytest

import koinon

ROOT = Path(__file__).resolve().parents[2]
PAGES = sorted([*ROOT.glob("*.md"), *(ROOT / "docs").rglob("*.md")])
DECISIONS = sorted((ROOT / "docs" / "decisions").glob("[0-9]*.md"))
PROJECT = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))["project"]
LINKS = re.compile(r"\]\((?!https?:|mailto:)(?P<path>[^)#\s]*)(?:#(?P<anchor>[^)\s]+))?\)")

# The words that the design fixes; the glossary may explain more.
WORDS = {
    *("Programme", "Unit", "Partner", "Operator", "Contract", "Member", "Household"),
    *("Account", "Wallet", "Lot", "Hold", "Journal", "Movement", "Window"),
    *("Card message", "Purchase", "Payment", "Place", "Offer", "Activation", "Decision", "Reward"),
    *("Line", "Position", "Run", "Instruction", "Statement", "Dispute"),
    *("Log", "Leaf", "Checkpoint", "Proof", "Witness"),
}


def name_of(path: Path) -> str:
    """Return a path as it is named from the root."""
    return path.relative_to(ROOT).as_posix()


def anchors(text: str) -> set[str]:
    """Return the anchors that a page's headings make."""
    headings = re.findall(r"^#+ (.+)$", text, re.MULTILINE)
    return {re.sub(r"[^\w\- ]", "", heading.lower()).replace(" ", "-") for heading in headings}


@pytest.mark.parametrize("page", PAGES, ids=name_of)
def test_links_lead_somewhere(page: Path) -> None:
    """Every link to a file of the repository leads to one, and to a heading that it has."""
    lost = []
    for link in LINKS.finditer(page.read_text(encoding="utf-8")):
        target = (page.parent / link["path"]).resolve() if link["path"] else page
        if not target.exists() or (
            link["anchor"] and link["anchor"] not in anchors(target.read_text(encoding="utf-8"))
        ):
            lost.append(link[0])

    assert lost == []


def test_the_glossary_explains_every_word() -> None:
    """Each word of the design stands in the glossary, once, with a sentence or two."""
    text = (ROOT / "docs" / "glossary.md").read_text(encoding="utf-8")
    entries = re.findall(r"^\*\*([^*]+)\*\*: (.+(?:\n(?!\n).+)*)", text, re.MULTILINE)
    names = [name for name, _ in entries]

    assert set(names) >= WORDS
    assert len(names) == len(set(names))
    assert [name for name, meaning in entries if not meaning.endswith(".")] == []


@pytest.mark.parametrize("page", DECISIONS, ids=name_of)
def test_a_decision_tells_the_whole_story(page: Path) -> None:
    """A decision has its number, its context, what was decided, what follows, and what was refused."""
    text = page.read_text(encoding="utf-8")

    assert text.startswith(f"# {int(page.name[:4])}. ")
    assert re.findall(r"^## (.+)$", text, re.MULTILINE) == ["Context", "Decision", "Consequences", "Refused"]


def test_every_dependency_has_its_line() -> None:
    """Each part that is installed has a line, once, on the page of dependencies; nothing else is said to be used."""
    text = (ROOT / "docs" / "decisions" / "dependencies.md").read_text(encoding="utf-8")
    used, refused = text.split("## Looked at and left out")
    rows = [row.split(", ") for row in re.findall(r"^\| ([a-z][\w, -]*?) +\|", used, re.MULTILINE) if row != "part"]
    named = [part for row in rows for part in row]
    extras = PROJECT["optional-dependencies"].values()
    wanted = {
        re.split(r"[\[<>=~! ;]", part)[0]
        for part in PROJECT["dependencies"] + [part for parts in extras for part in parts]
    }

    assert sorted(named) == sorted(wanted)
    assert [part for part in wanted if re.search(rf"^\| {re.escape(part)} ", refused, re.MULTILINE)] == []


def test_targets_that_are_promised_exist() -> None:
    """Every `make` target that a page names stands in the Makefile with its own line of help."""
    makefile = (ROOT / "Makefile").read_text(encoding="utf-8")
    targets = set(re.findall(r"^([a-z-]+):.*## ", makefile, re.MULTILINE))
    text = "\n".join(page.read_text(encoding="utf-8") for page in PAGES)
    named = {
        word
        for run in re.findall(r"(?:`|\$ )make ((?:[a-z][a-z-]*[ `\n])+)", text)
        for word in run.strip("`\n ").split()
    }

    assert {"demo", "test", "check", "bench", "install", "help"} <= targets
    assert named - targets == set()


def test_one_version_everywhere() -> None:
    """The package, the project file and the newest entry of the changes name one version."""
    changes = (ROOT / "CHANGELOG.md").read_text(encoding="utf-8")
    newest = re.search(r"^## (\S+)", changes, re.MULTILINE)

    assert newest is not None
    assert PROJECT["version"] == koinon.__version__ == newest[1]


def test_the_readme_holds_no_gap() -> None:
    """The README shows what the two commands print."""
    text = (ROOT / "README.md").read_text(encoding="utf-8")

    assert "<!--" not in text
    assert "6 of 6 bundles verified" in text
    assert "passed" in text


def test_the_picture_is_safe_and_readable() -> None:
    """The picture has a title and a description, colours for light and dark, and nothing from elsewhere."""
    picture = (ROOT / "docs" / "house.svg").read_text(encoding="utf-8")

    assert "<title" in picture
    assert "<desc" in picture
    assert "prefers-color-scheme: dark" in picture
    assert re.findall(r"https?://[^\"\s]+", picture) == ["http://www.w3.org/2000/svg"]
    assert "<script" not in picture

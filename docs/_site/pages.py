"""The site's pages: Markdown files of the repository under their own paths, so that their links hold as they are.

MkDocs takes pages from one folder; ours lie in docs/, plugins/ and benchmarks/, and link to each other and to source
files. Every page keeps its path in the repository as its name, and MkDocs checks links between them. Leaderboards are
copied as they are. A link to any other file of the repository leads to its host, or is plain text where REPOSITORY_URL
is not set.
"""

from __future__ import annotations

import os
import re
from pathlib import Path
from typing import Any

from mkdocs.exceptions import PluginError
from mkdocs.structure.files import File, Files

ROOT = Path(__file__).resolve().parents[2]

PAGES = (
    "docs/**/*.md",
    "plugins/README.md",
    "plugins/*/README.md",
    "plugins/*/docs/**/*.md",
    "benchmarks/README.md",
    "examples/README.md",
    "CHANGELOG.md",
)
COPIES = ("docs/images/*", "docs/_site/*.css", "docs/_site/*.svg", "leaderboards/**/*")

_LINK = re.compile(
    r"(?P<code>^```.*?^```|`[^`\n]+`(?!\]))"
    r"|(?<!!)\[(?P<text>[^\]\n]+)\]\((?P<path>[^)\s#:]+)(?P<anchor>#[^)\s]*)?\)",
    re.MULTILINE | re.DOTALL,
)
"""A relative link of Markdown, or code, in which nothing is a link."""


_CARD = re.compile(r"(/docs/recipes/[\w-]+)\.md\b")

_ITEM = re.compile(r"(?P<code>^```.*?^```)|^(?P<spaces> {2,6})(?=(?:[-*]|\d+\.) )", re.MULTILINE | re.DOTALL)
"""The spaces before a nested item of a list, or code."""


def on_config(config: Any) -> Any:
    """Replace each pattern in the navigation by the pages that it names."""
    config.nav = _pages(config.nav)
    config.repo_url = os.environ.get("REPOSITORY_URL") or None
    return config


def _expanded(item: Any) -> list[Any]:
    """An item of the navigation as a list of items: a pattern names several."""
    if isinstance(item, dict):
        return [{title: _pages(value) for title, value in item.items()}]
    if "*" not in item:
        return [item]
    found = [path.relative_to(ROOT).as_posix() for path in sorted(ROOT.glob(item))]
    if not found:
        raise PluginError(f"mkdocs.yml: no page is named {item}")
    return found


def _pages(value: Any) -> Any:
    if isinstance(value, str) and "*" not in value:
        return value
    return [page for item in ([value] if isinstance(value, str) else value) for page in _expanded(item)]


def on_files(files: Files, *, config: Any) -> Files:
    """Every page and copied file, under its path in the repository; the theme's own files stay."""
    themes = [file for file in files if file.src_dir != config.docs_dir]
    pages = [path for pattern in PAGES for path in sorted(ROOT.glob(pattern))]
    copies = [path for pattern in COPIES for path in sorted(ROOT.glob(pattern)) if path.suffix != ".md"]
    return Files([*themes, *(_file(path, config) for path in [*pages, *copies] if path.is_file())])


def _file(path: Path, config: Any) -> File:
    name = path.relative_to(ROOT).as_posix()
    file = File(name, str(ROOT), config.site_dir, config.use_directory_urls)
    file.dest_uri = file.dest_uri.removeprefix("docs/")
    return file


def on_page_markdown(markdown: str, *, page: Any, config: Any, files: Files) -> str:
    """The page with its links to files that are no pages led elsewhere; MkDocs checks all others."""

    def led(match: re.Match[str]) -> str:
        if match["code"]:
            return match[0]
        name = os.path.normpath(Path(page.file.src_uri).parent / match["path"])
        if files.get_file_from_path(name) or not (ROOT / name).exists():
            return match[0]
        if name.startswith("leaderboards/") and name.endswith("/README.md"):
            return f"[{match['text']}]({match['path'].removesuffix('README.md')}index.html)"
        if config.repo_url:
            return f"[{match['text']}]({config.repo_url.rstrip('/')}/blob/main/{name}{match['anchor'] or ''})"
        return match["text"]

    return _ITEM.sub(_indented, _LINK.sub(led, markdown))


def on_post_build(*, config: Any) -> None:
    """Lead the links of boards' pages to the recipes' cards as pages: in the repository they are Markdown."""
    for page in Path(config.site_dir).glob("leaderboards/**/index.html"):
        page.write_text(_CARD.sub(r"\1.html", page.read_text(encoding="utf-8")), encoding="utf-8")


def _indented(match: re.Match[str]) -> str:
    """A nested item of a list as MkDocs wants it: four spaces a level, where GitHub takes two or three."""
    return match["code"] or " " * 4 * -(-len(match["spaces"]) // 3)

"""What the site shows beside docs/: the README's pages, sources that pages point to, notebooks, formulas as MathML."""

from __future__ import annotations

import posixpath
import re
import shutil
from pathlib import Path

import nbformat
from mkdocs.config.defaults import MkDocsConfig
from mkdocs.exceptions import PluginError
from mkdocs.plugins import event_priority
from mkdocs.structure.files import File, Files
from mkdocs.structure.pages import Page
from nbconvert import MarkdownExporter
from pygments import highlight
from pygments.formatters import HtmlFormatter
from pygments.lexers import TextLexer, get_lexer_for_filename
from pygments.util import ClassNotFound

from paper_checks.report.mathml import mathml

ROOT = Path(__file__).parents[2]
MIRRORED = {"README.md": "index.md", "CHANGELOG.md": "changelog.md", "CONTRIBUTING.md": "contributing.md"}
LINK = re.compile(r"(\]\()([^)\s#:]+)((?:#[^)\s]*)?\))")
FORMULA = re.compile(r'<(span|div) class="arithmatex">\\[(\[](.*?)\\[)\]]</\1>', re.DOTALL)
REMOTE = re.compile(r'<(?:script|link|img|iframe)\b[^>]*(?:src|href)="(?:https?:)?//[^>]*>')
LONG = 40
"""Characters of LaTeX from which a formula in a line may be wider than a phone."""
NOTEBOOKS = "experiments/notebooks"
PAGE = (
    '<!doctype html><html lang="en"><meta charset="utf-8"><meta name="viewport" content="width=device-width">'
)


PARTIAL = ".partial"
"""What the name of a site that is being built ends with."""


def on_config(config: MkDocsConfig) -> MkDocsConfig:
    """Build beside the site's folder, so that a build that is killed leaves the former site as it was."""
    config.site_dir += PARTIAL
    return config


@event_priority(-100)
def on_post_build(config: MkDocsConfig) -> None:
    """Put the whole site in the place of the former one."""
    built = Path(config.site_dir)
    site = built.with_name(built.name.removesuffix(PARTIAL))
    shutil.rmtree(site, ignore_errors=True)
    built.rename(site)


def on_files(files: Files, config: MkDocsConfig) -> Files:
    """Add the mirrored pages, the notebooks with their pictures, the gallery, the style, and linked sources."""

    def add(uri: str, content: str | bytes) -> None:
        files.append(File.generated(config, uri, content=content))

    add("assets/style.css", (ROOT / "docs/site/style.css").read_text(encoding="utf-8"))
    gallery, figures = _gallery(ROOT / config.extra["figures"])
    add("gallery.md", gallery)
    for name, content in figures.items():
        add(f"gallery/{name}.png", content)
    for source, uri in MIRRORED.items():
        add(uri, _moved((ROOT / source).read_text(encoding="utf-8"), source, uri))
    for path in sorted((ROOT / NOTEBOOKS).glob("*.ipynb")):
        text, pictures = _notebook(path)
        add(
            f"notebooks/{path.stem}.md", _moved(text, f"{NOTEBOOKS}/{path.name}", f"notebooks/{path.stem}.md")
        )
        for name, content in pictures.items():
            add(f"notebooks/{path.stem}/{name}", content)
    shown = {link for file in files.documentation_pages() for link in _sources_of(file)}
    for path in sorted(shown):
        add(_shown(path), _source(path))
    return files


def on_page_markdown(markdown: str, page: Page, config: MkDocsConfig, files: Files) -> str:
    """Point links that leave docs/ to the sources' own pages."""
    return _moved(markdown, f"docs/{page.file.src_uri}", page.file.src_uri)


def on_page_content(html: str, page: Page, config: MkDocsConfig, files: Files) -> str:
    """Write formulas as MathML, and let wide tables scroll on their own."""
    html = FORMULA.sub(
        lambda match: _formula(match[2], inline=match[1] == "span", where=page.file.src_uri), html
    )
    return re.sub(
        r"<table>(.*?)</table>", r'<div class="wide"><table>\1</table></div>', html, flags=re.DOTALL
    )


def on_post_page(output: str, page: Page, config: MkDocsConfig) -> str:
    """Refuse a page that would load anything from elsewhere."""
    if found := REMOTE.search(output):
        raise PluginError(f"{page.file.src_uri} loads from the network: {found[0]}")
    return output


def _formula(escaped: str, *, inline: bool, where: str) -> str:
    latex = escaped.replace("&lt;", "<").replace("&gt;", ">").replace("&amp;", "&")
    try:
        markup = mathml(latex)
    except ValueError as error:
        raise PluginError(f"{where}: {error}") from error
    if inline:
        markup = markup.replace('display="block"', 'display="inline"')
        return f'<span class="formula">{markup}</span>' if len(latex) > LONG else markup
    return f'<div class="wide">{markup}</div>'


def _sources_of(file: File) -> set[Path]:
    """Return the sources, files and folders, that a page points to."""
    text = _moved(file.content_string, f"docs/{file.src_uri}", file.src_uri)
    targets = (posixpath.join(posixpath.dirname(file.src_uri), match[2]) for match in LINK.finditer(text))
    shown = (posixpath.normpath(target) for target in targets)
    return {
        ROOT / name.removeprefix("source/").removesuffix(".html")
        for name in shown
        if name.startswith("source/")
    }


def _moved(text: str, source: str, uri: str) -> str:
    """Return Markdown of `source` with its relative links as they are from the site's page `uri`."""

    def change(match: re.Match[str]) -> str:
        path = ROOT / posixpath.normpath(posixpath.join(posixpath.dirname(source), match[2]))
        if not path.exists():
            return match[0]
        name = path.relative_to(ROOT).as_posix()
        if name in MIRRORED:
            target = MIRRORED[name]
        elif name.startswith(NOTEBOOKS) and path.suffix == ".ipynb":
            target = f"notebooks/{path.stem}.md"
        elif path == ROOT / "docs/theory":
            target = "theory/README.md"
        elif name.startswith("docs/") and path.suffix in (".md", ".png"):
            target = name.removeprefix("docs/")
        else:
            target = _shown(path)
        return match[1] + posixpath.relpath(target, posixpath.dirname(uri) or ".") + match[3]

    return LINK.sub(change, text)


def _shown(path: Path) -> str:
    return f"source/{path.resolve().relative_to(ROOT).as_posix()}.html"


def _source(path: Path) -> str:
    """Return a file with its syntax coloured, or what a folder holds, as a page of its own."""
    name = path.relative_to(ROOT).as_posix()
    if path.is_dir():
        listed = sorted(
            f"{p.name}/" if p.is_dir() else p.name for p in path.iterdir() if p.name[0] not in "._"
        )
        text, lexer = "\n".join(listed), TextLexer()
    else:
        text = path.read_text(encoding="utf-8")
        try:
            lexer = get_lexer_for_filename(path.name)
        except ClassNotFound:
            lexer = TextLexer()
    style = HtmlFormatter().get_style_defs() + HtmlFormatter(style="github-dark").get_style_defs("body.dark")
    start = '<script>document.body.className=matchMedia("(prefers-color-scheme: dark)").matches?"dark":""</script>'
    margin = "body{margin:1rem;overflow-x:auto}body.dark{background:#0d1117;color:#e6edf3}"
    body = highlight(text, lexer, HtmlFormatter(linenos=False))
    return (
        f"{PAGE}<title>{name}</title><style>{style}{margin}</style><body>{start}<h1>{name}</h1>{body}</html>"
    )


def _notebook(path: Path) -> tuple[str, dict[str, bytes]]:
    """Return an executed notebook as Markdown, and its pictures by name."""
    notebook = nbformat.read(path, as_version=4)
    resources = {"output_files_dir": path.stem, "unique_key": path.stem}
    text, found = MarkdownExporter().from_notebook_node(notebook, resources=resources)
    return text, {Path(name).name: content for name, content in found["outputs"].items()}


def _gallery(folder: Path) -> tuple[str, dict[str, bytes]]:
    """Return the page of all figures with their captions, and the pictures."""
    from figures.registry import FIGURES, caption

    missing = [name for name in FIGURES if not (folder / f"{name}.png").exists()]
    if missing:
        raise PluginError(
            f"no {missing[0]}.png in {folder}; make it with: python -m figures --output {folder}"
        )
    lines = ["# Gallery", "", "Made by `python -m figures`, as PDF and PNG.", ""]
    for name, entry in FIGURES.items():
        about = entry.about[0].upper() + entry.about[1:]
        how = f" Its data: `{entry.data}`." if entry.data else ""
        lines += [
            f"## {name}",
            "",
            f"![{about}](gallery/{name}.png)",
            "",
            f"{about}. {caption(name)}{how}",
            "",
        ]
    return "\n".join(lines), {name: (folder / f"{name}.png").read_bytes() for name in FIGURES}

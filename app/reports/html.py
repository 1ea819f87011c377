"""Renders our pages: one self-contained HTML file each, which needs no network and runs nothing but our own script."""

from __future__ import annotations

import base64
import hashlib
from functools import cache
from pathlib import Path
from typing import Any

from jinja2 import Environment, FileSystemLoader, StrictUndefined
from markupsafe import Markup

TEMPLATES = Path(__file__).parent


def render_page(template: str, styles: tuple[str, ...], script: str = "", **values: Any) -> str:
    """Return a page's HTML. All values are escaped. `styles` and `script` are files beside this one."""
    style, code = Markup("").join(map(_own, styles)), _own(script) if script else Markup("")
    page = _environment().get_template(template)
    return page.render(policy=_policy(style, code), style=style, script=code, **values)


@cache  # with it, Jinja keeps the compiled templates
def _environment() -> Environment:
    return Environment(
        loader=FileSystemLoader(TEMPLATES),
        autoescape=True,
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )


def _own(name: str) -> Markup:
    return Markup((TEMPLATES / name).read_text(encoding="utf-8"))  # noqa: S704  # a file of ours, not of the roster


def _policy(style: str, script: str) -> str:
    """Return what a browser may do with the page: show images within it, apply our style and run our script."""
    return (
        f"default-src 'none'; img-src data:; style-src '{_fingerprint(style)}'; script-src '{_fingerprint(script)}';"
        " base-uri 'none'; form-action 'none'"
    )


def _fingerprint(text: str) -> str:
    return "sha256-" + base64.b64encode(hashlib.sha256(text.encode()).digest()).decode()

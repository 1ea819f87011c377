"""Take the README's two pictures, of the console and of HR's page, from the demonstration.

    python docs/take_pictures.py

Writes docs/consola.png and docs/informe.png. Needs Linux, requirements-dev.txt, Chromium, chromedriver and a font with
the console's symbols. The demonstration runs in a copy of the program: it leaves nothing in demo/.
"""

from __future__ import annotations

import fcntl
import io
import os
import pty
import shutil
import struct
import subprocess
import sys
import tempfile
import termios
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from PIL import Image, ImageOps
from rich.cells import chop_cells
from rich.console import Console
from rich.terminal_theme import DIMMED_MONOKAI as THEME
from rich.text import Text
from selenium.webdriver import Chrome, ChromeOptions
from selenium.webdriver.chrome.service import Service
from selenium.webdriver.common.by import By

DOCS = Path(__file__).resolve().parent
PROJECT = DOCS.parent
PROGRAM = ("app", "generate_face_embeddings.py")
SHOWN_AS = "/opt/face-embeddings"  # the documents' folder, in place of the temporary one
COMMAND = "./run_embeddings.sh --demo"
COLUMNS, ROWS = 118, 40  # the longest advice fits
ERASE_LINE, LINE_UP = "\x1b[2K", "\x1b[1A"
PAGE_WIDTH_PX, PAGE_HEIGHT_PX = 980, 1000
SCALE = 1.7  # picture pixels for each one of the page: about two for each pixel of a README's column
COLOURS = 256
FRAME_PX, FRAME_COLOUR = 2, "#d1d9e0"  # the page is as white as the README around it
LIMIT_BYTES = 250_000
SYMBOL = "2705"  # one of the console's, by its number
NO_SYMBOLS = "No font has the console's symbols: apt install fonts-noto-color-emoji"


def main() -> None:
    if not subprocess.run(["fc-list", f":charset={SYMBOL}"], capture_output=True, check=True).stdout:  # noqa: S607
        sys.exit(NO_SYMBOLS)
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        output = run_demonstration(folder)
        screen = folder / "screen.html"
        screen.write_text(draw_screen(output.replace(str(folder), SHOWN_AS)), encoding="utf-8")
        with running_browser() as browser:
            browser.get(screen.as_uri())
            save_top(browser, "footer", DOCS / "consola.png")
            browser.get((folder / "demo" / "logs" / "report.html").as_uri())
            save_top(browser, "section + section", DOCS / "informe.png")


def run_demonstration(folder: Path) -> str:
    """Run a copy of the program in `folder` and return what a terminal gets, its control sequences included."""
    for part in PROGRAM:
        source = PROJECT / part
        (shutil.copytree if source.is_dir() else shutil.copy)(source, folder / part)
    ours, its = pty.openpty()
    fcntl.ioctl(its, termios.TIOCSWINSZ, struct.pack("HHHH", ROWS, COLUMNS, 0, 0))
    command = [sys.executable, PROGRAM[1], "--demo"]
    environment = os.environ | {"TERM": "xterm-256color"}
    program = subprocess.Popen(command, cwd=folder, stdin=its, stdout=its, stderr=its, env=environment)
    os.close(its)
    output = b"".join(_read(ours))
    if program.wait() != 0:
        sys.exit(f"The demonstration ended with {program.returncode}:\n{output.decode()}")
    return output.decode()


def _read(terminal: int) -> Iterator[bytes]:
    """Yield what is written to a terminal until its other end closes, which Linux reports as an error."""
    with open(terminal, "rb", buffering=0) as stream:
        try:
            while content := stream.read(65536):
                yield content
        except OSError:
            return


def draw_screen(output: str) -> str:
    """Return the last ROWS lines of a terminal's output as a page that shows its window, with a footer below."""
    lines: list[str] = []
    for written in output.replace("\r", "").splitlines():
        if LINE_UP in written:  # the progress bar goes away
            lines.pop()
        line = Text.from_ansi(written.rpartition(ERASE_LINE)[2]).plain
        lines += chop_cells(line, COLUMNS) or [""]
    console = Console(record=True, width=COLUMNS, file=io.StringIO(), force_terminal=True)
    for line in lines[-ROWS:]:
        console.print(Text(line), no_wrap=True)
    window = console.export_svg(title=COMMAND, theme=THEME)
    return f'<body style="margin: 0; background: {THEME.background_color.hex}">{window}<footer></footer>'


@contextmanager
def running_browser() -> Iterator[Chrome]:
    """Start Chromium without a window, and end it."""
    options = ChromeOptions()
    size = f"--window-size={PAGE_WIDTH_PX},{PAGE_HEIGHT_PX}"
    # root has no sandbox, and a container's /dev/shm is too small for it
    for argument in ("--headless=new", "--no-sandbox", "--disable-dev-shm-usage", "--hide-scrollbars", size):
        options.add_argument(argument)
    options.add_argument(f"--force-device-scale-factor={SCALE}")
    browser = Chrome(options, Service(shutil.which("chromedriver")))
    try:
        yield browser
    finally:
        browser.quit()


def save_top(browser: Chrome, end: str, path: Path) -> None:
    """Save the page down to the first element of the selector `end`, with a palette: a third of the size, and no
    difference to be seen."""
    height_px = browser.find_element(By.CSS_SELECTOR, end).rect["y"]
    page = Image.open(io.BytesIO(browser.get_screenshot_as_png())).convert("RGB")
    top = ImageOps.expand(page.crop((0, 0, page.width, int(height_px * SCALE))), FRAME_PX, FRAME_COLOUR)
    top.quantize(COLOURS).save(path, optimize=True)
    if path.stat().st_size > LIMIT_BYTES:
        sys.exit(f"{path} has {path.stat().st_size} bytes, more than {LIMIT_BYTES}")


if __name__ == "__main__":
    main()

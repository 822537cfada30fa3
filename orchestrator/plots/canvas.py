"""The one door to matplotlib: figures, marks that tell what they are, and the three kinds of file.

No window is opened, and nothing of matplotlib's global state is touched for longer than a drawing takes.
"""

import io
import os
import tempfile
import warnings
import xml.etree.ElementTree as ET
from collections.abc import Iterator, Sequence
from contextlib import contextmanager, suppress
from html import escape
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal

from tuner.errors import UsageError

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.axis import Axis
    from matplotlib.figure import Figure

__all__ = [
    "BLUE",
    "COLOURS",
    "DARK",
    "GREEN",
    "GREY",
    "ORANGE",
    "RED",
    "REVERSED",
    "SUFFIXES",
    "Canvas",
    "check_file",
    "count_on",
]

SUFFIXES = (".png", ".svg", ".html")

# Okabe and Ito 2008, Color Universal Design: told apart with any kind of colour vision.
BLUE, ORANGE, GREEN, RED = "#0072B2", "#E69F00", "#009E73", "#D55E00"
DARK, GREY = "#222222", "#8A8A8A"
COLOURS, REVERSED = "cividis", "cividis_r"
"""From dark to light, and from light to dark: told apart without red or green, and in print."""

_DPI = 150
_SVG = "http://www.w3.org/2000/svg"
_SETTINGS: dict[Any, Any] = {
    "font.family": "DejaVu Sans",
    "font.size": 9,
    "axes.spines.top": False,
    "axes.spines.right": False,
    "axes.titlesize": 10,
    "axes.edgecolor": "#666666",
    "grid.color": "#E3E3E3",
    "legend.frameon": False,
    "legend.fontsize": 8,
    "svg.fonttype": "path",
    "svg.hashsalt": "retrain",
    "text.parse_math": False,
}


def check_file(path: Path) -> None:
    """Refuse what cannot become a picture, before anything is drawn.

    Raises:
        UsageError: matplotlib is missing, the suffix is unknown, or the folder is not there.
    """
    if path.suffix.lower() not in SUFFIXES:
        raise UsageError(
            f"The name of a picture must end in {', '.join(SUFFIXES)}, but got {path.name!r}.",
            f"Give -o {path.stem or 'picture'}.html, for instance.",
        )
    if not path.absolute().parent.is_dir() or path.is_dir():
        raise _unwritable(path, "it is a folder" if path.is_dir() else "there is no such folder")
    try:
        import matplotlib  # noqa: F401
    except ImportError as error:
        raise UsageError(
            "Pictures are drawn by matplotlib, which is not installed.", "pip install 'retrain[plots]'"
        ) from error


def _unwritable(path: Path, why: str) -> UsageError:
    return UsageError(
        f"The picture cannot be written to {path}: {why}.", "Name a file in a folder that can be written to."
    )


class Canvas:
    """A figure to draw on.

    Args:
        width, height: in inches.
        title: stands above it; cut to one line.
        subtitle: a second line, smaller.

    Attributes:
        figure: matplotlib's.
    """

    def __init__(self, width: float, height: float, title: str, subtitle: str = "") -> None:
        with _settings():
            from matplotlib.figure import Figure

            self.figure: Figure = Figure((width, height), layout="constrained", facecolor="white")
            self._title = title
            most = int(width * 11)
            head = title if len(title) <= most else f"{title[: most - 1]}…"
            self.figure.suptitle(head, x=0.01, ha="left", fontsize=11, fontweight="bold", color=DARK)
            if subtitle:
                self.figure.supxlabel(subtitle, x=0.01, ha="left", fontsize=8, color="#555555")
        self._tips: dict[str, list[str]] = {}

    @contextmanager
    def drawing(self) -> Iterator["Figure"]:
        """Draw with the settings of all pictures; axes are made in here, too."""
        with _settings():
            yield self.figure

    def dots(
        self, axes: "Axes", x: Sequence[float], y: Sequence[float], tips: Sequence[str], **style: Any
    ) -> Any:
        """Draw one mark for each point, which tells its tip to whoever points at it (SVG and HTML)."""
        if not len(x):
            return None
        return self.tell(axes.scatter(x, y, **style), tips)

    def tell(self, artist: Any, tips: Sequence[str]) -> Any:
        """Have an artist tell its tips: one for each of its marks, or one for the whole."""
        gid = f"tips-{len(self._tips)}"
        artist.set_gid(gid)
        self._tips[gid] = list(tips)
        return artist

    def save(self, path: Path) -> None:
        """Write the file, whole or not at all; its suffix says which kind.

        Raises:
            UsageError: it cannot be written.
        """
        kind = path.suffix.lower()
        with _settings():
            content = self._png() if kind == ".png" else self._svg().encode()
        if kind == ".html":
            content = _page(self._title, content.decode()).encode()
        _write(path, content)

    def _png(self) -> bytes:
        buffer = io.BytesIO()
        self.figure.savefig(buffer, format="png", dpi=_DPI, metadata={"Title": self._title})
        return buffer.getvalue()

    def _svg(self) -> str:
        buffer = io.StringIO()
        self.figure.savefig(buffer, format="svg", metadata={"Title": self._title, "Date": None})
        return _with_tips(buffer.getvalue(), self._tips)


def count_on(axis: "Axis", most: int | Literal["auto"] = "auto") -> None:
    """Have whole numbers only beside an axis, and about so many steps at most."""
    from matplotlib.ticker import MaxNLocator

    axis.set_major_locator(MaxNLocator(most, integer=True, min_n_ticks=1))


@contextmanager
def _settings() -> Iterator[None]:
    import matplotlib

    with matplotlib.rc_context(_SETTINGS), warnings.catch_warnings():
        # A box stands for a character that the font lacks.
        warnings.filterwarnings("ignore", "Glyph .* missing")
        yield


def _with_tips(svg: str, tips: dict[str, list[str]]) -> str:
    """Put a title into every mark of the groups that have tips: browsers show it."""
    for prefix, space in (("", _SVG), ("xlink", "http://www.w3.org/1999/xlink")):
        ET.register_namespace(prefix, space)
    root = ET.fromstring(svg)  # noqa: S314 - matplotlib wrote it a moment ago
    for group in root.iter(f"{{{_SVG}}}g"):
        texts = tips.get(group.get("id", ""), [])
        hidden = {each for defs in group.iter(f"{{{_SVG}}}defs") for each in defs.iter()}
        marks = [
            each
            for each in group.iter()
            if each not in hidden and each.tag in (f"{{{_SVG}}}use", f"{{{_SVG}}}path")
        ]
        if len(texts) == len(marks):
            for mark, text in zip(marks, texts, strict=True):
                ET.SubElement(mark, f"{{{_SVG}}}title").text = _plain(text)
    return ET.tostring(root, encoding="unicode")


def _plain(text: str) -> str:
    """Without what XML cannot hold."""
    return "".join(each for each in text if each.isprintable() or each == "\n")


def _page(title: str, svg: str) -> str:
    """One file that needs nothing else: no script, no network."""
    return (
        '<!doctype html>\n<html lang="en">\n<head>\n<meta charset="utf-8">\n'
        '<meta name="viewport" content="width=device-width, initial-scale=1">\n'
        f"<title>{escape(title)}</title>\n"
        "<style>body{margin:1rem;background:#fff;font-family:sans-serif}"
        "svg{max-width:100%;height:auto}p{color:#555;font-size:.85rem}</style>\n</head>\n<body>\n"
        f"{svg}\n<p>Point at a mark to see which experiment it is.</p>\n</body>\n</html>\n"
    )


def _write(path: Path, content: bytes) -> None:
    temporary = None
    try:
        with tempfile.NamedTemporaryFile(
            dir=path.absolute().parent, prefix=".picture-", delete=False
        ) as file:
            temporary = file.name
            file.write(content)
        os.chmod(temporary, 0o666 & ~_umask())  # noqa: PTH101 - as an ordinary file
        os.replace(temporary, path)  # noqa: PTH105
    except OSError as error:
        if temporary is not None:
            with suppress(OSError):
                os.unlink(temporary)  # noqa: PTH108
        raise _unwritable(path, error.strerror or str(error)) from error


def _umask() -> int:
    mask = os.umask(0)
    os.umask(mask)
    return mask

"""The four sets of drawings, and words about them: where each comes from, pinned by checksum, and how it is read."""

import base64
import hashlib
import json
import subprocess
import tarfile
from collections.abc import Iterator
from pathlib import Path
from typing import IO, Any, NamedTuple, cast

from minidalle.errors import require


class Source(NamedTuple):
    """One npm package: an artist's set of drawings, as the Iconify project packs them, or words about emoji."""

    style: str  # of the drawings; empty for words
    package: str
    version: str
    sha512: str  # of the archive, in base64, as npm's registry publishes it
    license: str  # SPDX

    @property
    def archive(self) -> str:
        """The file name that `npm pack` gives the package."""
        return f"{self.package.removeprefix('@').replace('/', '-')}-{self.version}.tgz"


SOURCES = (
    Source(
        "noto",
        "@iconify-json/noto",
        "1.2.9",
        "DQiuXENbun41ch+XPSV55H9FaWKpHTyz46YIKtSaKYD4fIDDzL1tR6H4np/T38jfrTAeI3rcKF0mqHYeZVAuaw==",
        "Apache-2.0",
    ),
    Source(
        "fluent",
        "@iconify-json/fluent-emoji-flat",
        "1.2.6",
        "RY47RgPb47fYUiyrA64sIOL0+UU02s29sXpNBbIQRBUlPlfNFTKUmZDERGuxDs/7yNGWqQYvuaSYM1M4fRXlUw==",
        "MIT",
    ),
    Source(
        "twemoji",
        "@iconify-json/twemoji",
        "1.2.5",
        "uKpuIEV0v6K5BW3Mjdyl+XKFVAbbcPxAgifKvEMtZoUZB5+YiY5zaMm2uNNCxyXzAWU9yNLlj41WU6/mvgALsw==",
        "CC-BY-4.0",
    ),
    Source(
        "openmoji",
        "@iconify-json/openmoji",
        "1.2.29",
        "vXdhkqcXVSO6suy+m9LbcUM3OdVyuNOtpV8/als/WqfkQIRxevL5Geb/g+6GH/Qwnq1OqksEmaDGTCmZ5nFKJQ==",
        "CC-BY-SA-4.0",
    ),
)

WORDS = Source(
    "",
    "emojilib",
    "4.0.3",
    "KbWiYre9aRSaPbHrHZIz9zmoM+21LAsK1VFJtnTh1VCtWE/rNMDviGhQTmselFl95dhqtGlY22iH0leG5BuW0g==",
    "MIT",
)


class Drawing(NamedTuple):
    """One emoji of one set: its code points (`1F44B-1F3FB`) and a standalone SVG."""

    code_points: str
    svg: str


def fetch(source: Source, folder: Path) -> Path:
    """Download a package's archive into `folder` with `npm pack`, unless it is there, and check it.

    Raises:
        InvalidValue: the archive is not, byte for byte, the pinned one.
    """
    archive = folder / source.archive
    if not archive.exists():
        command = ["npm", "pack", "--silent", f"{source.package}@{source.version}"]
        subprocess.run(command, cwd=folder, check=True, stdout=subprocess.DEVNULL)
    digest = base64.b64encode(hashlib.sha512(archive.read_bytes()).digest()).decode()
    require(digest == source.sha512, f"sha512 of {archive}", digest, f"{source.sha512} ({source.package})")
    return archive


def read_drawings(archive: Path) -> Iterator[Drawing]:
    """Every drawing of a package that stands for an emoji, in the order of its code points."""
    icons, chars = _members(archive, "icons.json", "chars.json")
    for code_points, icon in sorted(chars.items()):
        yield Drawing(code_points.upper(), standalone_svg(icons, icon))


def read_words(archive: Path) -> dict[str, list[str]]:
    """What people call each emoji, by its characters; the first word is its name."""
    (words,) = _members(archive, "dist/emoji-en-US.json")
    return words


def standalone_svg(icons: dict[str, Any], name: str) -> str:
    """The SVG document of an icon of an Iconify set: its body in its view box.

    Args:
        icons: the set (`icons.json`): bodies, default sizes, and aliases, which point to a parent.
        name: an icon's or an alias's name.

    Raises:
        InvalidValue: the alias turns or flips its parent; none of the pinned sets needs that.
    """
    alias = icons["aliases"][name] if name not in icons["icons"] else {"parent": name}
    require(set(alias) == {"parent"}, f"alias {name}", alias, "another name and no other changes")
    icon = {**icons, **icons["icons"][alias["parent"]]}
    box = f"{icon.get('left', 0)} {icon.get('top', 0)} {icon['width']} {icon['height']}"
    return f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="{box}">{icon["body"]}</svg>'


def _members(archive: Path, *names: str) -> list[Any]:
    with tarfile.open(archive) as tar:
        return [json.load(cast(IO[bytes], tar.extractfile(f"package/{name}"))) for name in names]

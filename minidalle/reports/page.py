"""What every page is made with: templates, and pictures and plots that live inside the page."""

import base64
import io
from pathlib import Path
from typing import Any

import jinja2
import numpy as np
from PIL import Image

from minidalle.checkpoint import atomic_write


def write_page(path: Path, template: str, **values: Any) -> Path:
    """Fill a template of this folder and write it as one file that needs no other; returns its path."""
    environment = jinja2.Environment(
        loader=jinja2.FileSystemLoader(Path(__file__).parent),
        autoescape=True,
        undefined=jinja2.StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    environment.filters["picture"] = data_url
    atomic_write(path, environment.get_template(template).render(**values))
    return path


def data_url(picture: np.ndarray) -> str:
    """A picture, uint8 [H, W, 3], as an address that holds it."""
    return "data:image/png;base64," + base64.b64encode(png(picture)).decode()


def png(picture: np.ndarray) -> bytes:
    """A picture, uint8 [H, W, 3], as a PNG file."""
    buffer = io.BytesIO()
    Image.fromarray(picture).save(buffer, format="PNG", optimize=True)
    return buffer.getvalue()

"""A stand-in for simplejpeg that misbehaves on files that say so in a JPEG comment.

Worker processes find it first on the path that their parent hands down. Sound files it leaves to Pillow.
"""

from __future__ import annotations

from pathlib import Path

from PIL import Image

_SOURCE = """
import os, signal, time

def decode_jpeg(data, **options):
    if b"HANG" in data:
        time.sleep(1000)
    if b"SEGV" in data:
        os.kill(os.getpid(), signal.SIGSEGV)
    if b"KILL" in data:
        os.kill(os.getpid(), signal.SIGKILL)
    if b"QUIT" in data:
        os._exit(3)
    if b"ONCE" in data and os.stat(MARK).st_mode & 0o100:
        # All that a process that decodes may change of a file.
        os.chmod(MARK, 0o600)
        os._exit(1)
    if b"BOMB" in data:
        hoard = bytes(10**12)
    if b"BUG" in data:
        raise KeyError("surprise")
    if b"SLOW" in data:
        time.sleep(0.3)
    raise ValueError("could not determine subsampling: not for this decoder")
"""


def write_bad_decoder(folder: Path) -> Path:
    """Make a folder with the stand-in in it, to be put on the path."""
    folder.mkdir()
    mark = folder / "mark"
    mark.touch(0o700)
    (folder / "simplejpeg.py").write_text(_SOURCE.replace("MARK", repr(str(mark))))
    return folder


def commented(folder: Path, *comments: str, side: int = 40) -> list[str]:
    """Even JPEGs of ascending grey, each with its comment."""
    folder.mkdir(exist_ok=True)
    paths = []
    for number, comment in enumerate(comments):
        paths.append(str(folder / f"{number}.jpg"))
        grey = 15 * number
        Image.new("RGB", (side, side), (grey, grey, grey)).save(paths[-1], comment=comment)
    return paths

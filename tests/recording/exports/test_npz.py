"""The archive is one that numpy reads."""

from __future__ import annotations

import io
from pathlib import Path

import numpy as np
import pytest

from k2workers.recording.exports import npz
from k2workers.recording.exports.event_order import EVENT

DTYPE = np.dtype(
    [("ev", "u8"), ("exch_ts", "i8"), ("local_ts", "i8"), ("px", "f8"), ("qty", "f8"), ("order_id", "u8"), ("ival", "i8"), ("fval", "f8")],
    align=True,
)  # fmt: skip
"""As hftbacktest declares it; ``tests/clients/test_hftbacktest.py`` asks the library itself."""


@pytest.mark.parametrize("count", [0, 1, 3, 100_000])
def test_numpy_reads_what_was_written(count: int) -> None:
    file = io.BytesIO()
    npz.write(file, count, (EVENT.pack(1 << 31, at, at + 1, 0.5, 1.5, 0, -1, 0.0) for at in range(count)))
    file.seek(0)
    data = np.load(file)["data"]
    assert data.dtype == DTYPE
    assert data["exch_ts"].tolist() == list(range(count))
    assert set(data["local_ts"] - data["exch_ts"]) <= {1}
    assert (set(data["ev"].tolist()), set(data["ival"].tolist())) == (({1 << 31}, {-1}) if count else (set(), set()))


def test_it_is_the_file_that_numpy_would_write(tmp_path: Path) -> None:
    written = io.BytesIO()
    npz.write(written, 2, [bytes(128)])
    np.savez_compressed(tmp_path / "numpy.npz", data=np.zeros(2, DTYPE))
    import zipfile

    ours, numpys = (zipfile.ZipFile(file).read("data.npy") for file in (written, tmp_path / "numpy.npz"))
    assert ours == numpys

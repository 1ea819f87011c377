"""Writes the vectors as the files that other programs read: NumPy's, DeepFace's, FAISS's and Parquet."""

from __future__ import annotations

import struct
import zipfile
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from pathlib import PurePath
from typing import IO, Any

import numpy as np
import orjson
from numpy.typing import DTypeLike, NDArray

from app.errors import MissingDependency, SettingsError
from app.recognition.export.contents import Contents

PYARROW = '"pyarrow>=18,<25"'
NPY_HEADER = 128  # bytes: NumPy pads it to a multiple of 64, and ours needs more than one and less than two
PARQUET_METADATA = b"face_embeddings"  # the key of the manifest's common part in the file's schema
# FAISS 1.x, impl/index_write.cpp: an IndexIDMap2 around an IndexFlatIP. Each begins with its mark and this header:
# dimensions, vectors, two unused numbers, whether it is trained, and the metric, of which 0 is the inner product.
ID_MAP, FLAT_INNER_PRODUCT = b"IxM2", b"IxFI"
FAISS_HEADER, UNUSED, TRAINED, INNER_PRODUCT = "<iqqqBi", 1 << 20, 1, 0


@dataclass(frozen=True, slots=True)
class Format:
    """A kind of file. `write` writes the whole of it. `normalised` tells whether its vectors have length 1; `offset` is
    the byte where they begin, row after row, if a reader can map them."""

    write: Callable[[IO[bytes], Contents], None]
    dtype: str
    normalised: bool
    offset: int | None = None

    def describe(self) -> dict[str, Any]:
        """Return what a manifest says of this kind of file."""
        described = {"dtype": self.dtype, "normalised": self.normalised, "offset": self.offset}
        return {key: value for key, value in described.items() if value is not None}


def write_npy(file: IO[bytes], contents: Contents) -> None:
    """Write a float32 matrix (members, dimensions) of unit vectors. `np.load(..., mmap_mode="r")` maps it, and so does
    `np.memmap` from NPY_HEADER on."""
    _write_array(file, np.float32, contents.shape, contents.blocks(np.float32, normalised=True))


def write_npz(file: IO[bytes], contents: Contents) -> None:
    """Write the datastore that `DeepFace.find` 0.0.103 keeps beside its photos (modules/recognition.py): the vectors as
    they were stored, and a crew id in the place of each photo's path."""
    members = len(contents.templates.crew_ids)
    columns: dict[str, NDArray[Any]] = {
        "has_embedding": np.ones(members, np.bool_),
        "identity": np.array(contents.templates.crew_ids, np.str_),
        "hash": np.array(contents.templates.sha256s, np.str_),
    } | dict.fromkeys(("target_x", "target_y", "target_w", "target_h"), np.zeros(members, np.int64))
    with zipfile.ZipFile(file, "w", zipfile.ZIP_STORED) as archive:
        with _member(archive, "embedding") as entry:
            _write_array(entry, np.float64, contents.shape, contents.blocks(np.float64, normalised=False))
        for name, column in columns.items():
            with _member(archive, name) as entry:
                np.lib.format.write_array(entry, column, allow_pickle=False)


def write_faiss(file: IO[bytes], contents: Contents) -> None:
    """Write what `faiss.write_index` writes for an IndexIDMap2 around an IndexFlatIP of the unit vectors. The id of a
    vector is its place among the crew ids; a score is 1 minus the cosine distance."""
    members, dimensions = contents.shape
    header = struct.pack(FAISS_HEADER, dimensions, members, UNUSED, UNUSED, TRAINED, INNER_PRODUCT)
    file.write(ID_MAP + header + FLAT_INNER_PRODUCT + header + struct.pack("<Q", members * dimensions))
    for block in contents.blocks("<f4", normalised=True):
        file.write(block.data)
    file.write(struct.pack("<Q", members) + np.arange(members, dtype="<i8").tobytes())


def write_parquet(file: IO[bytes], contents: Contents) -> None:
    """Write the columns crew_id, name and embedding (float32, as it was stored), and in the schema's metadata, under
    PARQUET_METADATA, the manifest without ids and names."""
    import pyarrow  # noqa: PLC0415  # an optional package
    from pyarrow import parquet  # noqa: PLC0415

    described = contents.describe()
    columns = [described.pop("crew_ids"), described.pop("names")]
    numbers = pyarrow.array(contents.templates.vectors.reshape(-1), pyarrow.float32())
    vectors = pyarrow.FixedSizeListArray.from_arrays(numbers, contents.shape[1])
    table = pyarrow.table([*columns, vectors], names=["crew_id", "name", "embedding"])
    # Hardly anything in a vector repeats: without compression and dictionaries it is written and read faster.
    parquet.write_table(
        table.replace_schema_metadata({PARQUET_METADATA: orjson.dumps(described)}),
        file,
        compression="none",
        use_dictionary=False,
    )


FORMATS = {
    ".npy": Format(write_npy, "float32", normalised=True, offset=NPY_HEADER),
    ".npz": Format(write_npz, "float64", normalised=False),
    ".faiss": Format(write_faiss, "float32", normalised=True),
    ".parquet": Format(write_parquet, "float32", normalised=False),
}


def format_of(target: PurePath) -> Format:
    """Return the format that a file's name asks for. Raises SettingsError for another ending, and MissingDependency
    where the package that writes it is not installed."""
    suffix = target.suffix
    if suffix not in FORMATS:
        raise SettingsError(
            f"No se sabe exportar a {target}", f"El archivo de --export debe terminar en {', '.join(FORMATS)}."
        )
    if suffix == ".parquet":
        _need_pyarrow()
    return FORMATS[suffix]


def name_for_deepface(model: str, detector: str) -> str:
    """Return the file's name under which `DeepFace.find` looks for the vectors of a model with a detector, for its
    defaults: aligned, `base` normalisation, no expansion."""
    text = f"ds_model_{model}_detector_{detector}_aligned_normalization_base_expand_0"
    return text.replace("-", "").lower() + ".npz"


def _need_pyarrow() -> None:
    try:
        import pyarrow.parquet  # noqa: F401, PLC0415
    except ModuleNotFoundError as error:
        raise MissingDependency(
            "Para escribir .parquet falta el paquete pyarrow",
            f"Ejecute: venv/bin/python -m pip install {PYARROW}. O exporte a .npy, que no necesita nada.",
        ) from error


def _member(archive: zipfile.ZipFile, name: str) -> IO[bytes]:
    """Open an array of a .npz file for writing. Its date is the constant of ZipInfo, not the day of the export."""
    return archive.open(zipfile.ZipInfo(f"{name}.npy"), "w", force_zip64=True)


def _write_array(file: IO[bytes], dtype: DTypeLike, shape: tuple[int, int], blocks: Iterable[NDArray[Any]]) -> None:
    """Write what `np.save` writes of the blocks, one below the other."""
    described = np.lib.format.dtype_to_descr(np.dtype(dtype))
    header = {"descr": described, "fortran_order": False, "shape": shape}
    np.lib.format.write_array_header_1_0(file, header)
    for block in blocks:
        file.write(block.data)

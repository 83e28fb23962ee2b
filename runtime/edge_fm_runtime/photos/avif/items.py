"""Which pieces of an AVIF file hold coded frames that its decoder may come to: of items, and of tracks.

Where a file says something twice, both are taken: what a decoder picks must be among them.
"""

from __future__ import annotations

from collections import defaultdict
from dataclasses import dataclass, field

from edge_fm_runtime.photos.avif.boxes import BoxReader, ContainerError

_MAX_FRAMES = 10_000
"""Of an image sequence, of which the first frame alone is read; the decoder lists them all."""

_MAX_METADATA_BYTES = 8 << 20
_METADATA = {b"Exif", b"mime", b"uri "}
_SAMPLE_ENTRY = 78
_CHUNK_KINDS = {b"stco": 4, b"co64": 8}


@dataclass
class Meta:
    """What the boxes called `meta` say of items, by their numbers.

    Attributes:
        types: four characters each.
        extents: offset and size of pieces, and whether they count from the box `idat`.
        properties: of all items, in order: type, start and end.
        uses: which properties an item has, by position from 1.
        primary: items that are the image.
        parts: of derived items (grids).
        auxiliary: of an item, the items that go with it (alpha).
        idat: where the box `idat` begins and ends.
    """

    types: defaultdict[int, set[bytes]] = field(default_factory=lambda: defaultdict(set))
    extents: defaultdict[int, list[tuple[int, int, bool]]] = field(default_factory=lambda: defaultdict(list))
    properties: list[tuple[bytes, int, int]] = field(default_factory=list)
    uses: defaultdict[int, list[int]] = field(default_factory=lambda: defaultdict(list))
    primary: set[int] = field(default_factory=set)
    parts: defaultdict[int, list[int]] = field(default_factory=lambda: defaultdict(list))
    auxiliary: defaultdict[int, list[int]] = field(default_factory=lambda: defaultdict(list))
    idat: tuple[int, int] = (0, 0)

    def decoded(self, *, auxiliary: bool) -> set[int]:
        """The items that decoding the image comes to: it, what it is made of, and what goes with those.

        Args:
            auxiliary: alpha too.
        """
        found: set[int] = set()
        # An image of several (sato) stands in for the primary item where the decoder knows the kind.
        todo = [*self.primary, *(item for item, types in self.types.items() if b"sato" in types)]
        while todo:
            item = todo.pop()
            if item not in found:
                found.add(item)
                todo += [*self.parts[item], *(self.auxiliary[item] if auxiliary else ())]
        return found

    def sizes(self, reader: BoxReader, item: int) -> list[tuple[int, int]]:
        """Width and height of an item, as its properties state them."""
        found = []
        for position in self.uses[item]:
            if 0 < position <= len(self.properties) and self.properties[position - 1][0] == b"ispe":
                _, start, end = self.properties[position - 1]
                fields = reader.fields(start + 4, end)
                found.append((fields.take(4), fields.take(4)))
        return found

    def content(self, reader: BoxReader, item: int) -> memoryview:
        """The bytes of an item: its pieces, one after another.

        Raises:
            ContainerError: a piece lies outside the file.
        """
        pieces = []
        for offset, size, in_idat in self.extents[item]:
            start, end = self.idat if in_idat else (0, len(reader.data))
            if size == 0 or start + offset + size > end:
                raise ContainerError(f"{size:,} bytes of an image at {offset:,}, outside the file")
            pieces.append(memoryview(reader.data)[start + offset : start + offset + size])
        return pieces[0] if len(pieces) == 1 else memoryview(b"".join(pieces))

    def check_extents(self, file_bytes: int) -> None:
        """Bound what is copied: metadata, and images in several pieces, which may all be the same bytes of the file.

        Raises:
            ContainerError: they claim too much.
        """
        beside = joined = 0
        for item, extents in self.extents.items():
            size = sum(size for _, size, _ in extents)
            if self.types[item] & _METADATA:
                beside += size
            elif len(extents) > 1:
                joined += size
        if beside > _MAX_METADATA_BYTES or joined > file_bytes:
            raise ContainerError(f"items that claim {beside + joined:,} bytes")


def read_meta(reader: BoxReader, start: int, end: int) -> Meta:
    """Read a box called `meta`.

    Raises:
        ContainerError: it cannot be read, or has too many entries.
    """
    meta = Meta()
    for kind, at, stop in reader.boxes(start + 4, end):
        fields = reader.fields(at, stop)
        if kind == b"pitm":
            meta.primary.add(fields.take(2 if fields.version()[0] == 0 else 4))
        elif kind == b"idat":
            if meta.idat != (0, 0):
                raise ContainerError("two boxes idat")
            meta.idat = (at, stop)
        elif kind == b"iinf":
            head = 6 if fields.version()[0] == 0 else 8
            for _, entry, entry_end in reader.boxes(at + head, stop):
                _read_type(reader, meta, entry, entry_end)
        elif kind == b"iloc":
            _read_locations(reader, meta, at, stop)
        elif kind == b"iref":
            _read_references(reader, meta, at, stop)
        elif kind == b"iprp":
            for inner, entry, entry_end in reader.boxes(at, stop):
                if inner == b"ipco":
                    meta.properties += list(reader.boxes(entry, entry_end))
                elif inner == b"ipma":
                    _read_uses(reader, meta, entry, entry_end)
    return meta


def _read_type(reader: BoxReader, meta: Meta, start: int, end: int) -> None:
    fields = reader.fields(start, end)
    version, _ = fields.version()
    if version >= 2:
        item = fields.take(2 if version == 2 else 4)
        fields.take(2)
        meta.types[item].add(fields.take(4).to_bytes(4, "big"))


def _read_locations(reader: BoxReader, meta: Meta, start: int, end: int) -> None:
    fields = reader.fields(start, end)
    version, _ = fields.version()
    sizes = fields.take(2)
    offset_size, length_size, base_size = sizes >> 12, sizes >> 8 & 15, sizes >> 4 & 15
    index_size = sizes & 15 if version in (1, 2) else 0
    for _ in range(fields.take(2 if version < 2 else 4)):
        reader.count()
        item = fields.take(2 if version < 2 else 4)
        method = fields.take(2) & 15 if version in (1, 2) else 0
        if method > 1:
            raise ContainerError(f"an item that is constructed by method {method}")
        fields.take(2)
        base = fields.take(base_size)
        for _ in range(fields.take(2)):
            reader.count()
            fields.take(index_size)
            offset = base + fields.take(offset_size)
            meta.extents[item].append((offset, fields.take(length_size), method == 1))


def _read_references(reader: BoxReader, meta: Meta, start: int, end: int) -> None:
    version = reader.fields(start, end).version()[0]
    size = 2 if version == 0 else 4
    for kind, at, stop in reader.boxes(start + 4, end):
        fields = reader.fields(at, stop)
        source = fields.take(size)
        for _ in range(fields.take(2)):
            reader.count()
            target = fields.take(size)
            if kind == b"dimg":
                meta.parts[source].append(target)
            elif kind == b"auxl":
                meta.auxiliary[target].append(source)


def _read_uses(reader: BoxReader, meta: Meta, start: int, end: int) -> None:
    fields = reader.fields(start, end)
    version, flags = fields.version()
    for _ in range(fields.take(4)):
        reader.count()
        item = fields.take(2 if version < 1 else 4)
        for _ in range(fields.take(1)):
            reader.count()
            meta.uses[item].append(fields.take(2) & 0x7FFF if flags & 1 else fields.take(1) & 0x7F)


def first_samples(reader: BoxReader, start: int, end: int) -> list[memoryview]:
    """The first frame of each track of AV1 in a box called `moov`.

    Raises:
        ContainerError: a list cannot be read, is too long, or points outside the file.
    """
    samples = []
    for kind, at, stop in reader.boxes(start, end):
        if kind != b"trak":
            continue
        tables: defaultdict[bytes, list[tuple[int, int]]] = defaultdict(list)
        _find_tables(reader, at, stop, tables)
        for place in tables[b"meta"]:
            read_meta(reader, *place).check_extents(len(reader.data))
        if any(
            entry[0] == b"av01"
            for place in tables[b"stsd"]
            for entry in reader.boxes(place[0] + 8, place[1])
            if entry[2] - entry[1] >= _SAMPLE_ENTRY
        ):
            samples += _first_samples_of_track(reader, tables)
    return samples


def _find_tables(reader: BoxReader, start: int, end: int, tables: defaultdict[bytes, list[tuple[int, int]]]) -> None:
    for kind, at, stop in reader.boxes(start, end):
        if kind in (b"mdia", b"minf", b"stbl"):
            _find_tables(reader, at, stop, tables)
        else:
            tables[kind].append((at, stop))


def _first_samples_of_track(reader: BoxReader, tables: defaultdict[bytes, list[tuple[int, int]]]) -> list[memoryview]:
    offsets, sizes, chunks, per_chunk = [], [], 0, 0
    for kind in (b"stts", b"stss"):
        for place in tables[kind]:
            _entries(reader, place)
    for kind, size in _CHUNK_KINDS.items():
        for place in tables[kind]:
            count = _entries(reader, place)
            chunks += count
            if count:
                offsets.append(reader.fields(place[0] + 8, place[1]).take(size))
    for place in tables[b"stsc"]:
        fields = reader.fields(place[0] + 8, place[1])
        for _ in range(_entries(reader, place)):
            fields.take(4)
            per_chunk = max(per_chunk, fields.take(4))
            fields.take(4)
    for place in tables[b"stsz"]:
        fields = reader.fields(place[0] + 4, place[1])
        one_size, count = fields.take(4), fields.take(4)
        _check_frames(count)
        if count:
            sizes.append(one_size or fields.take(4))
    _check_frames(chunks * per_chunk)
    found = [(offset, size) for offset in offsets for size in sizes]
    if any(size == 0 or offset + size > len(reader.data) for offset, size in found):
        raise ContainerError("a frame outside the file")
    return [memoryview(reader.data)[offset : offset + size] for offset, size in found]


def _entries(reader: BoxReader, place: tuple[int, int]) -> int:
    count = reader.fields(place[0] + 4, place[1]).take(4)
    _check_frames(count)
    return count


def _check_frames(count: int) -> None:
    if count > _MAX_FRAMES:
        raise ContainerError(f"a sequence of {count:,} frames; up to {_MAX_FRAMES:,} are read")

"""Checkpoint files."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from core import VERSION
from core.models.checkpoint import CheckpointData, DamagedCheckpoint, UnknownCheckpoint, decode, encode, weights_sha256
from tests.core.models.checkpoints import a_checkpoint


def test_decode_restores_the_state_bit_for_bit() -> None:
    data = a_checkpoint(items=5)
    checkpoint = decode(data)
    state = checkpoint.state()
    assert checkpoint.run_info == {"emitted": 7}
    assert encode(state, checkpoint.model, checkpoint.run_info) == data
    assert len(weights_sha256(state)) == 64


@given(st.integers(0, 10**6), st.integers(0, 255))
def test_decode_rejects_a_changed_byte_of_the_header(position: int, byte: int) -> None:
    data = bytearray(a_checkpoint(items=3))
    position %= len(data)
    data[position] = byte
    try:
        decode(bytes(data))
    except (DamagedCheckpoint, UnknownCheckpoint):
        return
    # The header is intact. A changed bit inside an array is detected by the SHA-256 of the file.
    assert len(data) == len(a_checkpoint(items=3))


@given(st.binary(max_size=200))
def test_decode_rejects_other_bytes(data: bytes) -> None:
    with pytest.raises(DamagedCheckpoint):
        decode(data)


@pytest.mark.parametrize("number", [1, 3])
def test_decode_names_the_format_of_another_version(number: int) -> None:
    data = a_checkpoint(items=3).replace(b"chainrule-checkpoint/2", b"chainrule-checkpoint/%d" % number)
    with pytest.raises(
        UnknownCheckpoint, match=rf"version {VERSION} wrote .* this one is chainrule-checkpoint/{number}"
    ):
        decode(data)


def test_state_with_missing_parts_is_unknown() -> None:
    saved = decode(a_checkpoint(items=3))
    with pytest.raises(UnknownCheckpoint, match="its state is not known here"):
        CheckpointData(saved.arrays, {}, saved.model, saved.run_info).state()


@pytest.mark.parametrize("cut", [0, 7, 8, 100, -1])
def test_decode_rejects_a_truncated_file(cut: int) -> None:
    with pytest.raises(DamagedCheckpoint):
        decode(a_checkpoint(items=3)[:cut])

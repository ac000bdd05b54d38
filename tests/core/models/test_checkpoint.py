"""Checkpoint files."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from core.models.checkpoint import DamagedCheckpoint, decode, encode, weights_sha256
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
    except DamagedCheckpoint:
        return
    # The header is intact. A changed bit inside an array is detected by the SHA-256 of the file.
    assert len(data) == len(a_checkpoint(items=3))


@given(st.binary(max_size=200))
def test_decode_rejects_other_bytes(data: bytes) -> None:
    with pytest.raises(DamagedCheckpoint):
        decode(data)


@pytest.mark.parametrize("cut", [0, 7, 8, 100, -1])
def test_decode_rejects_a_truncated_file(cut: int) -> None:
    with pytest.raises(DamagedCheckpoint):
        decode(a_checkpoint(items=3)[:cut])

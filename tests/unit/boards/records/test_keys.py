from __future__ import annotations

import hashlib

from adbench.boards.records.keys import method_key, short_keys


def test_keys_have_128_bits_and_show_as_many_as_are_needed(make_record):
    assert len(method_key(make_record())) == 32
    one, two, other = "a" * 31 + "b", "a" * 31 + "c", hashlib.sha256(b"").hexdigest()[:32]
    assert short_keys([one, other]) == {one: one[:8], other: other[:8]}
    assert short_keys([one, two]) == {one: one, two: two}
    assert short_keys([]) == {}

import gc

import pytest

from adbench.engine.process.collecting import no_collecting


def test_no_garbage_is_looked_for_in_the_block_and_then_as_before():
    with pytest.raises(KeyError), no_collecting():
        assert not gc.isenabled()
        raise KeyError
    assert gc.isenabled()
    gc.disable()
    try:
        with no_collecting():
            pass
        assert not gc.isenabled()
    finally:
        gc.enable()
        gc.unfreeze()

import os
import signal
import threading
import time

import pytest

from adbench.engine.process.interrupts import SelfSignalled, Stopped, is_stop, raise_if_stopped, stoppable


def from_outside(number):
    """A signal as somebody else sends it: not by this process's own `os.kill`, of which Python tells."""
    pid = os.fork()
    if pid == 0:
        time.sleep(0.1)  # until the parent has left the hooks of its fork, where an exception would be ignored
        os.kill(os.getppid(), number)
        os._exit(0)
    os.waitpid(pid, 0)
    time.sleep(0.2)


@pytest.fixture(autouse=True)
def plain():
    """As on a user's terminal: neither `nohup` nor a library that earlier tests used handles these signals."""
    usual = {
        signal.SIGINT: signal.default_int_handler,
        signal.SIGTERM: signal.SIG_DFL,
        signal.SIGHUP: signal.SIG_DFL,
    }
    before = {number: signal.signal(number, handler) for number, handler in usual.items()}
    yield
    for number, handler in before.items():
        signal.signal(number, handler)


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM, signal.SIGHUP])
def test_a_users_signal_stops(number):
    before = signal.getsignal(number)
    with pytest.raises(Stopped) as caught, stoppable():
        from_outside(number)
    assert caught.value.number == number
    assert signal.getsignal(number) == before


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_a_components_own_signal_is_an_error_of_its(number):
    with stoppable():
        with pytest.raises(SelfSignalled, match=signal.Signals(number).name) as caught:
            os.kill(os.getpid(), number)
            time.sleep(0.2)
        assert not is_stop(caught.value)


def test_a_keyboard_interrupt_without_a_key_is_no_stop():
    with stoppable():
        assert not is_stop(KeyboardInterrupt())
        assert is_stop(Stopped(signal.SIGINT))
    assert is_stop(KeyboardInterrupt()), "where nobody tells them apart, it is taken for the user's"


def test_in_a_thread_a_keyboard_interrupt_is_no_stop():
    message = []
    thread = threading.Thread(target=lambda: message.append(is_stop(KeyboardInterrupt())))
    thread.start()
    thread.join()
    assert message == [False]


def test_a_stop_that_was_swallowed_is_not_forgotten():
    with stoppable():
        with pytest.raises(Stopped):
            from_outside(signal.SIGTERM)
        assert is_stop(ValueError("made of it"))
        with pytest.raises(Stopped) as caught:
            raise_if_stopped()
        assert caught.value.number == signal.SIGTERM
    raise_if_stopped()


def test_who_ignores_a_signal_goes_on_ignoring_it():
    signal.signal(signal.SIGHUP, signal.SIG_IGN)
    try:
        with stoppable():
            from_outside(signal.SIGHUP)
    finally:
        signal.signal(signal.SIGHUP, signal.SIG_DFL)


def test_a_block_within_a_block_changes_nothing():
    with stoppable():
        handler = signal.getsignal(signal.SIGINT)
        with stoppable():
            assert signal.getsignal(signal.SIGINT) is handler
        assert signal.getsignal(signal.SIGINT) is handler


def test_in_a_thread_nothing_is_changed():
    def inside():
        with stoppable():
            seen.append(signal.getsignal(signal.SIGTERM))

    seen = []
    thread = threading.Thread(target=inside)
    thread.start()
    thread.join()
    assert seen == [signal.SIG_DFL]

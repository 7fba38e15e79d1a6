"""What makes a component of a plugin."""

from __future__ import annotations

from contextlib import redirect_stderr, redirect_stdout
from typing import Callable, TypeVar

from . import host, ladder, log, streams
from .credential import Credential, Role, Versions
from .failure import Failure, Internal, unexpected
from .service import Outcome, Steps

Result = TypeVar("Result")


def export(plugin: type[Steps]) -> type:
    """The class that the component exports: `Rotator = export(Acme)`, once, in `plugin.py`, under exactly that name."""
    if not (isinstance(plugin, type) and issubclass(plugin, Steps)):
        raise TypeError("export() takes a class that extends Service or Steps, and no instance of it")
    # Raised while the component is built, where it is read, and not in the first rotation.
    missing = sorted(plugin.__abstractmethods__)
    if missing:
        raise TypeError(f"{plugin.__name__} does not define {' and '.join(missing)}")

    class Rotator:
        def set_secret(self) -> host.rotator.Outcome:
            return _step(lambda: _set(plugin))

        def test_secret(self) -> host.rotator.Verdict:
            return _step(lambda: _test(plugin))

    return Rotator


def _set(plugin: type[Steps]) -> host.rotator.Outcome:
    outcome = ladder.call(plugin().set_secret, Versions.read())
    # An enum crosses the border as a number, so that of another enum would pass.
    if not isinstance(outcome, Outcome):
        raise Internal(f"set_secret returned a {type(outcome).__name__}, not an Outcome")
    return host.rotator.Outcome[outcome.name]


def _test(plugin: type[Steps]) -> host.rotator.Verdict:
    result = ladder.call(plugin().test_secret, Credential(Role.PENDING))
    if result is not None:
        raise Internal(f"test_secret returned a {type(result).__name__}: it returns nothing, and raises if the test fails")
    return host.rotator.Verdict.ACCEPTED


def _step(run: Callable[[], Result]) -> Result:
    """Runs a step, out of which comes only what the contract knows: anything else is a trap, and its text goes nowhere."""
    printed = log.Printed()
    try:
        with redirect_stdout(printed), redirect_stderr(printed):
            return run()
    except Failure as failure:
        said = failure
    except BaseException as error:
        said = unexpected(error)
    finally:
        printed.flush()
        streams.close_all()
    raise host.failure_for_host(said)

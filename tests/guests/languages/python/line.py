"""World `connection-plugin`: one line there, one line back, on the endpoint `service`.

`LOGIN user password` and `CHANGE user old new` are answered with `OK` or `NO`.
Settings: `start-tls` set to `yes` encrypts the stream before the first line.
"""

from wit_world import exports
from wit_world.exports.rotator import Outcome, Verdict
from wit_world.imports import log, random, secret
from wit_world.imports.connection import Connection
from wit_world.imports.failures import Cause, Effect

from steps import Login, failure, other_logins, pending, step

LONGEST_ANSWER = 1024


class Rotator(exports.Rotator):
    @step
    def set_secret(self) -> Outcome:
        new = pending()
        if ask(Effect.UNCHANGED, "LOGIN", *new):
            return Outcome.UNCHANGED
        for name, old in other_logins():
            if ask(Effect.UNKNOWN, "CHANGE", *old, new.password):
                log.write(log.Level.INFO, f"changed the password with the {name} credential, note {random.generate(4).hex()}")
                return Outcome.CHANGED
        raise failure(Cause.UNAUTHORIZED, Effect.UNCHANGED, "the service accepts neither the pending nor any older credential")

    @step
    def test_secret(self) -> Verdict:
        if ask(Effect.UNCHANGED, "LOGIN", *pending()):
            return Verdict.ACCEPTED
        raise failure(Cause.UNAUTHORIZED, Effect.UNCHANGED, "LOGIN was answered with NO")


def ask(effect: Effect, *words: str) -> bool:
    """Whether the service said OK. `effect` is what is known if it says neither OK nor NO."""
    if any(set(word) & set(" \r\n") for word in words):
        raise failure(Cause.MALFORMED_SECRET, Effect.UNCHANGED, "a field contains a space or a line break")
    answer = b""
    # Without `with` the stream stays open until the garbage collector comes by or the step ends.
    with Connection.open("service") as stream:
        if secret.setting("start-tls") == "yes":
            stream.start_tls()
        stream.write((" ".join(words) + "\n").encode())
        while not answer.endswith(b"\n"):  # a read may return any part of the line
            part = stream.read(LONGEST_ANSWER)
            if not part:
                raise failure(Cause.UNREACHABLE, effect, f"the service closed the stream instead of answering {words[0]}")
            answer += part
            if len(answer) > LONGEST_ANSWER:
                raise failure(Cause.INTERNAL, effect, f"the answer to {words[0]} is longer than a line may be")
    if answer not in (b"OK\n", b"NO\n"):
        raise failure(Cause.INTERNAL, effect, f"the answer to {words[0]} is neither OK nor NO")
    return answer == b"OK\n"

/**
 * The streams that the session of the moment has opened.
 *
 * An open stream counts against the host's limit until it is closed. So the SDK closes what is left before every login and at the end
 * of a step, whatever the plugin forgot.
 */

/** @type {{ close(): void }[]} */
const open = [];

/**
 * Remembers a stream to close.
 *
 * @param {{ close(): void }} stream
 */
export function opened(stream) {
  open.push(stream);
}

/** Closes every stream that is still open. */
export function closeAll() {
  for (const stream of open.splice(0)) stream.close();
}

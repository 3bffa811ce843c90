/** Time that a slice of work may take before the page gets to draw, in ms. */
const SLICE = 10;

/**
 * Run work that pauses, in slices between which the page draws and listens. `done` gets what it gave; the function that
 * is returned stops it.
 */
export function runSliced<T>(work: Generator<void, T>, done: (result: T) => void): () => void {
  let stopped = false;
  const channel = new MessageChannel();
  const slice = () => {
    const until = performance.now() + SLICE;
    while (!stopped) {
      const step = work.next();
      if (step.done) {
        channel.port1.close();
        done(step.value);
        return;
      }
      if (performance.now() > until) {
        channel.port2.postMessage(null);
        return;
      }
    }
  };
  channel.port1.onmessage = slice;
  slice();
  return () => {
    stopped = true;
    channel.port1.close();
  };
}
